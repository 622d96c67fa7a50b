"""Overload: requests that would wait too long for the processor are refused before any work is done for them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from starlette.types import Message, Receive

from core.errors import UnavailableError

# The longest that a request should have to wait for those before it.
MAX_WAIT_S: Final = 0.5
# A loop that is late by less has time to spare.
BUSY_LAG_S: Final = 0.03
_SAMPLE_EVERY_S: Final = 0.05
_FIRST_COST_S: Final = 0.002
# How much of the cost of a request each sample makes, for each request in it; more while some are waiting.
_WEIGHT: Final = 0.005
_WEIGHT_WHILE_QUEUED: Final = 0.05
# The work that is begun in one turn of the event loop: for as long nobody is heard, and nobody refused.
_TURN_S: Final = 0.01


class _Waiter(NamedTuple):
    is_late: asyncio.Future[bool]
    since_s: float


class Overload:
    """Begins requests in turn, and estimates how long a new one would wait: those before it, times their cost.

    Waiting for others costs no processor time, so only while the event loop is late do requests in progress count.
    """

    def __init__(self) -> None:
        self.cost_s = _FIRST_COST_S
        self.in_progress = 0
        self._completed = 0
        self._is_late = False
        self._begun = 0
        self._queue: deque[_Waiter] = deque()

    @property
    def refuses(self) -> bool:
        """Return whether a new request has to be refused."""
        before = self.in_progress if self._is_late else len(self._queue)
        return before * self.cost_s > MAX_WAIT_S

    async def turn(self) -> None:
        """Wait until the requests before this one are begun; raise UnavailableError where that took too long."""
        if not self._queue and self._begun * self.cost_s < _TURN_S:
            self._begin()
            return
        waiter = _Waiter(asyncio.get_running_loop().create_future(), time.perf_counter())
        self._queue.append(waiter)
        if await waiter.is_late:
            raise UnavailableError("The server is busy. Try again shortly.")

    def _begin(self) -> None:
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._next_turn)
        self._begun += 1

    def _next_turn(self) -> None:
        self._begun, now_s = 0, time.perf_counter()
        while self._queue and self._begun * self.cost_s < _TURN_S:
            waiter = self._queue.popleft()
            if not waiter.is_late.done():
                is_late = now_s - waiter.since_s > MAX_WAIT_S
                waiter.is_late.set_result(is_late)
                if not is_late:
                    self._begin()

    def begin(self) -> "Progress":
        """Count a request as in progress, until that ends."""
        self.in_progress += 1
        progress = Progress(self)
        current_progress.set(progress)
        return progress

    def end(self) -> None:
        """Count a request as completed."""
        self.in_progress -= 1
        self._completed += 1

    async def run(self) -> None:
        """Measure, until cancelled."""
        while True:
            began_s = time.perf_counter()
            used_s, completed = time.process_time(), self._completed
            await asyncio.sleep(_SAMPLE_EVERY_S)
            took_s = time.perf_counter() - began_s
            # While some wait no time is left, and what other processes take of it makes them wait too.
            used_s = took_s if self._queue else time.process_time() - used_s
            self.sample(took_s - _SAMPLE_EVERY_S, used_s, self._completed - completed)

    def sample(self, lag_s: float, used_s: float, completed: int) -> None:
        """Take in by how much the loop was late, and the time that the requests took which were completed."""
        self._is_late = lag_s > BUSY_LAG_S
        if completed:
            weight = min(1.0, completed * (_WEIGHT_WHILE_QUEUED if self._queue else _WEIGHT))
            self.cost_s += weight * (used_s / completed - self.cost_s)


class Progress:
    """A request in progress."""

    __slots__ = ("_has_ended", "_overload")

    def __init__(self, overload: Overload) -> None:
        self._overload = overload
        self._has_ended = False

    def in_turn(self, receive: Receive, is_gone: Callable[[], bool]) -> Receive:
        """Return a receive function that waits for the turn of the request when its body is complete.

        Until then it is not counted. One whose client has gone by its turn is told so.
        """
        has_more = True

        async def receive_in_turn() -> Message:
            nonlocal has_more
            if not has_more:
                return await receive()
            with self.paused():
                message = await receive()
            has_more = message.get("more_body", False)
            if not has_more:
                await self._overload.turn()
            return {"type": "http.disconnect"} if is_gone() else message

        return receive_in_turn

    def end(self) -> None:
        """End it, if it has not ended."""
        if not self._has_ended:
            self._has_ended = True
            self._overload.end()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave it out of the count while it waits for its client, or for others of its user."""
        self._overload.in_progress -= 1
        try:
            yield
        finally:
            self._overload.in_progress += 1


# That of the request which the current task answers.
current_progress: Final[ContextVar[Progress | None]] = ContextVar("current_progress", default=None)
