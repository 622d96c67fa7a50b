"""The hub: who waits in this process for which user's changes."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum


class WakeUp(StrEnum):
    """What told of a change."""

    LOCAL = "local"
    NOTIFY = "notify"
    REDIS = "redis"
    POLL = "poll"


class Waiter:
    """One who waits for a user's changes; `seen` is the newest revision that it has looked for."""

    # There is one for every open subscription: an Event would take a kilobyte more.
    __slots__ = ("_awaited", "_is_due", "seen")

    def __init__(self) -> None:
        self._awaited: asyncio.Future[None] | None = None
        self._is_due = False
        self.seen = -1

    def wake(self, revision: int, kind: WakeUp) -> bool:
        """Let the waiter look, unless it has looked for this revision; return whether it was news."""
        # What the poll reads is so. A signal may be of another database, and must not keep the poll from waking.
        if revision == self.seen or (revision < self.seen and kind is not WakeUp.POLL):
            return False
        self.seen = revision
        self._is_due = True
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)
        return True

    async def wait(self) -> None:
        """Return when there may be something new since the last return; what came meanwhile counts."""
        if not self._is_due:
            self._awaited = asyncio.get_running_loop().create_future()
            try:
                await self._awaited
            finally:
                self._awaited = None
        self._is_due = False


class Hub:
    """Brings each change to those who wait for it; tells the observer what has woken them."""

    def __init__(self, observe: Callable[[WakeUp], None]) -> None:
        self._observe = observe
        self._waiters: defaultdict[str, set[Waiter]] = defaultdict(set)
        self._is_doubtful = asyncio.Event()

    @property
    def users(self) -> list[str]:
        """Name the users whom someone waits for."""
        return list(self._waiters)

    def count(self, user_id: str) -> int:
        """Return how many wait for a user's changes."""
        return len(self._waiters.get(user_id, ()))

    @contextmanager
    def waiting(self, user_id: str) -> Iterator[Waiter]:
        """Wait for a user's changes from now on."""
        waiter = Waiter()
        self._waiters[user_id].add(waiter)
        try:
            yield waiter
        finally:
            self._waiters[user_id].discard(waiter)
            if not self._waiters[user_id]:
                del self._waiters[user_id]

    def wake(self, revisions: Mapping[str, int], kind: WakeUp) -> bool:
        """Wake those who have not looked for these revisions; return whether there was anyone."""
        woken = 0
        for user_id in revisions.keys() & self._waiters.keys():
            for waiter in self._waiters[user_id]:
                woken += waiter.wake(revisions[user_id], kind)
        for _ in range(woken):
            self._observe(kind)
        return woken > 0

    def doubt(self) -> None:
        """Hear that a signal may have been missed, so that the poll should not wait for its time."""
        self._is_doubtful.set()

    async def rest(self, longest_s: float) -> None:
        """Return at the poll's time, or earlier where there is doubt."""
        with suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._is_doubtful.wait()
        self._is_doubtful.clear()
