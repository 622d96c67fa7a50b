"""Starts the servers that are compared, each as a process on one core, on the same database."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from bench.asking import BenchError, Request
from bench.ground import Ground

POOL_SIZE: Final = 8
_FOLDER: Final = Path(__file__).parent / "peers"
_NODE: Final = _FOLDER / "node_modules" / "node" / "bin" / "node"
_START_S: Final = 60.0
_REST_S: Final = 0.1
# Servers close what rests for five seconds, perhaps just when it is used again.
_LIMITS: Final = httpx2.Limits(keepalive_expiry=1)
_BARELY_BUSY: Final = 0.11
_LONGEST_RESTS: Final = 600
_KIB_A_MIB: Final = 1024
_PRODUCTION: Final = {"NODE_ENV": "production", "GRAPHILE_ENV": "production"}
_UVICORN: Final = (sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--no-access-log", "--port")
_OURS_ENVIRONMENT: Final = {
    "ENVIRONMENT": "production",
    "DATABASE_POOL_SIZE": str(POOL_SIZE),
    "DATABASE_MAX_OVERFLOW": "0",
    # Enough for 10,000 rows in one operation.
    "GRAPHQL_MAX_COST": "20000",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A server that can be started."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_node(self) -> bool:
        """Tell whether it runs on the Node that npm brings."""
        return self.command[0] == str(_NODE)


OURS: Final = Kind("Tasktalk", (sys.executable, "-m", "server.cli", "serve"), _OURS_ENVIRONMENT)
KINDS: Final = {
    "ours": OURS,
    "conventional": Kind("Strawberry, conventional", (*_UVICORN, "{port}", "bench.peers.conventional:app")),
    "mercurius": Kind("Mercurius + JIT", (str(_NODE), str(_FOLDER / "mercurius" / "server.js"))),
    "postgraphile": Kind("PostGraphile", (str(_NODE), str(_FOLDER / "postgraphile" / "server.js"))),
    "bare": Kind("bare asyncpg", (*_UVICORN, "{port}", "bench.peers.bare:app")),
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    key: str
    url: str
    process: subprocess.Popen[bytes]
    client: httpx2.AsyncClient

    def memory_mib(self) -> float:
        """Return the memory that its processes hold."""
        return sum(_resident_kib(pid) for pid in _family(self.process.pid)) / _KIB_A_MIB

    async def rest(self) -> None:
        """Wait until it has nothing to do any more, even for those who have gone."""
        for _ in range(_LONGEST_RESTS):
            before = self.cpu_s()
            await asyncio.sleep(_REST_S)
            if self.cpu_s() - before <= _REST_S * _BARELY_BUSY:
                return
        raise BenchError(f"{KINDS[self.key].name} is at work though nobody asks for anything.")

    def cpu_s(self) -> float:
        """Return the processor time that its processes have used."""
        return sum(_cpu_ticks(pid) for pid in _family(self.process.pid)) / os.sysconf("SC_CLK_TCK")

    async def answer(self, request: Request) -> Any:
        """Return the data of its answer to one request."""
        return (await self.respond(request)).json()["data"]

    async def respond(self, request: Request) -> httpx2.Response:
        """Return its answer to one request, which must be without errors."""
        headers = {"Authorization": f"Bearer {request.token}", "Accept-Encoding": "identity"}
        response = await self.client.post(self.url, json=request.body, headers=headers)
        if response.status_code != httpx2.codes.OK or "errors" in response.json():
            text = f"{response.status_code}: {response.text[:1000]}"
            raise BenchError(f"{KINDS[self.key].name} answers {request.body} with {text}")
        return response


@asynccontextmanager
async def running(
    key: str, ground: Ground, cores: Sequence[int], arguments: Sequence[str] = ()
) -> AsyncIterator[Server]:
    """Run a server on some cores until the block ends."""
    kind, port = KINDS[key], _free_port()
    given = {"DATABASE_URL": ground.database_url, "SECRET_KEY": ground.secret_key, **_PRODUCTION}
    places = {"POOL_SIZE": str(POOL_SIZE), "PORT": str(port), "API_PORT": str(port)}
    environment = {**os.environ, **given, **places, **kind.environment}
    command = [part.format(port=port) for part in (*kind.command, *arguments)]
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]
    async with httpx2.AsyncClient(timeout=_START_S, limits=_LIMITS) as client:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(pinned, env=environment, stdout=subprocess.DEVNULL, stderr=errors)  # noqa: ASYNC220, S603
            server = Server(key, f"http://127.0.0.1:{port}/graphql", process, client)
            try:
                if not await _answers(server):
                    errors.seek(0)
                    raise BenchError(f"{kind.name} did not start: {errors.read().decode()[-2000:]}")
                yield server
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait)


async def _answers(server: Server) -> bool:
    until = time.monotonic() + _START_S
    while server.process.poll() is None and time.monotonic() < until:
        try:
            await server.client.get(server.url)
        except httpx2.TransportError:
            await asyncio.sleep(0.05)
        else:
            return True
    return False


def require_packages(keys: Sequence[str]) -> None:
    """Say how to get the packages of npm where they are needed and missing."""
    if any(KINDS[key].needs_node for key in keys) and not _NODE.exists():
        raise BenchError("The packages of Node are missing: `make bench` installs them, by npm.")


def pin(pid: int, cores: Sequence[int]) -> None:
    """Keep a process and those that it has started to some cores."""
    for each in _family(pid):
        os.sched_setaffinity(each, cores)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _cpu_ticks(pid: int) -> int:
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(parts[11]) + int(parts[12])


def _resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
