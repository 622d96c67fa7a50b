"""Locks by key: one at a time for each key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import UnavailableError


class KeyedLocks:
    """A lock for each key that is in use; those who wait for one get it in the order of asking."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._locks: dict[str, _Lock] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Hold the lock of a key; raise UnavailableError where it does not come free in time."""
        lock = self._locks.setdefault(key, _Lock())
        lock.users += 1
        try:
            await self._acquire(lock)
            try:
                yield
            finally:
                lock.release()
        finally:
            lock.users -= 1
            if not lock.users:
                del self._locks[key]

    async def _acquire(self, lock: "_Lock") -> None:
        if not lock.locked():
            await lock.acquire()
            return
        try:
            async with asyncio.timeout(self._timeout_s):
                await lock.acquire()
        except TimeoutError:
            raise UnavailableError("Other changes take too long. Try again shortly.") from None


class _Lock(asyncio.Lock):
    """With the number of those who hold it or wait for it."""

    users = 0
