"""Overload: requests that would wait too long for the processor are refused before any work is done for them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from starlette.types import Message, Receive

# The longest that a request should have to wait for those before it.
MAX_WAIT_S: Final = 0.5
# A loop that is late by less has time to spare.
BUSY_LAG_S: Final = 0.03
_SAMPLE_EVERY_S: Final = 0.05
_FIRST_COST_S: Final = 0.002
# How much of the cost of a request each sample makes, for each request in it.
_WEIGHT: Final = 0.005


class Overload:
    """Estimates how long a new request would wait: requests in progress, times the processor time of one.

    Waiting costs no processor time, so only while the event loop is late are requests refused.
    """

    def __init__(self) -> None:
        self.cost_s = _FIRST_COST_S
        self.in_progress = 0
        self._completed = 0
        self._is_busy = False

    @property
    def refuses(self) -> bool:
        """Return whether a new request has to be refused."""
        return self._is_busy and self.in_progress * self.cost_s > MAX_WAIT_S

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
            due_s = time.perf_counter() + _SAMPLE_EVERY_S
            used_s, completed = time.process_time(), self._completed
            await asyncio.sleep(_SAMPLE_EVERY_S)
            self.sample(time.perf_counter() - due_s, time.process_time() - used_s, self._completed - completed)

    def sample(self, lag_s: float, used_s: float, completed: int) -> None:
        """Take in by how much the loop was late, and the processor time of the requests that were completed."""
        self._is_busy = lag_s > BUSY_LAG_S
        if completed:
            weight = min(1.0, completed * _WEIGHT)
            self.cost_s += weight * (used_s / completed - self.cost_s)


class Progress:
    """A request in progress."""

    __slots__ = ("_has_ended", "_overload")

    def __init__(self, overload: Overload) -> None:
        self._overload = overload
        self._has_ended = False

    def without_body(self, receive: Receive) -> Receive:
        """Return a receive function; until the body is complete, the request that waits for it is not counted."""
        has_more = True

        async def receive_uncounted() -> Message:
            nonlocal has_more
            if not has_more:
                return await receive()
            with self.paused():
                message = await receive()
            has_more = message.get("more_body", False)
            return message

        return receive_uncounted

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
