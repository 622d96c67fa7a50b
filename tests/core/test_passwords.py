"""Password hashing: strength, constant work, bounded concurrency."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from pwdlib import PasswordHash

from core import passwords as module
from core.errors import UnavailableError
from core.passwords import Argon2Cost, Passwords
from tests.waiting import PATIENCE_S, until

# Read before the tests replace it by a cheap one.
DEFAULT_COST = module.COST


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords()
    yield made
    made.close()


async def test_only_the_same_password_matches_and_hashes_are_salted(passwords: Passwords) -> None:
    stored = await passwords.hash("correct horse")
    assert stored != await passwords.hash("correct horse")
    assert (await passwords.verify("correct horse", stored)).matches
    for other in ("", "Correct horse", "correct horse ", "correct horse\0", "x" * 1024):
        assert not (await passwords.verify(other, stored)).matches


@pytest.mark.parametrize("stored", [None, "", "plain text", "$2b$12$bcrypt", "$argon2id$v=19$m=64,t=1,p=1$broken"])
async def test_no_password_matches_an_unusable_hash(passwords: Passwords, stored: str | None) -> None:
    check = await passwords.verify("correct horse", stored)
    assert (check.matches, check.replacement) == (False, None)


async def test_default_cost_is_strong_and_hashes_of_another_cost_are_replaced(passwords: Passwords) -> None:
    strong = Passwords(DEFAULT_COST)
    stored = await passwords.hash("correct horse")
    check = await strong.verify("correct horse", stored)
    assert check.matches
    assert check.replacement is not None
    assert check.replacement.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert check.replacement not in repr(check)
    assert (await strong.verify("correct horse", check.replacement)).replacement is None
    assert (await passwords.verify("correct horse", stored)).replacement is None
    strong.close()


async def test_event_loop_runs_during_hashing(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end = threading.Event(), threading.Event()
    argon2 = PasswordHash.hash

    def hash_slowly(hashes: PasswordHash, password: str) -> str:
        began.set()
        assert may_end.wait(PATIENCE_S), "the loop stood still"
        return argon2(hashes, password)

    monkeypatch.setattr(PasswordHash, "hash", hash_slowly)
    hashing = asyncio.create_task(passwords.hash("correct horse"))
    await until(began.is_set)
    assert not hashing.done()
    may_end.set()
    assert (await passwords.verify("correct horse", await hashing)).matches


async def test_more_than_128_pending_hashes_are_refused() -> None:
    slow = Passwords(Argon2Cost(passes=1, memory_kib=1024, parallelism=1))
    outcomes = await asyncio.gather(*(slow.hash("correct horse") for _ in range(200)), return_exceptions=True)
    assert sum(isinstance(outcome, UnavailableError) for outcome in outcomes) == 200 - 128
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 128
    assert await slow.hash("correct horse")
    slow.close()
