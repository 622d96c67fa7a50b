"""The hub: who is woken by what, and who need not be."""

import asyncio

import pytest

from live.hub import Hub, WakeUp
from tests.waiting import PATIENCE_S


class Told(Hub):
    def __init__(self) -> None:
        self.kinds: list[WakeUp] = []
        super().__init__(self.kinds.append)


@pytest.fixture
def hub() -> Told:
    return Told()


async def test_wake_wakes_the_waiters_of_the_topic_and_is_kept_between_waits(hub: Told) -> None:
    with hub.waiting("ada") as first, hub.waiting("ada") as second, hub.waiting("eve") as other:
        assert sorted(hub.users) == ["ada", "eve"]
        assert [hub.count(name) for name in ("ada", "eve", "nobody")] == [2, 1, 0]
        assert hub.wake({"ada": 1, "nobody": 7}, WakeUp.LOCAL)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(first.wait(), second.wait())
        assert hub.kinds == [WakeUp.LOCAL, WakeUp.LOCAL]
        assert other.seen == -1
        hub.wake({"ada": 2}, WakeUp.LOCAL)
        hub.wake({"ada": 3}, WakeUp.NOTIFY)
        await first.wait()
        waiting = asyncio.create_task(first.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        hub.wake({"ada": 4}, WakeUp.POLL)
        await waiting
    assert hub.users == []


def test_seen_revision_wakes_nobody(hub: Told) -> None:
    with hub.waiting("ada") as waiter:
        waiter.seen = 5
        for kind in WakeUp:
            assert not hub.wake({"ada": 5}, kind)
        for kind in (WakeUp.LOCAL, WakeUp.NOTIFY, WakeUp.REDIS):
            assert not hub.wake({"ada": 4}, kind)
        assert hub.kinds == []
        assert hub.wake({"ada": 6}, WakeUp.NOTIFY)
        assert not hub.wake({"ada": 6}, WakeUp.POLL)


def test_poll_wakes_after_a_forged_signal(hub: Told) -> None:
    with hub.waiting("ada"):
        assert hub.wake({"ada": 1_000_000}, WakeUp.REDIS)
        assert hub.wake({"ada": 7}, WakeUp.POLL)
        assert not hub.wake({"ada": 7}, WakeUp.POLL)
        assert hub.wake({"ada": 8}, WakeUp.LOCAL)


def test_wake_without_waiters_does_nothing(hub: Told) -> None:
    with pytest.raises(ValueError, match="gone"), hub.waiting("ada"):
        raise ValueError("gone")
    assert not hub.wake({"ada": 1}, WakeUp.LOCAL)
    assert not hub.wake({}, WakeUp.POLL)
    assert hub.users == []


async def test_requested_poll_runs_at_once(hub: Told) -> None:
    async with asyncio.timeout(PATIENCE_S):
        hub.request_poll()
        await hub.wait_for_poll(3_600)
        resting = asyncio.create_task(hub.wait_for_poll(3_600))
        await asyncio.sleep(0)
        assert not resting.done()
        hub.request_poll()
        await resting
        await hub.wait_for_poll(0.001)
