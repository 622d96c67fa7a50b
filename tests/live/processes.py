"""Server processes of `tasktalk serve`, whose output is kept."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from core.settings import Settings
from tests.databases import PATIENT
from tests.waiting import until_so

ROOT: Final = Path(__file__).parents[2]
LONGEST_S: Final = 120


@dataclass(slots=True)
class ServerProcess:
    """A process that serves, alone or over workers."""

    process: Process
    url: str = ""
    lines: list[str] = field(default_factory=list)
    reader: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            return await asyncio.wait_for(self.process.wait(), LONGEST_S)
        except TimeoutError:
            await self.kill()
            raise


@asynccontextmanager
async def program(*command: str, **how: Any) -> AsyncIterator[Process]:
    """Run a program whose output is read; end it where it has not ended by itself."""
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, **how)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@asynccontextmanager
async def serving(settings: Settings, *, workers: int = 1, **variables: str) -> AsyncIterator[ServerProcess]:
    server = await start(settings, workers=workers, port="0", root=ROOT, waits=False, **variables)
    try:
        yield server
    finally:
        await server.stop()


async def start(
    settings: Settings, *, workers: int = 1, port: str = "0", root: Path = ROOT, waits: bool = False, **variables: str
) -> ServerProcess:
    """Start `tasktalk serve` of a checkout; wait until it is ready, or only listens where it `waits`, or end it."""
    given = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(root),
        "PYTHONWARNINGS": "error",
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_key,
        **{name.upper(): str(seconds) for name, seconds in PATIENT.items()},
    }
    arguments = ("-m", "server.cli", "serve", "--port", port, "--workers", str(workers))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        cwd=root,
        env=given | variables,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    server = ServerProcess(process)
    try:
        await _answering(server, waits=waits)
    except BaseException:
        if process.returncode is None:
            await server.kill()
        raise
    return server


async def _answering(server: ServerProcess, *, waits: bool) -> None:
    greeted = asyncio.Event()
    server.reader = asyncio.create_task(_read_lines(server, greeted))
    await asyncio.wait_for(greeted.wait(), LONGEST_S)
    assert server.url, server.lines
    if waits:
        return
    async with httpx2.AsyncClient(timeout=LONGEST_S) as client:
        await until_so(lambda: _is_ready(client, server), LONGEST_S)


async def _is_ready(client: httpx2.AsyncClient, server: ServerProcess) -> bool:
    answer = await client.get(f"{server.url}/ready")
    # It says so too where the database is only slower than a probe waits.
    assert answer.is_success or "does not answer" in answer.text, server.lines
    return answer.is_success


async def _read_lines(server: ServerProcess, greeted: asyncio.Event) -> None:
    assert server.process.stdout is not None
    async for line in server.process.stdout:
        server.lines.append(line.decode())
        if line.startswith((b"GraphiQL at ", b"GraphQL at ")):
            server.url = server.lines[-1].split()[-1].removesuffix("/graphql")
            greeted.set()
    greeted.set()
