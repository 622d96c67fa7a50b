"""Waits for what resolvers return: each column goes on as soon as its own values are there."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from graphql.pyutils import is_awaitable

GoOn = Callable[[list[Any]], None]


class Column:
    """Values that are waited for together."""

    __slots__ = ("_left", "_schedule", "awaitables", "futures", "go_on")

    def __init__(self, schedule: "Schedule", awaitables: Sequence[Awaitable[Any]], go_on: GoOn) -> None:
        self._schedule = schedule
        self.go_on = go_on
        self.futures: list[asyncio.Future[Any]] = []
        self._left = len(awaitables)
        self.awaitables = awaitables

    def start(self) -> list[asyncio.Future[Any]]:
        """Let everything run at once."""
        self.futures = [asyncio.ensure_future(each) for each in self.awaitables]
        for future in self.futures:
            future.add_done_callback(self._count)
        return self.futures

    def end(self) -> None:
        """Hand the values over."""
        self.go_on([_outcome(future) for future in self.futures])

    def _count(self, _future: asyncio.Future[Any]) -> None:
        self._left -= 1
        if not self._left:
            self._schedule.ready(self)


class Schedule:
    """Everything that one execution waits for."""

    __slots__ = ("_background", "_new", "_ready", "_running", "_wake")

    def __init__(self) -> None:
        self._new: list[Column] = []
        self._running: set[Column] = set()
        self._ready: deque[Column] = deque()
        self._wake: asyncio.Future[None] | None = None
        self._background: set[asyncio.Future[Any]] = set()

    def add(self, awaitables: Sequence[Awaitable[Any]], go_on: GoOn) -> None:
        """Have a function called with what these give, exceptions among them."""
        self._new.append(Column(self, awaitables, go_on))

    def ready(self, column: Column) -> None:
        """Note that all values of a column are there."""
        self._ready.append(column)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def track(self, values: Sequence[Any]) -> None:
        """See to it that what nobody waits for is run, and its failure not complained of."""
        if awaitables := [value for value in values if is_awaitable(value)]:
            future = asyncio.gather(*awaitables, return_exceptions=True)
            self._background.add(future)
            future.add_done_callback(self._background.discard)

    @property
    def is_waiting(self) -> bool:
        """Tell whether there is anything to wait for."""
        return bool(self._new)

    async def finish(self) -> None:
        """Wait until nothing is left to wait for; cancelled, it cancels all of it."""
        try:
            while self._new or self._running:
                if len(self._new) == 1 and not self._running and len(self._new[0].awaitables) == 1:
                    # The only value is awaited without a task of its own.
                    column = self._new.pop()
                    try:
                        value = await column.awaitables[0]
                    except Exception as error:  # noqa: BLE001 - a resolver's failure is the field's value
                        value = error
                    column.go_on([value])
                    continue
                self._start()
                if not self._ready:
                    await self._sleep()
                while self._ready:
                    column = self._ready.popleft()
                    self._running.discard(column)
                    column.end()
        except BaseException:
            await self._abandon()
            raise

    def _start(self) -> None:
        new, self._new = self._new, []
        for column in new:
            self._running.add(column)
            column.start()

    async def _sleep(self) -> None:
        self._wake = asyncio.get_running_loop().create_future()
        try:
            await self._wake
        finally:
            self._wake = None

    async def _abandon(self) -> None:
        for column in self._new:
            for awaitable in column.awaitables:
                if asyncio.iscoroutine(awaitable):
                    awaitable.close()
        futures = [future for column in self._running for future in column.futures if not future.done()]
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)


def _outcome(future: asyncio.Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - a resolver's failure is the field's value
        return error
