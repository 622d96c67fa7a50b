"""The rate limit of wrong passwords."""

import asyncio
from datetime import timedelta
from itertools import repeat
from typing import Any

import pytest

from core.clock import utc_now
from core.errors import RateLimitedError
from core.settings import SettingsError
from services.accounts.rate_limit import AccountRateLimits
from tests.databases import make_settings
from tests.live.programs import needs_redis, redis
from tests.services.account_services import ELSEWHERE, HERE


def make_limit(**overrides: Any) -> AccountRateLimits:
    values = {"sign_in_attempts": 3, "sign_in_attempts_per_address": 7} | overrides
    return AccountRateLimits(make_settings("sqlite:///unused.db", **values))


async def attempt(
    limit: AccountRateLimits, account: str = "ada", address: str = HERE, *, correct: bool = False
) -> None:
    async with limit.attempt(account, address) as made:
        await asyncio.sleep(0)
        made.is_correct = correct


async def is_limited(limit: AccountRateLimits, account: str = "ada", address: str = HERE) -> bool:
    try:
        await attempt(limit, account, address, correct=True)
    except RateLimitedError:
        return True
    return False


async def test_wrong_passwords_are_limited_and_the_error_tells_until_when() -> None:
    limit = make_limit()
    begun_at = utc_now()
    await attempt(limit)
    counted_by = utc_now()
    await attempt(limit)
    await attempt(limit)
    with pytest.raises(RateLimitedError) as refusal:
        await attempt(limit, correct=True)
    # The window starts with the first wrong password; its end may be rounded to seconds.
    window, second = timedelta(minutes=5), timedelta(seconds=1)
    retry_at = refusal.value.retry_at
    assert begun_at + window - second <= retry_at <= counted_by + window + second
    assert refusal.value.message.startswith(f"Too many wrong passwords. Try again after {retry_at:%Y-%m-%d}")
    assert refusal.value.code == "RATE_LIMITED"
    assert not await is_limited(limit, address=ELSEWHERE)
    assert not await is_limited(limit, account="grace")
    assert await is_limited(limit)


async def test_correct_passwords_do_not_count_and_reset_the_account() -> None:
    limit = make_limit()
    for is_correct in (*[True] * 20, False, False, True, False, False, False):
        await attempt(limit, correct=is_correct)
    assert await is_limited(limit)


async def test_one_address_is_limited_across_accounts() -> None:
    limit = make_limit()
    for number in range(7):
        await attempt(limit, account="an account of their own", correct=True)
        await attempt(limit, account=f"account {number}")
    assert await is_limited(limit, account="another")
    assert not await is_limited(limit, account="another", address=ELSEWHERE)


async def test_ipv6_network_counts_as_one_address() -> None:
    for one, other, is_same in (
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
        ("unknown", "", False),
    ):
        limit = make_limit(sign_in_attempts_per_address=1)
        await attempt(limit, "ada", one)
        assert await is_limited(limit, "grace", other) is is_same


async def test_concurrent_attempts_get_no_more_than_the_limit_and_correct_ones_all_succeed() -> None:
    outcomes = await asyncio.gather(*map(attempt, repeat(make_limit(), 50)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [RateLimitedError] * 47
    limit = make_limit()
    await asyncio.gather(*(attempt(limit, correct=True) for _ in range(50)))
    await asyncio.gather(*(attempt(limit, f"account {number}", correct=True) for number in range(50)))


async def test_failed_or_cancelled_verification_does_not_count_and_frees_its_slot() -> None:
    limit = make_limit(sign_in_attempts=1)
    for _ in range(3):
        with pytest.raises(OSError, match="broken"):
            async with limit.attempt("ada", HERE):
                raise OSError("broken")
    inside = asyncio.Event()

    async def hang() -> None:
        async with limit.attempt("ada", HERE):
            inside.set()
            await asyncio.Event().wait()

    hanging = asyncio.create_task(hang())
    await inside.wait()
    waiting = asyncio.create_task(attempt(limit, correct=True))
    await asyncio.sleep(0)
    hanging.cancel()
    await waiting


@pytest.mark.parametrize("url", ["nonsense", "nonsense://", ""])
def test_unknown_storage_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError, match="RATE_LIMIT_STORAGE is wrong"):
        make_limit(rate_limit_storage=url)


@needs_redis
async def test_redis_counts_across_processes() -> None:
    async with redis() as server:
        limits = [make_limit(rate_limit_storage=server.url, sign_in_attempts=2) for _ in range(2)]
        for limit in limits:
            await attempt(limit)
        for limit in limits:
            assert await is_limited(limit)
            await limit.close()
