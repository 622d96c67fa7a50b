"""A real HTTP server in the loop of the tests."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx2
import uvicorn
from fastapi import FastAPI

from core.settings import Environment, Settings
from server.http.connection_limits import ConnectionLimits
from server.http.protocol import bounded_protocols, notice_lost_clients
from tests.waiting import PATIENCE_S, until

if TYPE_CHECKING:
    from graph.context import Runtime


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that listens, and the application behind it."""

    url: str
    app: FastAPI

    @property
    def runtime(self) -> "Runtime":
        runtime: Runtime = self.app.state.runtime
        return runtime

    def client(self) -> httpx2.AsyncClient:
        """Return a client of the server; entering it opens it."""
        return httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S)

    async def until_followed(self, user_id: str, count: int = 1) -> None:
        """Return once that many subscriptions wait for the user's changes."""
        await until(lambda: self.runtime.live.hub.count(user_id) == count)

    async def until_unconnected(self) -> None:
        """Return once no socket and no event stream is open."""
        await until(lambda: not self.app.state.connections.connections)


class _Server(uvicorn.Server):
    """A server that leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


MANY_CONNECTIONS: Final = ConnectionLimits(10_000, 10_000)
METRICS_TOKEN: Final = "a token for monitoring"
METRICS_HEADERS: Final = {"Authorization": f"Bearer {METRICS_TOKEN}"}
IN_PRODUCTION: Final = {"environment": Environment.PRODUCTION, "metrics_token": METRICS_TOKEN}


@asynccontextmanager
async def serve(
    app: FastAPI,
    *,
    ws_max_size: int = 1024 * 1024,
    keep_alive_s: int = 4 * PATIENCE_S,
    limits: ConnectionLimits = MANY_CONNECTIONS,
) -> AsyncIterator[RunningServer]:
    """Serve an application, ours or another, on a free port; let running requests end before it stops."""
    # Named a TCP socket, or asyncio would leave Nagle's delay of 40 ms a request on.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    notice_lost_clients(listener)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            lifespan="on",
            timeout_graceful_shutdown=PATIENCE_S,
            # Longer than clients keep a connection: else it may be closed just as the next request is sent.
            timeout_keep_alive=keep_alive_s,
            **bounded_protocols(limits),
            ws_per_message_deflate=False,
            ws_max_size=ws_max_size,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        if serving.done():
            await serving
            raise RuntimeError("the server did not start; the log says why")
        yield RunningServer(f"http://127.0.0.1:{listener.getsockname()[1]}", app)
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def serve_with(settings: Settings, **overrides: Any) -> AsyncIterator[RunningServer]:
    """Serve the application with settings of a test's own: as another process on the same database would."""
    from server.app import create_app

    changed = settings.model_copy(update=overrides)
    async with serve(create_app(changed), ws_max_size=changed.graphql_max_body_bytes) as running:
        yield running
