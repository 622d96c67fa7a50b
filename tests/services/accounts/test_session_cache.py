"""The session cache: how long it keeps a status, what it shares, and that it never keeps what a commit made untrue."""

import asyncio

import pytest

from core.errors import UnavailableError
from services.accounts import session_cache
from services.accounts.session_cache import SessionCache, SessionStatus

ACTIVE = SessionStatus(is_admin=False)


class FakeLoad:
    """A query that counts its calls and waits until the test lets it finish."""

    def __init__(self, status: SessionStatus | None = ACTIVE, *, is_held: bool = False) -> None:
        self.status: SessionStatus | Exception | None = status
        self.calls = 0
        self.started, self.may_finish = asyncio.Event(), asyncio.Event()
        if not is_held:
            self.may_finish.set()

    async def __call__(self) -> SessionStatus | None:
        self.calls += 1
        self.started.set()
        status = self.status
        await self.may_finish.wait()
        if isinstance(status, Exception):
            raise status
        return status


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("services.accounts.session_cache.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("status", [ACTIVE, None])
async def test_status_is_cached_for_four_seconds(now_s: list[float], status: SessionStatus | None) -> None:
    cache, load = SessionCache(), FakeLoad(status)
    assert cache.get_cached("user", "session") is None
    for waited_s in (0, 0, 3.9):
        now_s[0] += waited_s
        assert await cache.get("user", "session", load) is status
        assert cache.get_cached("user", "session") is status
    assert load.calls == 1
    now_s[0] += 0.1
    load.status = None
    assert cache.get_cached("user", "session") is None
    assert await cache.get("user", "session", load) is None
    assert load.calls == 2
    # Its age counts from before the query.
    cache, load = SessionCache(), FakeLoad(is_held=True)
    slow = asyncio.create_task(cache.get("user", "session", load))
    await load.started.wait()
    now_s[0] += 4.5
    load.may_finish.set()
    assert await slow is ACTIVE
    await cache.get("user", "session", load)
    assert load.calls == 2


async def test_concurrent_requests_share_one_query_that_no_cancellation_ends() -> None:
    cache, load = SessionCache(), FakeLoad(is_held=True)
    waiting = [asyncio.create_task(cache.get("user", "session", load)) for _ in range(20)]
    await load.started.wait()
    waiting[0].cancel()
    await asyncio.sleep(0)
    load.may_finish.set()
    assert await asyncio.gather(*waiting[1:]) == [ACTIVE] * 19
    assert load.calls == 1


async def test_invalidate_drops_all_sessions_of_one_user_only() -> None:
    cache, load, load_other = SessionCache(), FakeLoad(), FakeLoad()
    await cache.get("other", "one", load_other)
    for status in (ACTIVE, None):
        load.status = status
        assert [await cache.get("user", session, load) for session in ("one", "two")] == [status] * 2
        cache.invalidate("user")
    assert await cache.get("other", "one", load_other) is ACTIVE
    assert (load.calls, load_other.calls) == (4, 1)


async def test_invalidate_discards_the_result_of_a_query_under_way() -> None:
    cache, load = SessionCache(), FakeLoad(is_held=True)
    waiting = asyncio.create_task(cache.get("user", "session", load))
    await load.started.wait()
    load.status = None
    cache.invalidate("user")
    later = asyncio.create_task(cache.get("user", "session", load))
    await asyncio.sleep(0)
    load.may_finish.set()
    assert [await waiting, await later, await cache.get("user", "session", load)] == [None] * 3
    assert load.calls == 2


async def test_failed_query_fails_every_waiter_and_is_not_cached() -> None:
    cache, load = SessionCache(), FakeLoad()
    load.status = UnavailableError("The database cannot answer now.")
    outcomes = await asyncio.gather(*(cache.get("user", "session", load) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    load.status = ACTIVE
    assert await cache.get("user", "session", load) is ACTIVE
    assert load.calls == 2


async def test_memory_is_bounded_for_all_users_and_for_one(now_s: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_cache, "_MAX_BYTES", 10 * 1024)
    cache, load = SessionCache(), FakeLoad()
    for number in range(15):
        await cache.get(f"user {number}", "session", load)
    assert [cache.get_cached(f"user {number}", "session") for number in range(15)] == [None] * 5 + [ACTIVE] * 10
    for number in range(9):
        await cache.get("user", number, load)
    now_s[0] += 4.0
    await cache.get("user", "after the others have expired", load)
    assert (len(cache.entries), cache.entries.size_bytes) == (2, 2 * 1024)
