"""The lifecycle of a process: what starts and stops with the application, graceful shutdown, housekeeping."""

import asyncio
import logging
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Final

from fastapi import FastAPI

from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from graph.context import Runtime
from server.graphql.streaming import Streaming
from server.http.connections import ConnectionRegistry
from server.http.origins import cross_origin_lines
from server.http.protocol import REFUSE
from server.mcp.endpoint import McpEndpoint
from server.observability.metrics import Metrics
from server.observability.request_log import refusing
from services.sync.housekeeping import delete_expired
from services.sync.removal import remove_deleted

# Workers that start together should not do the same work at the same moment.
_AFTER_START_S: Final = (30.0, 300.0)
_EVERY_S: Final = 6 * 3600.0
_PARENT_CHECK_EVERY_S: Final = 1.0
_REMOVE_EVERY_S: Final = (1_800.0, 3_600.0)
# The time for a load balancer to see that the process is not ready, before it stops listening.
_NOTICE_S: Final = 1.0
_CONNECT_S: Final = 3.0

_log = logging.getLogger(__name__)


async def _run_housekeeping(database: Database, settings: Settings) -> None:
    """Delete expired rows periodically, until cancelled."""
    await asyncio.sleep(random.uniform(*_AFTER_START_S))  # noqa: S311 - no secret
    while True:
        await _attempt(delete_expired(database, settings))
        await asyncio.sleep(_EVERY_S)


async def _run_removal(database: Database) -> None:
    """Remove what this process has marked, and now and then what is left of others, until cancelled."""
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(database.has_remains.wait(), random.uniform(*_REMOVE_EVERY_S))  # noqa: S311 - no secret
        database.has_remains.clear()
        await _attempt(remove_deleted(database))


async def _attempt(work: Awaitable[None]) -> None:
    try:
        await work
    except UnavailableError as error:
        _log.warning("Housekeeping found no database: %s", error)
    except Exception:  # noqa: BLE001 - the next round may do better
        _log.exception("Housekeeping failed")


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


async def _stop_without_parent() -> None:
    """Stop a worker when its parent is gone, as after `kill -9`: it would keep the port from those that come next."""
    if (parent := multiprocessing.parent_process()) is None:
        return
    while os.getppid() == parent.pid:  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(_PARENT_CHECK_EVERY_S)
    _log.error("The parent process is gone; this worker stops.")
    signal.raise_signal(signal.SIGTERM)


async def _connect(database: Database) -> None:
    """Open the first connection, by which the clock is set right, before there are requests; go on without one."""
    with suppress(UnavailableError, TimeoutError):
        async with asyncio.timeout(_CONNECT_S), database.read() as session:
            await session.connection()


@asynccontextmanager
async def lifespan(
    runtime: Runtime, streaming: Streaming, mcp: McpEndpoint, metrics: Metrics, app: FastAPI
) -> AsyncIterator[dict[str, Any]]:
    """Start and stop what lives as long as the application."""
    await _connect(runtime.database)
    runtime.live.start()
    runtime.assistant.start()
    tasks = [
        asyncio.create_task(_stop_without_parent()),
        asyncio.create_task(streaming.connections.run()),
        asyncio.create_task(metrics.run()),
        asyncio.create_task(app.state.overload.run()),
        asyncio.create_task(_run_housekeeping(runtime.database, runtime.settings)),
        asyncio.create_task(_run_removal(runtime.database)),
    ]
    if runtime.settings.sends_email:
        tasks.append(asyncio.create_task(runtime.emails.outbox.run()))
    if runtime.settings.is_production:
        tasks.append(asyncio.create_task(app.state.readiness.warn()))
    try:
        with graceful_shutdown(streaming.connections):
            yield {REFUSE: refusing(app.state.overload, metrics.count_refused, cross_origin_lines(runtime.settings))}
    finally:
        for task in tasks:
            task.cancel()
        await _close_each(
            runtime.settings.shutdown_grace_s,
            mcp.close,
            partial(asyncio.gather, *tasks, return_exceptions=True),
            streaming.operations.finish,
            runtime.assistant.close,
            runtime.live.close,
            runtime.accounts.close,
            *([runtime.cost_limit.close] if runtime.cost_limit is not None else []),
            runtime.authenticator.close,
            runtime.database.close,
        )
        runtime.passwords.close()
        metrics.close()


async def _close_each(timeout_s: float, *closes: Callable[[], Awaitable[Any]]) -> None:
    """Close one part after another; one that hangs or fails does not keep the others from it."""
    for close in closes:
        try:
            async with asyncio.timeout(timeout_s):
                await close()
        except Exception:  # noqa: BLE001 - the other parts are closed all the same
            _log.exception("A part of the server did not close")
