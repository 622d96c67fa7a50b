"""Connection pool in front of SQLAlchemy's: a bound that is first come, first served, and idle connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from core.errors import UnavailableError
from core.tasks import start_task

_CHECK_IN_EVERY_S: Final = 1.0
_EXHAUSTED: Final = "The server is busy: no database connection came free. Try again shortly."


class ConnectionPool:
    """A pool of at most `max_size` connections, first come, first served, or an error after the timeout.

    SQLAlchemy's pool opens, pings and recycles them. To check one out of it takes as long as a small read, so a
    released connection stays checked out for the next caller; those that are idle are checked in once a second.
    """

    def __init__(self, engine: AsyncEngine, *, max_size: int, timeout_s: float) -> None:
        self.in_use = 0
        # Called once a second with the number of connections in use, until none is.
        self.on_sample: Callable[[int], None] = lambda _in_use: None
        self._engine = engine
        self._timeout_s = timeout_s
        self._permits = asyncio.Semaphore(max_size)
        self._idle: list[PoolProxiedConnection] = []
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._tasks: set[asyncio.Task[Any]] = set()

    async def acquire(self) -> PoolProxiedConnection:
        """Return a connection, to be released or discarded."""
        await self._acquire_permit()
        try:
            while True:
                connection = self._idle.pop() if self._idle else await self._engine.raw_connection()
                if not _is_closed(connection):
                    return connection
                # As all are after a restart of PostgreSQL.
                await _close(connection)
        except BaseException:
            self._release_permit()
            raise

    def release(self, connection: PoolProxiedConnection) -> None:
        """Return a connection, with no transaction open on it, to the idle ones."""
        if self._is_closed:
            self.discard(connection)
        else:
            self._idle.append(connection)
            self._release_permit()

    def discard(self, connection: PoolProxiedConnection) -> None:
        """Close a connection in an unknown state; it counts as in use until it is closed."""
        start_task(self._discard(connection), self._tasks)

    @asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Permit the use of one connection of SQLAlchemy's pool, as by a session."""
        await self._acquire_permit()
        try:
            if self._idle:
                await _check_in(self._idle.pop())
            yield
        finally:
            self._release_permit()

    async def close(self) -> None:
        """Check in what is idle; what is released from now on is closed."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._idle:
            await _check_in(self._idle.pop())
        await asyncio.gather(*self._tasks)

    async def _acquire_permit(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_IN_EVERY_S, self._sample)
        if self._permits.locked():
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._permits.acquire()
            except TimeoutError:
                raise UnavailableError(_EXHAUSTED) from None
        else:
            await self._permits.acquire()
        self.in_use += 1

    def _release_permit(self) -> None:
        self.in_use -= 1
        self._permits.release()

    def _sample(self) -> None:
        self._timer = None
        self.on_sample(self.in_use)
        if self._idle:
            start_task(self._check_in_idle(len(self._idle)), self._tasks)
        if self.in_use or self._idle:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_IN_EVERY_S, self._sample)

    async def _check_in_idle(self, count: int) -> None:
        with suppress(UnavailableError):
            for _ in range(count):
                async with self.permit():
                    pass

    async def _discard(self, connection: PoolProxiedConnection) -> None:
        try:
            await _close(connection)
        finally:
            self._release_permit()


def _is_closed(connection: PoolProxiedConnection) -> bool:
    driver = connection.driver_connection
    return isinstance(driver, asyncpg.Connection) and bool(driver.is_closed())


async def _close(connection: PoolProxiedConnection) -> None:
    await greenlet_spawn(connection.invalidate)
    connection.close()


async def _check_in(connection: PoolProxiedConnection) -> None:
    """Return a connection to SQLAlchemy's pool, which closes it where it has enough."""
    await asyncio.shield(greenlet_spawn(connection.close))
