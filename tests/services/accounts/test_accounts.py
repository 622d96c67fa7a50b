"""Accounts and their sessions, from sign-up to deletion."""

import asyncio
from datetime import timedelta
from unittest.mock import patch

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from core.clock import utc_now
from core.errors import BadUserInputError, ConflictError, ForbiddenError, RateLimitedError, UnauthenticatedError
from core.ids import new_id
from core.passwords import Argon2Cost
from core.tokens import RefreshTokens
from models import User
from services.accounts import users
from services.accounts.accounts import SessionTokens
from services.accounts.audit import NO_CLIENT, Client
from services.accounts.caller import Caller
from tests.factories import make_task, make_user
from tests.histories import tasks_of
from tests.services.account_services import (
    ELSEWHERE,
    HERE,
    PASSWORD,
    WRONG,
    AccountServices,
    new_email,
    open_account_services,
)
from tests.services.rows import change_sessions, change_user, end_grace


@pytest.fixture
async def first(services: AccountServices) -> SessionTokens:
    """Give the first session of a new user."""
    return await services.sign_up()


async def change_password(services: AccountServices, caller: Caller, current: str, new: str) -> User:
    passwords = {"current_password": current, "new_password": new}
    return await services.accounts.change_password(caller, **passwords, client=Client(HERE))


async def test_sign_up_creates_an_account_and_a_session(services: AccountServices) -> None:
    email = new_email()
    signed_up = await services.accounts.sign_up(
        email=f"  {email.upper()} ", password=PASSWORD, name="  Ada ", client=Client(HERE)
    )
    assert signed_up is not None
    user = signed_up.user
    assert (user.email, user.name) == (email, "Ada")
    assert (user.is_active, user.is_admin, user.email_verified) == (True, False, False)
    caller = await services.caller(signed_up)
    assert (caller.user_id, caller.is_admin, caller.expires_at) == (user.id, False, signed_up.expires_at)
    (session,) = await services.sessions(user.id)
    assert (await services.row(user.id)).password_hash.startswith("$argon2id$")
    for secret in (PASSWORD, signed_up.access_token, signed_up.refresh_token):
        assert secret not in repr(signed_up)
        assert secret not in tuple(session)


async def test_sign_up_with_invalid_input_is_refused_and_stores_nothing(services: AccountServices) -> None:
    for change, message in (
        ({"email": "ada"}, "email must be an address such as name@example.com, of at most 254 characters."),
        ({"password": "1234567"}, "password must be 8 to 1024 characters long; it has 7."),
        ({"password": "x" * 1025}, "password must be 8 to 1024 characters long; it has 1025."),
        ({"password": "12345678\ud800"}, "password contains a NUL character or a lone surrogate"),
        ({"name": "  "}, "name must be 1 to 200 characters long; it has 0."),
    ):
        email = new_email()
        given = {"email": email, "password": PASSWORD, "name": "Ada"} | change
        with pytest.raises(BadUserInputError) as refusal:
            await services.accounts.sign_up(**given, client=Client(HERE))
        assert refusal.value.message.startswith(message)
        assert refusal.value.path == ("input", *change)
        with pytest.raises(UnauthenticatedError):
            await services.sign_in(email)


async def test_email_address_is_unique_even_for_concurrent_sign_ups(services: AccountServices) -> None:
    email = new_email()
    outcomes = await asyncio.gather(*(services.sign_up(email) for _ in range(5)), return_exceptions=True)
    (signed_up,) = [outcome for outcome in outcomes if isinstance(outcome, SessionTokens)]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, ConflictError)]
    assert [refusal.path for refusal in refusals] == [("input", "email")] * 4
    assert len(await services.sessions(signed_up.user.id)) == 1
    with pytest.raises(ConflictError):
        await services.sign_up(email.upper())


async def test_sign_in_starts_a_session_and_deletes_ended_ones(services: AccountServices, first: SessionTokens) -> None:
    second = await services.sign_in(f" {first.user.email.upper()}")
    assert second.user.id == first.user.id
    assert (await services.caller(second)).session_id != (await services.caller(first)).session_id
    await change_sessions(services.database, first.user.id, expires_at=utc_now() - timedelta(days=1))
    latest = await services.sign_in(first.user.email)
    (session,) = await services.sessions(first.user.id)
    assert session.id == (await services.caller(latest)).session_id


