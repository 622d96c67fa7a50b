"""The gate: what it remembers, for how long, and that it never keeps what a commit made untrue."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from core.errors import UnavailableError
from services.accounts.session_cache import Gate, Standing

ADMITTED = Standing(is_admin=False)


class Questions:
    """Counts what is asked, and answers when the test says so."""

    def __init__(self, standing: Standing | None = ADMITTED) -> None:
        self.standing = standing
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self) -> Standing | None:
        self.asked += 1
        self.was_asked.set()
        standing = self.standing
        await self.may_answer.wait()
        return standing


@pytest.fixture
def now_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("services.accounts.session_cache.time.monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("standing", [ADMITTED, None])
async def test_it_asks_again_after_four_seconds(now_s: list[float], standing: Standing | None) -> None:
    gate, ask = Gate(), Questions(standing)
    for _ in range(3):
        assert await gate.standing("session", "user", ask) is standing
    now_s[0] += 3.9
    assert await gate.standing("session", "user", ask) is standing
    assert ask.asked == 1
    now_s[0] += 0.1
    ask.standing = None
    assert await gate.standing("session", "user", ask) is None
    assert ask.asked == 2


async def test_an_answer_is_as_old_as_its_question(now_s: list[float]) -> None:
    gate, ask = Gate(), Questions()
    ask.may_answer.clear()
    slow = asyncio.create_task(gate.standing("session", "user", ask))
    await ask.was_asked.wait()
    now_s[0] += 4.5
    ask.may_answer.set()
    assert await slow is ADMITTED
    await gate.standing("session", "user", ask)
    assert ask.asked == 2


async def test_many_at_once_ask_once_and_none_spoils_it_for_the_others() -> None:
    gate, ask = Gate(), Questions()
    ask.may_answer.clear()
    waiting = [asyncio.create_task(gate.standing("session", "user", ask)) for _ in range(20)]
    await ask.was_asked.wait()
    waiting[0].cancel()
    await asyncio.sleep(0)
    ask.may_answer.set()
    assert await asyncio.gather(*waiting[1:]) == [ADMITTED] * 19
    assert ask.asked == 1


async def test_what_is_forgotten_is_asked_anew_and_others_are_not() -> None:
    gate, ask, ask_other = Gate(), Questions(), Questions()
    for session in ("one", "two"):
        await gate.standing(session, "user", ask)
    await gate.standing("three", "other", ask_other)
    gate.forget("user")
    ask.standing = None
    assert await gate.standing("one", "user", ask) is None
    assert await gate.standing("two", "user", ask) is None
    assert await gate.standing("three", "other", ask_other) is ADMITTED
    assert (ask.asked, ask_other.asked) == (4, 1)


async def test_an_answer_that_a_commit_overtook_is_not_believed() -> None:
    gate, ask = Gate(), Questions()
    ask.may_answer.clear()
    waiting = asyncio.create_task(gate.standing("session", "user", ask))
    await ask.was_asked.wait()
    ask.standing = None
    gate.forget("user")
    later = asyncio.create_task(gate.standing("session", "user", ask))
    await asyncio.sleep(0)
    ask.may_answer.set()
    assert await waiting is None
    assert await later is None
    assert await gate.standing("session", "user", ask) is None
    assert ask.asked == 2


async def test_a_failure_is_told_to_all_who_wait_and_not_remembered() -> None:
    gate, ask = Gate(), Questions()

    async def fail() -> Standing | None:
        raise UnavailableError("The database cannot answer now.")

    failing: Callable[[], Awaitable[Standing | None]] = fail
    outcomes = await asyncio.gather(
        *(gate.standing("session", "user", failing) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    assert await gate.standing("session", "user", ask) is ADMITTED


async def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.accounts.session_cache._MOST_REMEMBERED", 10)
    gate, ask = Gate(), Questions()
    for number in range(15):
        await gate.standing(number, "user", ask)
    for number in range(5, 15):
        await gate.standing(number, "user", ask)
    assert ask.asked == 15
    await gate.standing(0, "user", ask)
    assert ask.asked == 16
