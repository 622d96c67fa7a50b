"""Overload: requests that would wait too long for the processor are refused before any work is done for them."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from statistics import fmean as mean
from typing import Final, NamedTuple

from starlette.types import Message, Receive

from core.errors import UnavailableError

BUSY: Final = "The server is busy. Try again shortly."
# The longest that a request waits for its turn: what is answered comes within a second. Some dozen clients who each
# send the next request after the last answer always wait for each other, and none of them is to be refused.
MAX_WAIT_S: Final = 0.75
# Requests are refused as they arrive, once so many wait that one more is expected to wait for longer. Then it is for a
# while this part of it that a request may be expected to wait, so that few of those let in become too old.
TARGET_PART: Final = 2 / 3
REFUSING_S: Final = 10.0
# Some dozen clients are no more than that, however slow the machine is.
MIN_WAITING: Final = 64
# A loop that is late by less has time to spare.
BUSY_LAG_S: Final = 0.03
_SAMPLE_EVERY_S: Final = 0.05
_FIRST_COST_S: Final = 0.005
# How much of the cost of a request each sample makes, for each request in it; more while some are waiting.
_MAX_WEIGHT: Final = 0.1
_WEIGHT: Final = 0.005
_WEIGHT_WHILE_QUEUED: Final = 0.02
# By how much a sample may be above the cost: one in which the server stood still says little about those that follow.
_MAX_RISE: Final = 2.0
# The work that is begun in one turn of the event loop: for as long nobody is heard, and nobody refused.
_TURN_S: Final = 0.01
# How many requests are in progress at once: as many as the event loop has time for and, while all connections are in
# use, as end within this time. What takes longer is not counted for longer than that, for it waits for something else.
TARGET_S: Final = 0.1
MAX_COUNTED_S: Final = 0.25
_FIRST_LIMIT: Final = 16.0
MIN_LIMIT: Final = 4.0
_GROWTH: Final = 1.25
_DECREASE: Final = 0.8


class Overload:
    """Begins requests in turn, as many at once as end in time, and refuses those that would wait too long."""

    def __init__(self, is_database_busy: Callable[[], bool] = lambda: True) -> None:
        self._is_database_busy = is_database_busy
        self.cost_s = _FIRST_COST_S
        self.limit = _FIRST_LIMIT
        # Since when, the oldest first.
        self._in_progress: dict[Progress, float] = {}
        self._took_s: list[float] = []
        # In this turn of the event loop: those that have begun, and those that were let in and wait from the next on.
        self._begun = 0
        self._arriving = 0
        self._refusing_until_s = -math.inf
        self._queue: deque[_Waiter] = deque()

    @property
    def in_progress(self) -> int:
        """Return how many requests are in progress."""
        return len(self._in_progress)

    @property
    def waiting(self) -> int:
        """Return how many requests wait for their turn."""
        return len(self._queue) + self._arriving

    def admit(self) -> bool:
        """Let a request in that arrives, unless it has to be refused."""
        if self._refuses():
            return False
        self._await_next_turn()
        self._arriving += 1
        return True

    def _refuses(self) -> bool:
        """Return whether those that wait, times their cost, are too long a wait for one more."""
        expected_s, now_s = self.waiting * self.cost_s, time.perf_counter()
        if now_s < self._refusing_until_s:
            return expected_s > MAX_WAIT_S * TARGET_PART
        if expected_s <= MAX_WAIT_S or self.waiting < MIN_WAITING:
            return False
        self._refusing_until_s = now_s + REFUSING_S
        return True

    async def turn(self, progress: "Progress") -> None:
        """Wait until a request may begin, and begin it; raise UnavailableError where that takes too long."""
        if not self._queue and self._has_room:
            self._begin(progress)
            return
        if self._refuses():
            raise UnavailableError(BUSY)
        is_late = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiter(progress, is_late, time.perf_counter()))
        try:
            await is_late
        except asyncio.CancelledError:
            self.leave(progress)
            raise
        if is_late.result():
            raise UnavailableError(BUSY)

    @property
    def _has_room(self) -> bool:
        return self.in_progress < self.limit and self._begun * self.cost_s < _TURN_S

    def _begin(self, progress: "Progress") -> None:
        self._await_next_turn()
        self._begun += 1
        self.enter(progress)

    def _await_next_turn(self) -> None:
        if not (self._begun or self._arriving):
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._begun = self._arriving = 0
        self._advance()

    def _advance(self) -> None:
        """Begin those who wait, as far as there is room, and refuse those who have waited too long."""
        now_s = time.perf_counter()
        # Without refusals the server has only stood still for a moment, and all would be too old at once.
        oldest_s = now_s - MAX_WAIT_S if now_s < self._refusing_until_s else -math.inf
        while self._queue:
            is_late = self._queue[0].since_s < oldest_s
            if not (is_late or self._has_room):
                return
            waiter = self._queue.popleft()
            if not waiter.is_late.done():
                waiter.is_late.set_result(is_late)
                if not is_late:
                    self._begin(waiter.progress)

    def enter(self, progress: "Progress") -> None:
        """Count a request as in progress."""
        self._in_progress[progress] = time.perf_counter()

    def leave(self, progress: "Progress") -> float | None:
        """Count it no more, so that another may begin; return since when it was counted, if it was."""
        since_s = self._in_progress.pop(progress, None)
        if since_s is not None:
            self._advance()
        return since_s

    def end(self, progress: "Progress") -> None:
        """Count it no more, and note how long it took."""
        if (since_s := self.leave(progress)) is not None:
            self._took_s.append(time.perf_counter() - since_s)

    async def run(self) -> None:
        """Measure, until cancelled."""
        while True:
            began_s = time.perf_counter()
            used_s = time.process_time()
            await asyncio.sleep(_SAMPLE_EVERY_S)
            now_s = time.perf_counter()
            self._end_long(now_s)
            # While some wait no time is left, and what other processes take of it makes them wait too.
            used_s = now_s - began_s if self._queue else time.process_time() - used_s
            took_s, self._took_s = self._took_s, []
            self.sample(now_s - began_s - _SAMPLE_EVERY_S, used_s, took_s)

    def sample(self, lag_s: float, used_s: float, took_s: Sequence[float]) -> None:
        """Take in by how much the loop was late, the time that was used, and how long each request took that ended."""
        if took_s:
            weight = min(_MAX_WEIGHT, len(took_s) * (_WEIGHT_WHILE_QUEUED if self._queue else _WEIGHT))
            self.cost_s += weight * (min(used_s / len(took_s), _MAX_RISE * self.cost_s) - self.cost_s)
        if lag_s > BUSY_LAG_S or (took_s and mean(took_s) > TARGET_S and self._is_database_busy()):
            self.limit = max(MIN_LIMIT, self.limit * _DECREASE)
        elif self._queue and self.in_progress >= self.limit:
            self.limit = self.limit * _GROWTH if took_s else 2 * self.limit
        self._advance()

    def _end_long(self, now_s: float) -> None:
        for progress, since_s in [*self._in_progress.items()]:
            if now_s - since_s < MAX_COUNTED_S:
                return
            self.end(progress)


class _Waiter(NamedTuple):
    progress: "Progress"
    is_late: asyncio.Future[bool]
    since_s: float


class Progress:
    """The place that a request has among those in progress, from its turn to its end."""

    __slots__ = ("_has_begun", "_overload")

    def __init__(self, overload: Overload) -> None:
        self._overload = overload
        self._has_begun = False

    async def turn(self) -> None:
        """Wait for the turn of the request, once."""
        if not self._has_begun:
            self._has_begun = True
            await self._overload.turn(self)

    def in_turn(self, receive: Receive, is_gone: Callable[[], bool]) -> Receive:
        """Return a receive function that waits for the turn of the request when its body is complete.

        One whose client has gone by its turn is told so.
        """
        has_more = True

        async def receive_in_turn() -> Message:
            nonlocal has_more
            message = await receive()
            if not has_more:
                return message
            has_more = message.get("more_body", False)
            if not has_more and not is_gone():
                await self.turn()
            return {"type": "http.disconnect"} if is_gone() else message

        return receive_in_turn

    def end(self) -> None:
        """End it, if it has not ended."""
        self._overload.end(self)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave it out of the count while it waits for others of its user."""
        is_counted = self._overload.leave(self) is not None
        try:
            yield
        finally:
            if is_counted:
                self._overload.enter(self)


# That of the request which the current task answers.
current_progress: Final[ContextVar[Progress | None]] = ContextVar("current_progress", default=None)
