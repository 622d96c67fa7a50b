"""Awaitables of an execution: those of one field are awaited together, and completed when all of them are done."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from graphql.pyutils import is_awaitable

Complete: TypeAlias = Callable[[list[Any]], None]


class PendingResults:
    """All that one execution awaits."""

    __slots__ = ("_new", "_running", "_tracked")

    def __init__(self) -> None:
        self._new: list[tuple[Sequence[Awaitable[Any]], Complete]] = []
        self._running: dict[asyncio.Future[list[Any]], Complete] = {}
        self._tracked: set[asyncio.Future[list[Any]]] = set()

    def add(self, awaitables: Sequence[Awaitable[Any]], complete: Complete) -> None:
        """Have a function called with the results of awaitables, exceptions among them."""
        self._new.append((awaitables, complete))

    def track(self, values: Sequence[Any]) -> None:
        """Run awaitables whose results nobody needs; their exceptions are ignored."""
        if awaitables := [value for value in values if is_awaitable(value)]:
            future = asyncio.gather(*awaitables, return_exceptions=True)
            self._tracked.add(future)
            future.add_done_callback(self._tracked.discard)

    async def complete_all(self) -> None:
        """Await everything, also what is added meanwhile; cancel all of it when cancelled."""
        try:
            while self._new or self._running:
                if not self._running and len(self._new) == 1 and len(self._new[0][0]) == 1:
                    await self._complete_only()
                else:
                    await self._complete_next()
        except BaseException:
            await self._cancel()
            raise

    async def _complete_only(self) -> None:
        """Await the only awaitable without a task of its own."""
        (awaitable,), complete = self._new.pop()
        try:
            result = await awaitable
        except Exception as error:  # noqa: BLE001 - it is the field's error
            result = error
        complete([result])

    async def _complete_next(self) -> None:
        """Start what is new, and complete what is done first."""
        for awaitables, complete in self._new:
            self._running[asyncio.gather(*awaitables, return_exceptions=True)] = complete
        self._new.clear()
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        for future in [future for future in self._running if future in done]:
            complete = self._running.pop(future)
            results = future.result()
            for result in results:
                if isinstance(result, asyncio.CancelledError):
                    raise result
            complete(results)

    async def _cancel(self) -> None:
        for awaitables, _ in self._new:
            for awaitable in awaitables:
                if asyncio.iscoroutine(awaitable):
                    awaitable.close()
        for future in self._running:
            future.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
