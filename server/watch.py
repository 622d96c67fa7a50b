"""Looks after the operations that run: whether anybody still waits for them, and whether they have had their time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

from starlette.requests import ClientDisconnect
from starlette.types import Receive

Result = TypeVar("Result")

_LOOK_EVERY_S: Final = 0.1
# Most operations are over before it is worth asking whether anybody still waits.
_LISTEN_AFTER_S: Final = 0.1


class Watch:
    """Looks at all that run, ten times a second and only while any do: a timer for each would cost more than most."""

    def __init__(self) -> None:
        self._running: set[_Running] = set()
        self._is_looking = False

    async def while_wanted(
        self, work: Coroutine[Any, Any, Result], receive: Receive | None, longest_s: float
    ) -> Result:
        """Await the work, but not longer than its client stays, or raise ClientDisconnect, nor than the time given.

        It is a TimeoutError then. What never waits is not watched at all.
        """
        try:
            waited_for = work.send(None)
        except StopIteration as end:
            result: Result = end.value
            return result
        running = _Bounded(receive, longest_s)
        self._add(running)
        try:
            return await _Begun(work, waited_for)
        except asyncio.CancelledError:
            if running.ended_by is None or running.task.cancelling() > 1:
                raise
            raise running.ended_by from None
        finally:
            self._remove(running)
            if running.ended_by is not None:
                running.task.uncancel()

    async def to_its_end(self, work: Awaitable[Result], receive: Receive | None, leave: Callable[[], None]) -> Result:
        """Await the work, however soon its client goes; `leave` is called then."""
        running = _Left(receive, leave)
        self._add(running)
        try:
            return await work
        finally:
            self._remove(running)

    def _add(self, running: "_Running") -> None:
        self._running.add(running)
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    def _remove(self, running: "_Running") -> None:
        self._running.discard(running)
        if running.listening is not None:
            running.listening.cancel()

    def _look(self) -> None:
        self._is_looking = bool(self._running)
        if not self._is_looking:
            return
        loop = asyncio.get_running_loop()
        for running in self._running:
            running.look(loop.time())
        loop.call_later(_LOOK_EVERY_S, self._look)


class _Begun(Generic[Result]):
    """Work that has run to where it first waits."""

    __slots__ = ("_waited_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, Result], waited_for: object) -> None:
        self._work = work
        self._waited_for = waited_for

    def __await__(self) -> Generator[Any, Any, Result]:
        waited_for = self._waited_for
        while True:
            try:
                value = yield waited_for
            except BaseException as error:  # noqa: BLE001 - cancelling is what it is mostly for
                resume = partial(self._work.throw, error)
            else:
                resume = partial(self._work.send, value)
            try:
                waited_for = resume()
            except StopIteration as end:
                result: Result = end.value
                return result


class _Running:
    """One operation, and the task that listens for its client's going once it has run for a while."""

    __slots__ = ("_receive", "_seen_at", "listening")

    def __init__(self, receive: Receive | None) -> None:
        self._receive = receive
        # Its time counts from the first look: few operations live to see one.
        self._seen_at: float | None = None
        self.listening: asyncio.Task[None] | None = None

    def look(self, now: float) -> float:
        """Begin to listen where it is time to; return how long it has run."""
        if self._seen_at is None:
            self._seen_at = now
        age_s = now - self._seen_at
        if self._receive is not None and self.listening is None and age_s >= _LISTEN_AFTER_S:
            self.listening = asyncio.create_task(self._listen(self._receive))
        return age_s

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.leave()

    def leave(self) -> None:
        """Hear that its client has gone."""
        raise NotImplementedError


class _Left(_Running):
    """One that goes on without its client, of whose going somebody is told."""

    __slots__ = ("_leave",)

    def __init__(self, receive: Receive | None, leave: Callable[[], None]) -> None:
        super().__init__(receive)
        self._leave = leave

    def leave(self) -> None:
        """Tell of it."""
        self._leave()


class _Bounded(_Running):
    """One that is ended when its client has gone, and when its time is over."""

    __slots__ = ("_longest_s", "ended_by", "task")

    def __init__(self, receive: Receive | None, longest_s: float) -> None:
        super().__init__(receive)
        self._longest_s = longest_s
        self.ended_by: Exception | None = None
        self.task = cast("asyncio.Task[object]", asyncio.current_task())

    def look(self, now: float) -> float:
        """End it where its time is over."""
        age_s = super().look(now)
        if age_s >= self._longest_s:
            self._end(TimeoutError())
        return age_s

    def leave(self) -> None:
        """End it: nobody wants it any more."""
        self._end(ClientDisconnect())

    def _end(self, reason: Exception) -> None:
        if self.ended_by is None:
            self.ended_by = reason
            self.task.cancel()
