"""Accounts from the sign-up to the last row."""

import asyncio

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import (
    BadUserInputError,
    ConflictError,
    ForbiddenError,
    RateLimitedError,
    UnauthenticatedError,
)
from core.ids import new_id
from core.passwords import Passwords
from models import Task, User
from services.accounts import users
from services.accounts.accounts import Accounts
from services.accounts.caller import Caller
from services.accounts.rate_limit import SignInLimit
from services.query.sql import execute, fetch_all, table_of
from tests.factories import make_user
from tests.services.house import ELSEWHERE, HERE, PASSWORD, WRONG, House, new_email

_USERS = table_of(User)


async def test_signing_up_signs_in(house: House) -> None:
    email = new_email()
    signed_in = await house.accounts.sign_up(email=f"  {email.upper()} ", password=PASSWORD, name="  Ada ")
    user = signed_in.user
    assert (user.email, user.name, user.is_active, user.is_admin, user.email_verified) == (
        email,
        "Ada",
        True,
        False,
        False,
    )
    caller = await house.caller(signed_in)
    assert (caller.user_id, caller.is_admin, caller.expires_at) == (user.id, False, signed_in.expires_at)
    row = await house.row(user.id)
    assert row.password_hash.startswith("$argon2id$")
    assert PASSWORD not in repr(signed_in)
    assert signed_in.access_token not in repr(signed_in)
    assert signed_in.refresh_token not in repr(signed_in)
    (session,) = await house.sessions(user.id)
    assert signed_in.refresh_token not in tuple(session)


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"email": "ada"}, "email", "email must be an address"),
        ({"email": "ada@exa mple.com"}, "email", "email must be an address"),
        ({"email": f"{'a' * 250}@example.com"}, "email", "email must be an address"),
        ({"email": "a\0@example.com"}, "email", "email must be an address"),
        ({"password": "1234567"}, "password", "password must be 8 to 1024 characters long; it has 7."),
        ({"password": "x" * 1025}, "password", "password must be 8 to 1024 characters long; it has 1025."),
        ({"password": "12345678\ud800"}, "password", "password contains a NUL character or a lone surrogate"),
        ({"name": "  "}, "name", "name must be 1 to 200 characters long; it has 0."),
        ({"name": "x" * 201}, "name", "name must be 1 to 200 characters long; it has 201."),
    ],
)
async def test_signing_up_with_what_cannot_be(house: House, change: dict[str, str], path: str, message: str) -> None:
    email = new_email()
    with pytest.raises(BadUserInputError) as refusal:
        await house.accounts.sign_up(**{"email": email, "password": PASSWORD, "name": "Ada"} | change)
    assert refusal.value.message.startswith(message)
    assert refusal.value.path == ("input", path)
    with pytest.raises(UnauthenticatedError):
        await house.sign_in(email)


