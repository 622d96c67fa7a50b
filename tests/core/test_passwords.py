"""Passwords: hashed by Argon2, beside the event loop."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from pwdlib import PasswordHash

from core.errors import UnavailableError
from core.passwords import Passwords
from tests.waiting import PATIENCE_S, until


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(time_cost=1, memory_cost=64, parallelism=1)
    yield made
    made.close()


async def test_the_right_password_and_others(passwords: Passwords) -> None:
    kept = await passwords.hash("correct horse")
    assert kept != await passwords.hash("correct horse")
    assert (await passwords.verify("correct horse", kept)).matches
    for other in ("", "Correct horse", "correct horse ", "correct horse\0", "x" * 1024):
        assert not (await passwords.verify(other, kept)).matches


@pytest.mark.parametrize("kept", [None, "", "plain text", "$2b$12$bcrypt", "$argon2id$v=19$m=64,t=1,p=1$broken"])
async def test_without_a_usable_hash_no_password_is_right(passwords: Passwords, kept: str | None) -> None:
    check = await passwords.verify("correct horse", kept)
    assert (check.matches, check.replacement) == (False, None)


async def test_defaults_are_strong_and_outdated_parameters_are_replaced(passwords: Passwords) -> None:
    strong = Passwords()
    kept = await passwords.hash("correct horse")
    check = await strong.verify("correct horse", kept)
    assert check.matches
    assert check.replacement is not None
    assert check.replacement.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert check.replacement not in repr(check)
    assert (await strong.verify("correct horse", check.replacement)).replacement is None
    assert (await passwords.verify("correct horse", kept)).replacement is None
    strong.close()


async def test_the_loop_goes_on_meanwhile(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_too_many_at_once_are_refused_and_the_others_answered() -> None:
    slow = Passwords(time_cost=1, memory_cost=4 * 1024, parallelism=1)
    outcomes = await asyncio.gather(*(slow.hash("correct horse") for _ in range(200)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, UnavailableError)]
    assert len(refused) == 200 - 128
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 128
    assert await slow.hash("correct horse")
    slow.close()
