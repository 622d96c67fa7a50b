"""Reads that the followers of one change share."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from core.tasks import start_task

Found = TypeVar("Found")


class SharedReads:
    """Reads by key: whoever asks for one before it has begun shares it.

    One that has begun is not shared: what its reader was woken for may be newer.
    """

    def __init__(self) -> None:
        self._waiting: dict[Hashable, asyncio.Task[Any]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def read(self, key: Hashable, read: Callable[[], Awaitable[Found]]) -> Found:
        """Return what `read` finds, which depends on the key alone."""
        task = self._waiting.get(key)
        if task is None:
            task = self._waiting[key] = start_task(self._begin(key, read), self._tasks)
        found: Found = await asyncio.shield(task)
        return found

    async def _begin(self, key: Hashable, read: Callable[[], Awaitable[Found]]) -> Found:
        # All that a change has woken come before this goes on.
        await asyncio.sleep(0)
        del self._waiting[key]
        return await read()
