"""Waits for what resolvers return: each column goes on as soon as its own values are there."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from graphql.pyutils import is_awaitable

GoOn = Callable[[list[Any]], None]


class Column:
    """Values that are waited for together."""

    __slots__ = ("_left", "_when_there", "awaitables", "futures", "go_on")

    def __init__(self, awaitables: Sequence[Awaitable[Any]], go_on: GoOn) -> None:
        self.awaitables = awaitables
        self.go_on = go_on
        self.futures: list[asyncio.Future[Any]] = []
        self._left = len(awaitables)

    def start(self, when_there: Callable[["Column"], None]) -> None:
        """Let everything run at once; a function is told when all of it is there."""
        self._when_there = when_there
        self.futures = [asyncio.ensure_future(each) for each in self.awaitables]
        for future in self.futures:
            future.add_done_callback(self._count)

    def end(self) -> None:
        """Hand the values over."""
        self.go_on([_outcome(future) for future in self.futures])

    def _count(self, _future: asyncio.Future[Any]) -> None:
        self._left -= 1
        if not self._left:
            self._when_there(self)


class _Side:
    """Columns that run side by side."""

    def __init__(self) -> None:
        self.running: set[Column] = set()
        self._ready: deque[Column] = deque()
        self._wake: asyncio.Future[None] | None = None

    def start(self, columns: Iterable[Column]) -> None:
        """Let columns run."""
        for column in columns:
            self.running.add(column)
            column.start(self._note)

    def _note(self, column: Column) -> None:
        self._ready.append(column)
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def end_some(self) -> None:
        """Wait until some columns are there, and have them go on."""
        if not self._ready:
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        while self._ready:
            column = self._ready.popleft()
            self.running.discard(column)
            column.end()

    async def cancel(self) -> None:
        """End all that runs."""
        # Of those that are there, too, a failure has to be taken note of.
        futures = [future for column in self.running for future in column.futures]
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)


class Schedule:
    """Everything that one execution waits for."""

    __slots__ = ("_background", "_new", "_side")

    def __init__(self) -> None:
        self._new: list[Column] = []
        # Both are made when they are needed: mostly there is one value at a time.
        self._side: _Side | None = None
        self._background: set[asyncio.Future[Any]] | None = None

    def add(self, awaitables: Sequence[Awaitable[Any]], go_on: GoOn) -> None:
        """Have a function called with what these give, exceptions among them."""
        self._new.append(Column(awaitables, go_on))

    def track(self, values: Sequence[Any]) -> None:
        """See to it that what nobody waits for is run, and its failure not complained of."""
        if awaitables := [value for value in values if is_awaitable(value)]:
            future = asyncio.gather(*awaitables, return_exceptions=True)
            self._background = self._background or set()
            self._background.add(future)
            future.add_done_callback(self._background.discard)

    @property
    def is_waiting(self) -> bool:
        """Tell whether there is anything to wait for."""
        return bool(self._new)

    async def finish(self) -> None:
        """Wait until nothing is left to wait for; cancelled, it cancels all of it."""
        try:
            while self._new:
                if len(self._new) == 1 and len(self._new[0].awaitables) == 1:
                    # The only value is awaited without a task of its own.
                    column = self._new.pop()
                    try:
                        value = await column.awaitables[0]
                    except Exception as error:  # noqa: BLE001 - a resolver's failure is the field's value
                        value = error
                    column.go_on([value])
                else:
                    await self._finish_side_by_side()
        except BaseException:
            await self._abandon()
            raise

    async def _finish_side_by_side(self) -> None:
        side = self._side = _Side()
        while self._new or side.running:
            new, self._new = self._new, []
            side.start(new)
            await side.end_some()

    async def _abandon(self) -> None:
        for column in self._new:
            for awaitable in column.awaitables:
                if asyncio.iscoroutine(awaitable):
                    awaitable.close()
        if self._side is not None:
            await self._side.cancel()


def _outcome(future: asyncio.Future[Any]) -> Any:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - a resolver's failure is the field's value
        return error
