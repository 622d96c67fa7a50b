"""The limit on wrong passwords."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import utc_now
from core.errors import RateLimitedError, UnavailableError
from core.settings import SettingsError
from services.accounts.rate_limit import SignInLimit
from tests.databases import make_settings
from tests.waiting import until_so

HERE = "192.0.2.1"
ELSEWHERE = "198.51.100.7"


def make_limit(**overrides: Any) -> SignInLimit:
    values = {"sign_in_attempts": 3, "sign_in_attempts_per_address": 7} | overrides
    return SignInLimit(make_settings("sqlite:///unused.db", **values))


async def guess(limit: SignInLimit, account: str = "ada", address: str = HERE, *, right: bool = False) -> None:
    async with limit.guess(account, address) as made:
        await asyncio.sleep(0)
        made.is_right = right


async def test_wrong_passwords_are_heard_so_often_and_the_refusal_says_until_when() -> None:
    limit = make_limit()
    begun_at = utc_now()
    await guess(limit)
    counted_by = utc_now()
    for _ in range(2):
        await guess(limit)
    with pytest.raises(RateLimitedError) as refusal:
        await guess(limit, right=True)
    # From the first wrong one on, in whole seconds at times.
    window, second = timedelta(minutes=5), timedelta(seconds=1)
    assert begun_at + window - second <= refusal.value.retry_at <= counted_by + window + second
    assert refusal.value.message.startswith(
        f"Too many wrong passwords. Try again after {refusal.value.retry_at:%Y-%m-%d}"
    )
    assert refusal.value.code == "RATE_LIMITED"


async def test_elsewhere_and_other_accounts_are_free() -> None:
    limit = make_limit()
    for _ in range(3):
        await guess(limit)
    await guess(limit, address=ELSEWHERE, right=True)
    await guess(limit, account="grace", right=True)
    with pytest.raises(RateLimitedError):
        await guess(limit)


async def test_right_passwords_cost_nothing_and_clear_the_account() -> None:
    limit = make_limit()
    for _ in range(20):
        await guess(limit, right=True)
    for _ in range(2):
        await guess(limit)
    await guess(limit, right=True)
    for _ in range(3):
        await guess(limit)
    with pytest.raises(RateLimitedError):
        await guess(limit)


async def test_one_address_guesses_at_many_accounts_only_so_often() -> None:
    limit = make_limit()
    for number in range(7):
        await guess(limit, account="an account of their own", right=True)
        await guess(limit, account=f"account {number}")
    with pytest.raises(RateLimitedError):
        await guess(limit, account="another")
    await guess(limit, account="another", address=ELSEWHERE)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "unknown", True),
        ("unknown", "", False),
    ],
)
async def test_a_network_of_ipv6_counts_as_one_address(one: str, other: str, *, is_same: bool) -> None:
    limit = make_limit(sign_in_attempts_per_address=1)
    await guess(limit, "ada", one)
    if is_same:
        with pytest.raises(RateLimitedError):
            await guess(limit, "grace", other)
    else:
        await guess(limit, "grace", other)


async def test_guesses_sent_all_together_gain_nothing() -> None:
    limit = make_limit()
    checked = 0

    async def check_slowly() -> None:
        nonlocal checked
        async with limit.guess("ada", HERE):
            checked += 1
            await asyncio.sleep(0.005)

    outcomes = await asyncio.gather(*(check_slowly() for _ in range(50)), return_exceptions=True)
    assert checked == 3
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [RateLimitedError] * 47


async def test_many_right_passwords_at_once_wait_and_are_all_heard() -> None:
    limit = make_limit()
    await asyncio.gather(*(guess(limit, right=True) for _ in range(50)))
    await asyncio.gather(*(guess(limit, f"account {number}", right=True) for number in range(50)))


async def test_what_breaks_off_is_not_counted_and_gives_its_place_back() -> None:
    limit = make_limit(sign_in_attempts=1)
    for _ in range(3):
        with pytest.raises(OSError, match="broken"):
            async with limit.guess("ada", HERE):
                raise OSError("broken")
    inside = asyncio.Event()

    async def hang() -> None:
        async with limit.guess("ada", HERE):
            inside.set()
            await asyncio.Event().wait()

    hanging = asyncio.create_task(hang())
    await inside.wait()
    waiting = asyncio.create_task(guess(limit, right=True))
    await asyncio.sleep(0)
    hanging.cancel()
    await waiting


@pytest.mark.parametrize("url", ["nonsense", "nonsense://", ""])
def test_a_storage_that_cannot_be_is_told_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="RATE_LIMIT_STORAGE is wrong"):
        make_limit(rate_limit_storage=url)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """Run a Redis for a test."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    socket = tmp_path / "redis.sock"
    with subprocess.Popen([program, "--port", "0", "--unixsocket", socket, "--save", ""], cwd=tmp_path) as process:
        yield f"redis+unix://{socket}"
        process.terminate()


async def test_redis_counts_for_all_processes(redis_url: str) -> None:
    limits = [make_limit(rate_limit_storage=redis_url, sign_in_attempts=2) for _ in range(2)]
    await until_so(lambda: _is_up(limits[0]))
    for limit in limits:
        await guess(limit, right=False)
    for limit in limits:
        with pytest.raises(RateLimitedError):
            await guess(limit, right=True)
        await limit.close()


async def _is_up(limit: SignInLimit) -> bool:
    try:
        await guess(limit, right=True)
    except UnavailableError:
        return False
    return True
