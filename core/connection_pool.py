"""Connection pool in front of SQLAlchemy's: a bound that users share fairly, and idle connections."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from typing import Any, Final

import asyncpg
from sqlalchemy import PoolProxiedConnection, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from core.errors import UnavailableError
from core.permits import PermitQueue
from core.settings import Settings
from core.tasks import start_task
from core.workload import Workload, current_workload

_CHECK_IN_EVERY_S: Final = 1.0
_PING_AFTER_IDLE_S: Final = 5.0
_PING_TIMEOUT_S: Final = 2.0
_EXHAUSTED: Final = "The server is busy: no database connection came free. Try again shortly."
# A pool of this size or more keeps one connection for the server's own work.
_LEAST_SIZE_WITH_RESERVE: Final = 4


class ConnectionPool:
    """A pool of connections that users share fairly; who waits longer than the timeout gets an error.

    SQLAlchemy's pool opens, pings and recycles them. To check one out of it takes as long as a small read, so a
    released connection stays checked out for the next caller; those that are idle are checked in once a second.
    """

    def __init__(self, engine: AsyncEngine, settings: Settings) -> None:
        # Called once a second with the number of connections in use, until none is.
        self.on_sample: Callable[[int], None] = lambda _in_use: None
        self._engine = engine
        self._timeout_s = settings.database_pool_timeout_s
        size = settings.database_pool_size + settings.database_max_overflow
        self._permits = PermitQueue(
            size,
            per_user=settings.database_connections_per_user,
            per_request=settings.database_connections_per_request,
            reserve=1 if size >= _LEAST_SIZE_WITH_RESERVE else 0,
        )
        self._workloads: dict[PoolProxiedConnection, Workload | None] = {}
        self._idle: list[PoolProxiedConnection] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._distrusted_s = float("-inf")
        if engine.dialect.name == "postgresql":
            self._ping_before_use()

    @property
    def in_use(self) -> int:
        """Return how many connections are in use."""
        return self._permits.in_use

    @property
    def is_full(self) -> bool:
        """Return whether every connection is in use that users may have."""
        return self._permits.is_full

    def least_busy(self, workloads: Collection[Workload | None]) -> Workload | None:
        """Return which of several workloads uses the fewest connections."""
        return self._permits.least_busy(workloads)

    async def acquire(self) -> PoolProxiedConnection:
        """Return a connection, to be released or discarded."""
        workload = await self._acquire_permit()
        try:
            while True:
                connection = self._idle.pop() if self._idle else await self._engine.raw_connection()
                if not _is_closed(connection):
                    self._workloads[connection] = workload
                    return connection
                # As all are after a restart of PostgreSQL.
                await _close(connection)
        except BaseException:
            self._permits.give_back(workload)
            raise

    def release(self, connection: PoolProxiedConnection) -> None:
        """Return a connection, with no transaction open on it, to the idle ones."""
        if self._is_closed:
            self.discard(connection)
        else:
            self._idle.append(connection)
            self._permits.give_back(self._workloads.pop(connection))

    def discard(self, connection: PoolProxiedConnection) -> None:
        """Close a connection in an unknown state; it counts as in use until it is closed."""
        start_task(self._discard(connection), self._tasks)

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Permit the use of one connection of SQLAlchemy's pool, as by a session."""
        workload = await self._acquire_permit()
        try:
            if self._idle:
                await _check_in(self._idle.pop())
            yield
        finally:
            self._permits.give_back(workload)

    def distrust(self) -> None:
        """Ping every connection before its next use: their server may be gone, or no longer the primary."""
        self._distrusted_s = time.monotonic()
        idle, self._idle = self._idle, []
        for connection in idle:
            start_task(_check_in(connection), self._tasks)

    async def close(self) -> None:
        """Check in what is idle; what is released from now on is closed."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._idle:
            await _check_in(self._idle.pop())
        await asyncio.gather(*self._tasks)

    def _ping_before_use(self) -> None:
        """Ping a connection that was idle, which Neon may have dropped; a busy one needs no round trip for that."""
        pool = self._engine.sync_engine.pool

        @event.listens_for(pool, "connect")
        def note_new(_connection: Any, record: Any) -> None:
            record.info["trusted_since"] = time.monotonic()

        @event.listens_for(pool, "checkin")
        def note_idle(_connection: Any, record: Any) -> None:
            record.info["idle_since"] = time.monotonic()

        @event.listens_for(pool, "checkout")
        def ping(connection: Any, record: Any, _proxy: Any) -> None:
            now_s = time.monotonic()
            is_trusted = record.info["trusted_since"] > self._distrusted_s
            if not is_trusted or now_s - record.info.get("idle_since", now_s) >= _PING_AFTER_IDLE_S:
                connection.run_async(lambda driver: _ping(driver, must_be_writable=not is_trusted))
                record.info["trusted_since"] = now_s

    async def _acquire_permit(self) -> Workload | None:
        if self._timer is None:
            self._start_timer()
        workload = current_workload.get()
        if not self._permits.take(workload):
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._permits.wait(workload)
            except TimeoutError:
                raise UnavailableError(_EXHAUSTED) from None
        return workload

    def _start_timer(self) -> None:
        # In a context of its own: it is nobody's work.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_CHECK_IN_EVERY_S, self._sample, context=Context())

    def _sample(self) -> None:
        self._timer = None
        self.on_sample(self.in_use)
        if self._idle:
            start_task(self._check_in_some(len(self._idle)), self._tasks)
        if self.in_use or self._idle:
            self._start_timer()

    async def _check_in_some(self, count: int) -> None:
        with suppress(UnavailableError):
            for _ in range(count):
                async with self.permit():
                    pass

    async def _discard(self, connection: PoolProxiedConnection) -> None:
        try:
            await _close(connection)
        finally:
            self._permits.give_back(self._workloads.pop(connection))


async def _ping(driver: asyncpg.Connection, *, must_be_writable: bool) -> None:
    """Raise what makes SQLAlchemy replace the connection, unless it is good."""
    try:
        is_read_only = await driver.fetchval("SHOW transaction_read_only", timeout=_PING_TIMEOUT_S) == "on"
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise DisconnectionError("the connection was closed while it was idle") from error
    if is_read_only and must_be_writable:
        raise DisconnectionError("the connection is read-only")


def _is_closed(connection: PoolProxiedConnection) -> bool:
    driver = connection.driver_connection
    return isinstance(driver, asyncpg.Connection) and bool(driver.is_closed())


async def _close(connection: PoolProxiedConnection) -> None:
    await greenlet_spawn(connection.invalidate)
    connection.close()


async def _check_in(connection: PoolProxiedConnection) -> None:
    """Return a connection to SQLAlchemy's pool, which closes it where it has enough."""
    await asyncio.shield(greenlet_spawn(connection.close))
