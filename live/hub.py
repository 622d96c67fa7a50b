"""Subscribers that wait in this process, and what wakes them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum


class WakeUp(StrEnum):
    """Where the news of a change came from."""

    LOCAL = "local"
    NOTIFY = "notify"
    REDIS = "redis"
    POLL = "poll"


class Waiter:
    """One waiting subscriber; `seen` is the newest revision that it has been woken for."""

    # There is one for every open subscription: an Event would take a kilobyte more.
    __slots__ = ("_future", "_is_due", "seen")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._is_due = False
        self.seen = -1

    def wake(self, revision: int, kind: WakeUp) -> bool:
        """Wake the subscriber, unless it has seen this revision; return whether it was woken."""
        # The poll reads the database. A signal may be forged, and must not keep the poll from waking.
        if revision == self.seen or (revision < self.seen and kind is not WakeUp.POLL):
            return False
        self.seen = revision
        self._is_due = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
        return True

    async def wait(self) -> None:
        """Return at the next wake-up; one since the last return counts."""
        if not self._is_due:
            self._future = asyncio.get_running_loop().create_future()
            try:
                await self._future
            finally:
                self._future = None
        self._is_due = False


class Hub:
    """Waiting subscribers by topic (a user or a reply); reports each wake-up to the observer."""

    def __init__(self, observe: Callable[[WakeUp], None]) -> None:
        self._observe = observe
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._poll_requested = asyncio.Event()

    @property
    def users(self) -> list[str]:
        """Return the topics that have subscribers."""
        return list(self._waiters)

    def count(self, user_id: str) -> int:
        """Return the number of a topic's subscribers."""
        return len(self._waiters.get(user_id, ()))

    @contextmanager
    def waiting(self, user_id: str) -> Iterator[Waiter]:
        """Subscribe to a topic while the context is open."""
        waiter = Waiter()
        self._waiters[user_id].add(waiter)
        try:
            yield waiter
        finally:
            self._waiters[user_id].discard(waiter)
            if not self._waiters[user_id]:
                del self._waiters[user_id]

    def wake(self, revisions: Mapping[str, int], kind: WakeUp) -> bool:
        """Wake the subscribers that have not seen these revisions; return whether there were any."""
        woken = 0
        for user_id in revisions.keys() & self._waiters.keys():
            for waiter in self._waiters[user_id]:
                woken += waiter.wake(revisions[user_id], kind)
        for _ in range(woken):
            self._observe(kind)
        return woken > 0

    def request_poll(self) -> None:
        """Let the next poll run at once: a signal may have been missed."""
        self._poll_requested.set()

    async def wait_for_poll(self, interval_s: float) -> None:
        """Return after the interval, or as soon as a poll is requested."""
        with suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                await self._poll_requested.wait()
        self._poll_requested.clear()
