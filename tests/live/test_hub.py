"""The hub: who is woken by what, and who need not be."""

import asyncio

import pytest

from live.hub import Hub, WakeUp
from tests.waiting import PATIENCE_S


class Told:
    """A hub, and what it has told its observer."""

    def __init__(self) -> None:
        self.kinds: list[WakeUp] = []
        self.hub = Hub(self.kinds.append)


@pytest.fixture
def told() -> Told:
    return Told()


async def test_wake_wakes_the_waiters_of_the_topic(told: Told) -> None:
    with told.hub.waiting("ada") as first, told.hub.waiting("ada") as second, told.hub.waiting("eve") as other:
        assert sorted(told.hub.users) == ["ada", "eve"]
        assert [told.hub.count(name) for name in ("ada", "eve", "nobody")] == [2, 1, 0]
        assert told.hub.wake({"ada": 1, "nobody": 7}, WakeUp.LOCAL)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(first.wait(), second.wait())
        assert told.kinds == [WakeUp.LOCAL, WakeUp.LOCAL]
        assert other.seen == -1
    assert told.hub.users == []


async def test_wake_up_between_waits_is_kept(told: Told) -> None:
    with told.hub.waiting("ada") as waiter:
        told.hub.wake({"ada": 1}, WakeUp.LOCAL)
        told.hub.wake({"ada": 2}, WakeUp.NOTIFY)
        await waiter.wait()
        waiting = asyncio.create_task(waiter.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        told.hub.wake({"ada": 3}, WakeUp.POLL)
        await waiting


def test_seen_revision_wakes_nobody(told: Told) -> None:
    with told.hub.waiting("ada") as waiter:
        waiter.seen = 5
        for kind in WakeUp:
            assert not told.hub.wake({"ada": 5}, kind)
        for kind in (WakeUp.LOCAL, WakeUp.NOTIFY, WakeUp.REDIS):
            assert not told.hub.wake({"ada": 4}, kind)
        assert told.kinds == []
        assert told.hub.wake({"ada": 6}, WakeUp.NOTIFY)
        assert not told.hub.wake({"ada": 6}, WakeUp.POLL)


def test_poll_wakes_after_a_forged_signal(told: Told) -> None:
    with told.hub.waiting("ada"):
        assert told.hub.wake({"ada": 1_000_000}, WakeUp.REDIS)
        assert told.hub.wake({"ada": 7}, WakeUp.POLL)
        assert not told.hub.wake({"ada": 7}, WakeUp.POLL)
        assert told.hub.wake({"ada": 8}, WakeUp.LOCAL)


def test_wake_without_waiters_does_nothing(told: Told) -> None:
    assert not told.hub.wake({"ada": 1}, WakeUp.LOCAL)
    assert not told.hub.wake({}, WakeUp.POLL)
    assert told.hub.users == []


def test_waiter_is_removed_after_an_error(told: Told) -> None:
    with pytest.raises(ValueError, match="gone"), told.hub.waiting("ada"):
        raise ValueError("gone")
    assert told.hub.users == []


async def test_requested_poll_runs_at_once(told: Told) -> None:
    async with asyncio.timeout(PATIENCE_S):
        told.hub.request_poll()
        await told.hub.wait_for_poll(3_600)
        resting = asyncio.create_task(told.hub.wait_for_poll(3_600))
        await asyncio.sleep(0)
        assert not resting.done()
        told.hub.request_poll()
        await resting
        await told.hub.wait_for_poll(0.001)
