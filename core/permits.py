"""Permits for something scarce, such as connections and threads, which users share fairly."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from itertools import chain
from typing import NamedTuple, TypeVar

from core.workload import Workload

Key = TypeVar("Key")


class PermitQueue:
    """At most `max_size` permits, and of these a bounded number for one user and one request.

    Who has to wait waits in a queue of their user's, and the queues take turns. The server's own work goes first, and
    `reserve` permits are kept for it.
    """

    def __init__(self, max_size: int, *, per_user: int, per_request: int, reserve: int = 0) -> None:
        self.in_use = 0
        self._max_size = max_size
        self._max_for_users = max_size - reserve
        self._per_user = per_user
        self._per_request = per_request
        self._in_use_by: Counter[str] = Counter()
        self._in_use_of: Counter[Workload] = Counter()
        self._waiting: OrderedDict[str | None, deque[_Waiter]] = OrderedDict()

    def take(self, workload: Workload | None) -> bool:
        """Take a permit if there is one for this workload; nobody who waits could have used it."""
        if not self._is_free(workload):
            return False
        self.in_use += 1
        if workload is not None:
            self._in_use_by[workload.key] += 1
            self._in_use_of[workload] += 1
        return True

    async def wait(self, workload: Workload | None) -> None:
        """Wait for a permit and take it."""
        key = None if workload is None else workload.key
        waiter = _Waiter(workload, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(key, deque()).append(waiter)
        try:
            await waiter.taken
        except BaseException:
            if waiter.taken.cancelled():
                self._remove(key, waiter)
            else:
                self.give_back(workload)
            raise

    @property
    def is_full(self) -> bool:
        """Tell whether no user may have one more."""
        return self.in_use >= self._max_for_users

    def waiting_of(self, key: str) -> int:
        """Return how many wait in the queue of a user, or of a stranger's address."""
        return len(self._waiting.get(key, ()))

    def least_busy(self, workloads: Collection[Workload | None]) -> Workload | None:
        """Return the workload whose user has, and waits for, the fewest permits; the server's own before any other."""
        users = [each for each in workloads if each is not None]
        if len(users) < len(workloads):
            return None
        return min(users, key=lambda user: self._in_use_by[user.key] + self.waiting_of(user.key))

    def give_back(self, workload: Workload | None) -> None:
        """Give a permit back, and to those who wait what they may have now."""
        self.in_use -= 1
        if workload is not None:
            _decrement(self._in_use_of, workload)
            _decrement(self._in_use_by, workload.key)
        while self._waiting and (found := self._next()) is not None:
            key, waiter = found
            self._remove(key, waiter)
            if key in self._waiting:
                self._waiting.move_to_end(key)
            self.take(waiter.workload)
            waiter.taken.set_result(None)

    def _is_free(self, workload: Workload | None) -> bool:
        if workload is None:
            return self.in_use < self._max_size
        return (
            self.in_use < self._max_for_users
            and self._in_use_of[workload] < self._per_request
            and self._in_use_by[workload.key] < self._per_user
        )

    def _next(self) -> "tuple[str | None, _Waiter] | None":
        """Return who is next of those who may have a permit now; who was cancelled this moment is about to leave."""
        if self.in_use >= self._max_size:
            return None
        own = {None: self._waiting[None]} if None in self._waiting else {}
        for key, queue in chain(own.items(), self._waiting.items()):
            for waiter in queue:
                if not waiter.taken.cancelled() and self._is_free(waiter.workload):
                    return key, waiter
        return None

    def _remove(self, key: str | None, waiter: "_Waiter") -> None:
        queue = self._waiting[key]
        queue.remove(waiter)
        if not queue:
            del self._waiting[key]


def _decrement(counter: Counter[Key], key: Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


class _Waiter(NamedTuple):
    workload: Workload | None
    taken: asyncio.Future[None]
