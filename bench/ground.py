"""What all servers stand on: the cores, a private PostgreSQL and its rows."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bench.load import BenchError
from bench.rows import Rows, load_rows
from tests.databases import PostgresDatabases, make_settings, postgres_server

_TOKEN_MINUTES: Final = 24 * 60
_MAKE_TASK: Final = Path(__file__).parent / "peers" / "postgraphile" / "make_task.sql"


@dataclass(frozen=True, slots=True)
class Ground:
    """What all servers stand on: the cores, the database and its rows."""

    cores: Sequence[int]
    database_url: str
    postgres_pid: int
    postgres_version: str
    secret_key: str
    rows: Rows


@asynccontextmanager
async def prepared_ground() -> AsyncIterator[Ground]:
    """Load a database; the first core is left to the servers, all else goes to the others."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        raise BenchError("It takes two cores: one for the server, the others for PostgreSQL and the load.")
    os.sched_setaffinity(0, cores[1:])
    with postgres_server() as postgres:
        databases = await PostgresDatabases.migrated(postgres)
        url = await databases.create()
        settings = make_settings(url, environment="production", access_token_expire_minutes=_TOKEN_MINUTES)
        rows = await load_rows(settings)
        version = await _settle(url)
        yield Ground(cores, url, postgres.get_pid() or 0, version, settings.secret_key, rows)


async def _settle(url: str) -> str:
    """Let the database be as it is after a while; return its version."""
    connection = await asyncpg.connect(url)
    await connection.execute(_MAKE_TASK.read_text(encoding="utf-8"))
    await connection.execute("VACUUM ANALYZE")
    version = str(await connection.fetchval("SHOW server_version"))
    await connection.close()
    return version