async def test_unknown_address_is_refused_as_a_wrong_password(services: AccountServices, first: SessionTokens) -> None:
    with patch.object(Argon2Hasher, "verify", autospec=True, side_effect=Argon2Hasher.verify) as verify:
        for email in (first.user.email, "nobody@example.com", "no address", "nul\0@example.com", "\ud800", ""):
            with pytest.raises(UnauthenticatedError) as refusal:
                await services.sign_in(email, "not the password", new_id())
            assert (refusal.value.message, refusal.value.path) == (WRONG, None)
    # It costs the same work, too.
    known, *unknown = [call.args[2].split("$") for call in verify.call_args_list]
    assert len(unknown) == 5
    for parts in unknown:
        assert parts[:4] == known[:4]
        assert list(map(len, parts)) == list(map(len, known))
    assert len(await services.sessions(first.user.id)) == 1


async def test_deactivation_is_told_with_the_password_only(services: AccountServices, first: SessionTokens) -> None:
    await change_user(services.database, first.user.id, is_active=False)
    with pytest.raises(ForbiddenError, match="This account is deactivated"):
        await services.sign_in(first.user.email)
    with pytest.raises(UnauthenticatedError, match=WRONG):
        await services.sign_in(first.user.email, "not the password")


async def test_sign_in_replaces_a_hash_with_outdated_cost(services: AccountServices, first: SessionTokens) -> None:
    async with open_account_services(services.database, services.settings, Argon2Cost(2, 64, 1)) as stronger:
        for _ in range(2):
            await stronger.sign_in(first.user.email)
            row = await services.row(first.user.id)
            assert ("t=2" in row.password_hash, row.revision) == (True, 1)


async def test_refresh_rotates_the_tokens_of_a_session(services: AccountServices, first: SessionTokens) -> None:
    second = await services.accounts.refresh(first.refresh_token, NO_CLIENT)
    third = await services.accounts.refresh(second.refresh_token, NO_CLIENT)
    tokens = [token for each in (first, second, third) for token in (each.refresh_token, each.access_token)]
    assert len(set(tokens)) == 6
    assert third.user.id == first.user.id
    callers = [await services.caller(each) for each in (first, third)]
    assert len({(caller.user_id, caller.session_id, caller.is_admin) for caller in callers}) == 1
    (session,) = await services.sessions(first.user.id)
    assert session.generation == 2


async def test_refresh_token_used_again_after_a_while_ends_its_session_only(
    services: AccountServices, first: SessionTokens
) -> None:
    other = await services.sign_in(first.user.email)
    second = await services.accounts.refresh(first.refresh_token, NO_CLIENT)
    assert not await services.is_over(second)
    await end_grace(services.database, first.user.id)
    for token in (first.refresh_token, second.refresh_token):
        with pytest.raises(UnauthenticatedError) as refusal:
            await services.accounts.refresh(token, NO_CLIENT)
        assert refusal.value.path == ("input", "refreshToken")
    assert await services.is_over(second)
    assert [session.revoked_at is None for session in await services.sessions(first.user.id)].count(True) == 1
    attempts = (services.accounts.refresh(other.refresh_token, NO_CLIENT) for _ in range(6))
    same, *others = await asyncio.gather(*attempts)
    for each in others:
        assert (each.refresh_token, each.access_token, each.expires_at) == (
            same.refresh_token,
            same.access_token,
            same.expires_at,
        )
    active = [session for session in await services.sessions(first.user.id) if not session.revoked_at]
    assert [session.generation for session in active] == [1]


