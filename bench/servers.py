"""The servers that are compared: each a process tree of its own, on the same rows in one PostgreSQL."""

import asyncio
import os
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

from bench.load import BenchError
from bench.processes import memory_mib
from tests.ports import free_port

POOL_SIZE: Final = 8
SECRET_KEY: Final = "a key that signs only the tokens of the benchmark"  # noqa: S105
ROOT: Final = Path(__file__).parents[1]
_PEERS: Final = Path(__file__).parent / "peers"
NODE: Final = _PEERS / "node_modules" / "node" / "bin" / "node"
_START_TIMEOUT_S: Final = 240.0
_UVICORN: Final = (sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--no-access-log", "--port", "{port}")
_ENVIRONMENT: Final = {
    "SECRET_KEY": SECRET_KEY,
    "NODE_ENV": "production",
    "GRAPHILE_ENV": "production",
    "POOL_SIZE": str(POOL_SIZE),
}
_TASKTALK_ENVIRONMENT: Final = {
    "ENVIRONMENT": "production",
    "DATABASE_POOL_SIZE": str(POOL_SIZE),
    "DATABASE_MAX_OVERFLOW": "0",
    # On a busy machine too, waiting is no failure.
    "DATABASE_POOL_TIMEOUT_S": "120",
    # What is measured with new documents is how fast they are prepared.
    "GRAPHQL_NEW_TOKENS_PER_MINUTE": "0",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A server that can be started."""

    key: str
    title: str
    command: Sequence[str]
    root: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    # The peer without GraphQL knows a fixed set of documents.
    takes_new_documents: bool = True
    workers: int = 1


PEERS: Final = {
    kind.key: kind
    for kind in (
        Kind("conventional", "Strawberry, conventional", (*_UVICORN, "bench.peers.conventional:app")),
        Kind("mercurius", "Mercurius + JIT", (str(NODE), str(_PEERS / "mercurius" / "server.js"))),
        Kind("postgraphile", "PostGraphile", (str(NODE), str(_PEERS / "postgraphile" / "server.js"))),
        Kind("bare", "bare asyncpg", (*_UVICORN, "bench.peers.bare:app"), takes_new_documents=False),
    )
}


def tasktalk(key: str, root: Path = ROOT, workers: int = 1) -> Kind:
    """Return the server of a checkout, run with its own virtual environment."""
    command = (str(tasktalk_command(root)), "serve", "--workers", str(workers))
    return Kind(key, key.replace("tasktalk", "Tasktalk", 1), command, root, _TASKTALK_ENVIRONMENT, workers=workers)


def tasktalk_command(root: Path) -> Path:
    """Return the command of a checkout."""
    command = root / ".venv" / "bin" / "tasktalk"
    if not command.exists():
        raise BenchError(f"{command} is missing: run `make install` in {root}.")
    return command


def migrate(root: Path, database_url: str) -> None:
    """Bring an empty database to the newest revision of a checkout."""
    environment = os.environ | _ENVIRONMENT | {"DATABASE_URL": database_url, "ENVIRONMENT": "production"}
    done = subprocess.run(  # noqa: S603
        [tasktalk_command(root), "migrate"], cwd=root, env=environment, capture_output=True, check=False
    )
    if done.returncode:
        raise BenchError(f"{root} could not migrate a database: {done.stderr.decode()[-2_000:]}")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    kind: Kind
    port: int
    process: subprocess.Popen[bytes]
    database_url: str
    client: httpx2.AsyncClient
    fresh_memory_mib: float = 0.0

    async def answer(self, body: Mapping[str, Any], token: str) -> Any:
        """Return the data of its answer to one request, which must be without errors."""
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        response = await self.client.post(f"http://127.0.0.1:{self.port}/graphql", json=body, headers=headers)
        if response.status_code != httpx2.codes.OK or "errors" in response.json():
            text = f"{response.status_code}: {response.text[:1000]}"
            raise BenchError(f"{self.kind.title} answers {body} with {text}")
        return response.json()["data"]


@asynccontextmanager
async def running(kind: Kind, database_url: str, cores: Sequence[int]) -> AsyncIterator[Server]:
    """Run a server on some cores until the block ends."""
    port = free_port()
    places = {"DATABASE_URL": database_url, "PORT": str(port), "API_PORT": str(port)}
    environment = {**os.environ, **_ENVIRONMENT, **kind.environment, **places}
    command = [part.format(port=port) for part in kind.command]
    pinned = ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]
    # A connection that rests is closed before the server closes it.
    limits = httpx2.Limits(keepalive_expiry=1)
    async with httpx2.AsyncClient(timeout=_START_TIMEOUT_S, limits=limits) as client:
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # noqa: ASYNC220, S603
                pinned, cwd=kind.root, env=environment, stdout=subprocess.DEVNULL, stderr=errors
            )
            try:
                if not await _is_up(process, client, port):
                    errors.seek(0)
                    raise BenchError(f"{kind.title} did not start: {errors.read().decode()[-2_000:]}")
                yield Server(kind, port, process, database_url, client, memory_mib(process.pid))
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait)


async def _is_up(process: subprocess.Popen[bytes], client: httpx2.AsyncClient, port: int) -> bool:
    until = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < until:
        try:
            await client.get(f"http://127.0.0.1:{port}/graphql")
        except httpx2.TransportError:
            await asyncio.sleep(0.05)
        else:
            return True
    return False
