"""Overload on a clock of its own: who waits, who is refused and when, where each request takes the processor's time."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from core.errors import UnavailableError
from server.http.overload import MAX_WAIT_S, Overload, Progress

# A list of some rows on SQLite, and what refusing takes.
COST_S: Final = 0.006
_REFUSAL_S: Final = 0.000_03
_SOON_S: Final = 0.1
_PARTS: Final = 3


class Clock:
    """Time that passes by work and by waiting for nothing else."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.used_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s

    def process_time(self) -> float:
        return self.used_s

    def work(self, seconds: float) -> None:
        self.now_s += seconds
        self.used_s += seconds


class ClockLoop(asyncio.SelectorEventLoop):
    """Event loop that takes its time from a clock, and moves it on when there is nothing to do."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        select = self._selector.select  # type: ignore[attr-defined]

        def select_at_once(timeout: float | None = None) -> Any:
            clock.now_s += timeout or 0
            return select(0)

        self._selector.select = select_at_once  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._clock.now_s


@dataclass
class Machine:
    """One processor, which answers requests; times count from when a request came."""

    clock: Clock
    overload: Overload = field(default_factory=Overload)
    chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - no secret
    answered_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)

    async def answer(self, came_s: float) -> None:
        progress = Progress(self.overload)
        try:
            await progress.turn()
            for _ in range(_PARTS):
                self.clock.work(self.chance.expovariate(_PARTS / COST_S))
                await asyncio.sleep(0)
        except UnavailableError:
            self.refused_s.append(self.clock.now_s - came_s)
        else:
            self.answered_s.append(self.clock.now_s - came_s)
        progress.end()

    def refuses(self, came_s: float) -> bool:
        if self.overload.admit():
            return False
        self.clock.work(_REFUSAL_S)
        self.refused_s.append(self.clock.now_s - came_s)
        return True

    async def offer(self, rate: float, seconds: float) -> None:
        """Let requests come at a rate, whatever becomes of them."""
        began_s, number, requests = self.clock.now_s, 0, []
        while number < rate * seconds:
            # What has come while the processor worked is there at once.
            while (came_s := began_s + number / rate) <= self.clock.now_s:
                number += 1
                if not self.refuses(came_s):
                    requests.append(asyncio.create_task(self.answer(came_s)))
            await asyncio.sleep(0 if self.overload.in_progress else came_s - self.clock.now_s)
        await asyncio.gather(*requests)

    async def serve_clients(self, count: int, seconds: float) -> None:
        """Let clients send their next request when they have an answer."""
        until_s = self.clock.now_s + seconds

        async def send() -> None:
            while self.clock.now_s < until_s:
                if not self.refuses(self.clock.now_s):
                    await self.answer(self.clock.now_s)
                await asyncio.sleep(_REFUSAL_S)

        await asyncio.gather(*(send() for _ in range(count)))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    clock = Clock()
    monkeypatch.setattr("server.http.overload.MAX_WAIT_S", MAX_WAIT_S)
    monkeypatch.setattr("server.http.overload.time", clock)
    return Machine(clock)


def run(machine: Machine, *works: Coroutine[Any, Any, None]) -> None:
    """Do works one after the other while what they take is measured."""

    async def play() -> None:
        measuring = asyncio.create_task(machine.overload.run())
        for work in works:
            await work
        measuring.cancel()

    loop = ClockLoop(machine.clock)
    try:
        loop.run_until_complete(play())
    finally:
        loop.close()


def percentile(times_s: list[float], percent: int) -> float:
    return sorted(times_s)[len(times_s) * percent // 100]


def test_too_many_requests_are_refused_at_once_and_the_others_answered_in_time(machine: Machine) -> None:
    run(machine, machine.offer(10 / COST_S, 30))
    assert len(machine.answered_s) > 0.8 * 30 / COST_S
    assert percentile(machine.answered_s, 99) < 1
    assert percentile(machine.refused_s, 99) < _SOON_S
    # Two seconds later nobody is refused any more.
    machine.refused_s.clear()
    run(machine, asyncio.sleep(2), machine.offer(0.5 / COST_S, 3))
    assert machine.refused_s == []


@pytest.mark.parametrize("slower", [1, 5])
def test_clients_that_wait_for_their_answers_are_not_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, slower: int
) -> None:
    monkeypatch.setattr(f"{__name__}.COST_S", slower * COST_S)

    async def stand_still() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            machine.clock.now_s += 1

    async def serve() -> None:
        await asyncio.gather(machine.serve_clients(64, 6), stand_still())

    run(machine, serve())
    assert len(machine.answered_s) > 64
    assert machine.refused_s == []
