"""Tokens of ours made into callers."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError
from core.ids import new_id
from core.settings import Settings
from core.tokens import AccessTokens
from models import Session
from services.accounts.authentication import Authenticator
from services.query.sql import execute, table_of
from tests.better_auth import BetterAuthServer, ed25519_key
from tests.clock import MovableClock
from tests.factories import make_user, sign_in
from tests.services.rows import all_statements, change_user

_SESSIONS = table_of(Session)


@pytest.fixture
async def authenticator(database: Database, settings: Settings) -> AsyncIterator[Authenticator]:
    made = Authenticator(database, settings)
    yield made
    await made.close()


async def test_a_token_of_ours(database: Database, settings: Settings, authenticator: Authenticator) -> None:
    signed_in = await sign_in(database, settings)
    assert await authenticator.authenticate(signed_in.token) == signed_in.caller


async def test_no_query_on_each_request(database: Database, settings: Settings, authenticator: Authenticator) -> None:
    tokens = [(await sign_in(database, settings)).token for _ in range(2)]
    with all_statements(database) as statements:
        await asyncio.gather(*(authenticator.authenticate(tokens[number % 2]) for number in range(100)))
    assert len(statements) == 2


@pytest.mark.parametrize("ended", ["expired", "revoked", "gone", "inactive", "another's"])
async def test_a_session_that_is_over_is_refused(
    database: Database, settings: Settings, authenticator: Authenticator, ended: str
) -> None:
    signed_in = await sign_in(database, settings)
    token = signed_in.token
    session_id = signed_in.caller.session_id or ""
    sessions = update(_SESSIONS).where(_SESSIONS.c.id == session_id)
    tokens = AccessTokens(settings.secret_key, timedelta(minutes=1))
    if ended == "expired":
        await database.write(lambda session: execute(session, sessions.values(expires_at=utc_now())))
    elif ended == "revoked":
        await database.write(lambda session: execute(session, sessions.values(revoked_at=utc_now())))
    elif ended == "gone":
        token = tokens.issue(signed_in.user.id, new_id()).text
    elif ended == "inactive":
        await change_user(database, signed_in.user.id, is_active=False)
    else:
        token = tokens.issue((await make_user(database)).id, session_id).text
    with pytest.raises(UnauthenticatedError, match="The session is over; sign in again"):
        await authenticator.authenticate(token)


async def test_what_another_process_did_is_known_within_five_seconds(
    database: Database, settings: Settings, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in = await sign_in(database, settings)
    await authenticator.authenticate(signed_in.token)
    await change_user(database, signed_in.user.id, is_active=False)
    asked_at = time.monotonic()
    monkeypatch.setattr("services.accounts.session_cache.time.monotonic", lambda: asked_at + 4.0)
    with pytest.raises(UnauthenticatedError):
        await authenticator.authenticate(signed_in.token)


async def test_an_admin_right_is_seen_after_forgetting(
    database: Database, settings: Settings, authenticator: Authenticator
) -> None:
    signed_in = await sign_in(database, settings)
    assert not (await authenticator.authenticate(signed_in.token)).is_admin
    await change_user(database, signed_in.user.id, is_admin=True)
    assert not (await authenticator.authenticate(signed_in.token)).is_admin
    authenticator.forget(signed_in.user.id)
    assert (await authenticator.authenticate(signed_in.token)).is_admin


async def test_a_token_that_is_known_is_not_verified_again(
    database: Database, settings: Settings, authenticator: Authenticator
) -> None:
    signed_in = await sign_in(database, settings)
    first = await authenticator.authenticate(signed_in.token)
    assert await authenticator.authenticate(signed_in.token) is first
    with pytest.raises(UnauthenticatedError, match="not valid"):
        await authenticator.authenticate(f"{signed_in.token}x")


async def test_a_token_that_is_known_is_refused_once_its_session_is_over(
    database: Database, settings: Settings, authenticator: Authenticator
) -> None:
    signed_in, other = await sign_in(database, settings), await sign_in(database, settings)
    for each in (signed_in, other):
        await authenticator.authenticate(each.token)
    revoked = update(_SESSIONS).where(_SESSIONS.c.id == signed_in.caller.session_id).values(revoked_at=utc_now())
    await database.write(lambda session: execute(session, revoked))
    authenticator.forget(signed_in.user.id)
    with pytest.raises(UnauthenticatedError, match="The session is over"):
        await authenticator.authenticate(signed_in.token)
    assert (await authenticator.authenticate(other.token)).user_id == other.user.id


async def test_a_token_that_is_known_expires_at_its_second(
    database: Database, settings: Settings, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in = await sign_in(database, settings)
    caller = await authenticator.authenticate(signed_in.token)
    clock = MovableClock.put_in(monkeypatch)
    clock.move_on(caller.expires_at - utc_now() - timedelta(seconds=1))
    assert await authenticator.authenticate(signed_in.token) is caller
    clock.move_on(timedelta(seconds=1))
    with pytest.raises(UnauthenticatedError, match="has expired"):
        await authenticator.authenticate(signed_in.token)


async def test_the_tokens_known_are_bounded(
    database: Database, settings: Settings, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.accounts.authentication._MOST_KNOWN", 2)
    tokens = [(await sign_in(database, settings)).token for _ in range(3)]
    first, _, last = [await authenticator.authenticate(token) for token in tokens]
    assert await authenticator.authenticate(tokens[2]) is last
    again = await authenticator.authenticate(tokens[0])
    assert again == first
    assert again is not first


async def test_without_better_auth_its_tokens_are_refused(authenticator: Authenticator) -> None:
    with pytest.raises(UnauthenticatedError, match="not valid"):
        await authenticator.authenticate(ed25519_key().token(BetterAuthServer(url="https://example.com").claims()))
