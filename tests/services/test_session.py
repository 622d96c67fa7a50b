"""Sessions: refreshed, ended, and never brought back."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import (
    UnauthenticatedError,
)
from core.ids import new_id
from core.refresh_tokens import RefreshTokens
from models import Session, User
from services.accounts import users
from services.accounts.accounts import SignedIn
from services.query.sql import execute, table_of
from tests.services.house import House

_USERS = table_of(User)
_SESSIONS = table_of(Session)


async def test_refreshing_rotates(house: House) -> None:
    first = await house.sign_up()
    second = await house.accounts.refresh(first.refresh_token)
    third = await house.accounts.refresh(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    assert len({first.access_token, second.access_token, third.access_token}) == 3
    assert third.user.id == first.user.id
    callers = [await house.caller(each) for each in (first, third)]
    assert len({(caller.user_id, caller.session_id, caller.is_admin) for caller in callers}) == 1
    (session,) = await house.sessions(first.user.id)
    assert session.generation == 2


async def test_a_spent_refresh_token_ends_its_session_and_no_other(house: House) -> None:
    first = await house.sign_up()
    other = await house.sign_in(first.user.email)
    second = await house.accounts.refresh(first.refresh_token)
    await house.caller(second)
    for token in (first.refresh_token, second.refresh_token):
        with pytest.raises(UnauthenticatedError) as refusal:
            await house.accounts.refresh(token)
        assert refusal.value.path == ("input", "refreshToken")
    with pytest.raises(UnauthenticatedError, match="The session is over"):
        await house.caller(second)
    assert [session.revoked_at is None for session in await house.sessions(first.user.id)].count(True) == 1
    await house.accounts.refresh(other.refresh_token)


async def test_one_refresh_token_used_by_many_at_once(house: House) -> None:
    signed_up = await house.sign_up()
    outcomes = await asyncio.gather(
        *(house.accounts.refresh(signed_up.refresh_token) for _ in range(6)), return_exceptions=True
    )
    assert [isinstance(outcome, SignedIn) for outcome in outcomes].count(True) == 1
    assert all(isinstance(outcome, (SignedIn, UnauthenticatedError)) for outcome in outcomes)
    (session,) = await house.sessions(signed_up.user.id)
    assert session.revoked_at is not None


@pytest.mark.parametrize("ended", ["expired", "revoked", "inactive", "deleted"])
async def test_a_session_that_is_over_is_not_refreshed(house: House, ended: str) -> None:
    signed_up = await house.sign_up()
    user_id = signed_up.user.id

    async def end(session: AsyncSession) -> None:
        if ended == "inactive":
            await execute(session, update(_USERS).where(_USERS.c.id == user_id).values(is_active=False))
        elif ended == "deleted":
            await users.delete(session, user_id)
        else:
            column = {"expired": "expires_at", "revoked": "revoked_at"}[ended]
            await execute(session, update(_SESSIONS).where(_SESSIONS.c.user_id == user_id).values({column: utc_now()}))

    await house.database.write(end)
    with pytest.raises(UnauthenticatedError, match="The refresh token is not valid any more"):
        await house.accounts.refresh(signed_up.refresh_token)
    assert all(session.generation == 0 for session in await house.sessions(user_id))


async def test_a_refresh_token_of_an_unknown_session(house: House) -> None:
    token = RefreshTokens(house.settings.secret_key).issue(new_id(), 3)
    with pytest.raises(UnauthenticatedError):
        await house.accounts.refresh(token.text)


async def test_signing_in_clears_away_sessions_that_are_over(house: House) -> None:
    signed_up = await house.sign_up()
    long_ago = utc_now() - timedelta(days=1)
    expire = update(_SESSIONS).where(_SESSIONS.c.user_id == signed_up.user.id).values(expires_at=long_ago)
    await house.database.write(lambda session: execute(session, expire))
    signed_in = await house.sign_in(signed_up.user.email)
    (session,) = await house.sessions(signed_up.user.id)
    assert session.id == (await house.caller(signed_in)).session_id


async def test_signing_out_ends_one_session_at_once(house: House) -> None:
    first = await house.sign_up()
    second = await house.sign_in(first.user.email)
    await house.accounts.sign_out(await house.caller(first))
    with pytest.raises(UnauthenticatedError, match="The session is over"):
        await house.caller(first)
    with pytest.raises(UnauthenticatedError):
        await house.accounts.refresh(first.refresh_token)
    await house.caller(second)