@pytest.mark.parametrize("ended", ["expires_at", "revoked_at", "inactive", "deleted", "unknown"])
async def test_session_that_is_over_is_refused(services: AccountServices, first: SessionTokens, ended: str) -> None:
    user_id, token = first.user.id, first.refresh_token
    match ended:
        case "inactive":
            await change_user(services.database, user_id, is_active=False)
        case "deleted":
            await services.database.write(lambda session: users.delete(session, user_id))
        case "unknown":
            token = RefreshTokens(services.settings.secret_key).issue(new_id(), 3, "").text
        case _:
            await change_sessions(services.database, user_id, **{ended: utc_now()})
    with pytest.raises(UnauthenticatedError, match="The refresh token is not valid any more"):
        await services.accounts.refresh(token, NO_CLIENT)
    assert all(session.generation == 0 for session in await services.sessions(user_id))


async def test_password_change_ends_the_other_sessions(services: AccountServices, first: SessionTokens) -> None:
    second = await services.sign_in(first.user.email)
    caller = await services.caller(second)
    assert not await services.is_over(first)
    user = await change_password(services, caller, PASSWORD, "another password")
    assert (user.id, user.revision) == (caller.user_id, 1)
    assert await services.is_over(first)
    assert await services.caller(second) == caller
    with pytest.raises(UnauthenticatedError, match=WRONG):
        await services.sign_in(first.user.email)
    await services.sign_in(first.user.email, "another password")


async def test_refused_password_change_leaves_all_as_it_was(services: AccountServices, first: SessionTokens) -> None:
    second = await services.sign_in(first.user.email)
    before = await services.row(first.user.id)
    for current, new, path, message in (
        ("not the password", "another password", "currentPassword", "The current password is wrong."),
        (PASSWORD, "short", "newPassword", "newPassword must be 8 to 1024 characters long; it has 5."),
    ):
        with pytest.raises(BadUserInputError) as refusal:
            await change_password(services, await services.caller(first), current, new)
        assert (refusal.value.message, refusal.value.path) == (message, ("input", path))
    assert await services.row(first.user.id) == before
    assert not await services.is_over(second)


async def test_concurrent_password_changes_succeed_once(services: AccountServices, first: SessionTokens) -> None:
    caller = await services.caller(first)
    changes = [change_password(services, caller, PASSWORD, f"password {number}") for number in range(4)]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert [isinstance(outcome, User) for outcome in outcomes].count(True) == 1
    assert (await services.row(caller.user_id)).revision == 1


async def test_current_password_shares_rate_limit_of_sign_in(services: AccountServices, first: SessionTokens) -> None:
    caller, address = await services.caller(first), new_id()
    for _ in range(services.settings.sign_in_attempts):
        with pytest.raises(BadUserInputError, match="The current password is wrong"):
            await services.accounts.delete_account(caller, password="a guess", client=Client(address))
    with pytest.raises(RateLimitedError):
        await services.accounts.delete_account(caller, password=PASSWORD, client=Client(address))
    with pytest.raises(RateLimitedError):
        await services.sign_in(first.user.email, PASSWORD, address)
    await services.sign_in(first.user.email, PASSWORD, ELSEWHERE)


async def test_deleted_account_leaves_no_rows_and_no_address(services: AccountServices, first: SessionTokens) -> None:
    caller = await services.caller(first)
    await make_task(services.database, caller)
    await services.accounts.delete_account(caller, password=PASSWORD, client=Client(HERE))
    assert await services.row(caller.user_id) is None
    assert await services.sessions(caller.user_id) == []
    assert await tasks_of(services.database, caller) == {}
    assert await services.is_over(first)
    await services.sign_up(first.user.email)


async def test_user_of_better_auth_changes_nothing_that_is_kept_there(services: AccountServices) -> None:
    user = await make_user(services.database, issuer="https://auth.example.com")
    caller = Caller(user.id, None, is_admin=False, expires_at=utc_now())
    for refused in (
        services.accounts.delete_account(caller, password=PASSWORD, client=Client(HERE)),
        change_password(services, caller, "", PASSWORD),
        services.accounts.sign_out(caller, NO_CLIENT),
        services.database.write(lambda session: users.update_profile(session, caller, {"name": "Grace"})),
    ):
        with pytest.raises(ForbiddenError, match="where you sign"):
            await refused
    assert (await services.row(user.id)).name == "Ada"
    with pytest.raises(UnauthenticatedError, match=WRONG):
        await services.sign_in(user.email, "")