async def test_an_address_is_taken_once(house: House) -> None:
    email = new_email()
    outcomes = await asyncio.gather(*(house.sign_up(email) for _ in range(5)), return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert len(refusals) == 4
    assert {refusal.path for refusal in refusals} == {("input", "email")}
    with pytest.raises(ConflictError):
        await house.sign_up(email.upper())
    async with house.database.read() as session:
        rows = await fetch_all(session, select(_USERS.c.id).where(_USERS.c.email == email))
    assert len(rows) == 1
    assert len(await house.sessions(rows[0].id)) == 1


async def test_signing_in(house: House) -> None:
    signed_up = await house.sign_up()
    signed_in = await house.sign_in(f" {signed_up.user.email.upper()}")
    assert signed_in.user.id == signed_up.user.id
    assert (await house.caller(signed_in)).session_id != (await house.caller(signed_up)).session_id


@pytest.mark.parametrize("email", [None, "nobody@example.com", "no address", "nul\0@example.com", "\ud800", ""])
async def test_a_wrong_address_is_answered_as_a_wrong_password(house: House, email: str | None) -> None:
    signed_up = await house.sign_up()
    with pytest.raises(UnauthenticatedError) as refusal:
        await house.sign_in(signed_up.user.email if email is None else email, "not the password", new_id())
    assert refusal.value.message == WRONG
    assert refusal.value.path is None
    assert len(await house.sessions(signed_up.user.id)) == 1


async def test_an_unknown_address_costs_the_same_work_as_a_wrong_password(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_up = await house.sign_up()
    checked: list[str] = []

    def checking(hasher: Argon2Hasher, password: str, kept_hash: str) -> bool:
        checked.append(kept_hash)
        return verify(hasher, password, kept_hash)

    verify = Argon2Hasher.verify
    monkeypatch.setattr(Argon2Hasher, "verify", checking)
    for email in (signed_up.user.email, new_email()):
        with pytest.raises(UnauthenticatedError, match=WRONG):
            await house.sign_in(email, "wrong password")
    known, unknown = [kept_hash.split("$") for kept_hash in checked]
    assert unknown[:4] == known[:4]
    assert [len(part) for part in unknown] == [len(part) for part in known]


async def test_a_deactivated_account_is_told_so_only_with_its_password(house: House) -> None:
    signed_up = await house.sign_up()
    await house.accounts.set_user_active(await house.admin(), signed_up.user.id, is_active=False)
    with pytest.raises(ForbiddenError, match="This account is deactivated"):
        await house.sign_in(signed_up.user.email)
    with pytest.raises(UnauthenticatedError, match=WRONG):
        await house.sign_in(signed_up.user.email, "not the password")


async def test_a_hash_with_outdated_parameters_is_replaced(house: House) -> None:
    signed_up = await house.sign_up()
    stronger = Passwords(time_cost=2, memory_cost=64, parallelism=1)
    accounts = Accounts(house.database, house.settings, stronger, house.authenticator, SignInLimit(house.settings))
    for _ in range(2):
        await accounts.sign_in(email=signed_up.user.email, password=PASSWORD, client_address=HERE)
        assert "t=2" in (await house.row(signed_up.user.id)).password_hash
    assert (await house.row(signed_up.user.id)).revision == 1
    stronger.close()


async def test_changing_the_password_ends_the_other_sessions(house: House) -> None:
    first = await house.sign_up()
    second = await house.sign_in(first.user.email)
    caller = await house.caller(second)
    await house.caller(first)
    user = await house.accounts.change_password(
        caller, current_password=PASSWORD, new_password="another password", client_address=HERE
    )
    assert (user.id, user.revision) == (caller.user_id, 1)
    with pytest.raises(UnauthenticatedError, match="The session is over"):
        await house.caller(first)
    assert await house.caller(second) == caller
    with pytest.raises(UnauthenticatedError, match=WRONG):
        await house.sign_in(first.user.email)
    await house.sign_in(first.user.email, "another password")


@pytest.mark.parametrize(
    ("current", "new", "path", "message"),
    [
        ("not the password", "another password", "currentPassword", "The current password is wrong."),
        (PASSWORD, "short", "newPassword", "newPassword must be 8 to 1024 characters long; it has 5."),
    ],
)
async def test_a_password_that_stays(house: House, current: str, new: str, path: str, message: str) -> None:
    first = await house.sign_up()
    second = await house.sign_in(first.user.email)
    before = await house.row(first.user.id)
    with pytest.raises(BadUserInputError) as refusal:
        await house.accounts.change_password(
            await house.caller(first), current_password=current, new_password=new, client_address=HERE
        )
    assert (refusal.value.message, refusal.value.path) == (message, ("input", path))
    assert await house.row(first.user.id) == before
    await house.caller(second)


async def test_the_current_password_is_guessed_as_rarely_as_at_the_door(house: House) -> None:
    signed_up = await house.sign_up()
    caller = await house.caller(signed_up)
    address = new_id()
    for _ in range(house.settings.sign_in_attempts):
        with pytest.raises(BadUserInputError):
            await house.accounts.delete_account(caller, password="a guess", client_address=address)
    with pytest.raises(RateLimitedError):
        await house.accounts.delete_account(caller, password=PASSWORD, client_address=address)
    with pytest.raises(RateLimitedError):
        await house.sign_in(signed_up.user.email, PASSWORD, address)
    await house.sign_in(signed_up.user.email, PASSWORD, ELSEWHERE)


async def test_two_password_changes_at_once(house: House) -> None:
    caller = await house.caller(await house.sign_up())
    changes = (
        house.accounts.change_password(
            caller, current_password=PASSWORD, new_password=f"password {number}", client_address=HERE
        )
        for number in range(4)
    )
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert [isinstance(outcome, User) for outcome in outcomes].count(True) == 1
    assert (await house.row(caller.user_id)).revision == 1


async def test_deleting_the_account_leaves_nothing(house: House) -> None:
    signed_up = await house.sign_up()
    caller = await house.caller(signed_up)

    async def add_task(session: AsyncSession) -> None:
        session.add(Task(user_id=caller.user_id, title="Water the plants", revision=1))

    await house.database.write(add_task)
    with pytest.raises(BadUserInputError, match="The current password is wrong"):
        await house.accounts.delete_account(caller, password="not the password", client_address=HERE)
    assert await house.row(caller.user_id) is not None
    await house.accounts.delete_account(caller, password=PASSWORD, client_address=HERE)
    assert await house.row(caller.user_id) is None
    assert await house.sessions(caller.user_id) == []
    tasks = table_of(Task)
    async with house.database.read() as session:
        left = await execute(session, select(func.count()).where(tasks.c.user_id == caller.user_id))
    assert left.scalar() == 0
    with pytest.raises(UnauthenticatedError):
        await house.caller(signed_up)
    await house.sign_up(signed_up.user.email)


async def test_who_signs_in_elsewhere_has_no_password_here(house: House) -> None:
    user = await make_user(house.database, issuer="https://auth.example.com")
    caller = Caller(user.id, None, is_admin=False, expires_at=utc_now())
    accounts = house.accounts
    refused = (
        accounts.delete_account(caller, password=PASSWORD, client_address=HERE),
        accounts.change_password(caller, current_password="", new_password=PASSWORD, client_address=HERE),
        accounts.sign_out(caller),
        house.database.write(lambda session: users.update_profile(session, caller, name="Grace")),
    )
    for refusal in refused:
        with pytest.raises(ForbiddenError, match="where you sign"):
            await refusal
    assert (await house.row(user.id)).name == "Ada"
    with pytest.raises(UnauthenticatedError, match=WRONG):
        await house.sign_in(user.email, "")
