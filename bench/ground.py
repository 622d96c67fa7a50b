"""What all servers stand on: the cores, a private PostgreSQL and its rows."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bench.asking import BenchError
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
    """Start a database; the first core is left to the servers, all else goes to the others."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) == 1:
        raise BenchError("It takes two cores: one for the server, the others for PostgreSQL and the load.")
    os.sched_setaffinity(0, cores[1:])
    with postgres_server() as postgres:
        databases = await PostgresDatabases.migrated(postgres)
        yield await ground_on(await databases.create(), cores, postgres.get_pid() or 0)


async def ground_on(database_url: str, cores: Sequence[int], postgres_pid: int) -> Ground:
    """Load a migrated, empty database, and let it be as it is after a while."""
    settings = make_settings(database_url, environment="production", access_token_expire_minutes=_TOKEN_MINUTES)
    rows = await load_rows(settings)
    connection = await asyncpg.connect(database_url)
    await connection.execute(_MAKE_TASK.read_text(encoding="utf-8"))
    await connection.execute("VACUUM ANALYZE")
    version = str(await connection.fetchval("SHOW server_version"))
    await connection.close()
    return Ground(cores, database_url, postgres_pid, version, settings.secret_key, rows)
