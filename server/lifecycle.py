"""The lifecycle of a process: what starts and stops with the application, graceful shutdown, housekeeping."""

import asyncio
import logging
import multiprocessing
import random
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, Final

from fastapi import FastAPI

from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from graph.context import Runtime
from server.graphql.streaming import Streaming
from server.http.connections import ConnectionRegistry
from server.mcp.endpoint import McpEndpoint
from server.observability.metrics import Metrics
from services.sync.housekeeping import delete_old_history, delete_old_keys, delete_old_sessions, delete_old_tombstones

# Workers that start together should not do the same work at the same moment.
_AFTER_START_S: Final = (30.0, 300.0)
_EVERY_S: Final = 6 * 3600.0
# The time for a load balancer to see that the process is not ready, before it stops listening.
_NOTICE_S: Final = 1.0

_log = logging.getLogger(__name__)


async def _run_housekeeping(database: Database, settings: Settings) -> None:
    """Delete expired rows periodically, each kind in its own transaction, until cancelled."""
    kept_days = settings.tombstones_kept_days
    await asyncio.sleep(random.uniform(*_AFTER_START_S))  # noqa: S311 - no secret
    while True:
        try:
            await database.write(lambda session: delete_old_tombstones(session, kept_days))
            await database.write(lambda session: delete_old_history(session, kept_days))
            await database.write(delete_old_keys)
            await database.write(delete_old_sessions)
        except UnavailableError as error:
            _log.warning("Housekeeping found no database: %s", error)
        except Exception:  # noqa: BLE001 - the next round may do better
            _log.exception("Housekeeping failed")
        await asyncio.sleep(_EVERY_S)


@contextmanager
def graceful_shutdown(connections: ConnectionRegistry) -> Iterator[None]:
    """Wrap the signal handlers of uvicorn: at SIGTERM be unready first, then stop, and close what stays open."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    kept: dict[int, Any] = {number: handler for number, handler in handlers.items() if callable(handler)}
    loop = asyncio.get_running_loop()

    def shut_down(number: int, frame: FrameType | None) -> None:
        handler = kept[number]
        if number == signal.SIGTERM and not connections.is_shutting_down:
            loop.call_soon_threadsafe(loop.call_later, _NOTICE_S, handler, number, frame)
        else:
            handler(number, frame)
        loop.call_soon_threadsafe(connections.close_all)

    for number in kept:
        signal.signal(number, shut_down)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _stop_without_parent() -> None:
    """Stop a worker when its parent is gone, as after `kill -9`: it would keep the port from those that come next."""
    if (parent := multiprocessing.parent_process()) is None:
        return
    loop = asyncio.get_running_loop()

    def stop() -> None:
        loop.remove_reader(parent.sentinel)
        _log.error("The parent process is gone; this worker stops.")
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(parent.sentinel, stop)


@asynccontextmanager
async def lifespan(
    runtime: Runtime, streaming: Streaming, mcp: McpEndpoint, metrics: Metrics, app: FastAPI
) -> AsyncIterator[None]:
    """Start and stop what lives as long as the application."""
    _stop_without_parent()
    runtime.live.start()
    runtime.assistant.start()
    tasks = [
        asyncio.create_task(streaming.connections.run()),
        asyncio.create_task(metrics.run()),
        asyncio.create_task(app.state.overload.run()),
        asyncio.create_task(_run_housekeeping(runtime.database, runtime.settings)),
    ]
    if runtime.settings.is_production:
        tasks.append(asyncio.create_task(app.state.readiness.warn()))
    try:
        with graceful_shutdown(streaming.connections):
            yield
    finally:
        await mcp.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await streaming.operations.finish()
        await runtime.assistant.close()
        await runtime.live.close()
        await runtime.accounts.close()
        if runtime.cost_limit is not None:
            await runtime.cost_limit.close()
        await runtime.authenticator.close()
        await runtime.database.close()
        runtime.passwords.close()
        metrics.close()
