"""Access tokens of ours turned into callers, and what is cached of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from unittest.mock import Mock

import pytest

from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError
from core.ids import new_id
from core.settings import Settings
from core.tokens import AccessTokens
from services.accounts import authentication
from services.accounts.authentication import Authenticator
from tests.better_auth import BetterAuthServer, ed25519_key
from tests.clock import MovableClock
from tests.factories import SignedIn, make_user, sign_in
from tests.services.rows import all_statements, change_sessions, change_user


@pytest.fixture
async def authenticator(database: Database, settings: Settings) -> AsyncIterator[Authenticator]:
    made = Authenticator(database, settings)
    yield made
    await made.close()


async def test_valid_tokens_authenticate_with_one_query_for_all_sessions(
    database: Database, user: SignedIn, stranger: SignedIn, authenticator: Authenticator
) -> None:
    users = [user, stranger]
    assert authenticator.get_cached(users[0].token) is None
    with all_statements(database) as statements:
        callers = await asyncio.gather(*(authenticator.authenticate(users[n % 2].token) for n in range(100)))
    assert callers == [each.caller for each in users] * 50
    assert len(statements) == 1
    assert authenticator.get_cached(users[0].token) == users[0].caller


@pytest.mark.parametrize("ended", ["expires_at", "revoked_at", "gone", "inactive", "another's"])
async def test_token_of_a_session_that_is_over_is_refused(
    database: Database, settings: Settings, user: SignedIn, authenticator: Authenticator, ended: str
) -> None:
    user_id, session_id, token = user.user.id, user.caller.session_id or "", user.token
    tokens = AccessTokens(settings.secret_key, timedelta(minutes=1))
    match ended:
        case "gone":
            token = tokens.issue(user_id, new_id()).text
        case "inactive":
            await change_user(database, user_id, is_active=False)
        case "another's":
            token = tokens.issue((await make_user(database)).id, session_id).text
        case _:
            await change_sessions(database, user_id, **{ended: utc_now()})
    with pytest.raises(UnauthenticatedError, match="The session is over; sign in again"):
        await authenticator.authenticate(token)


async def test_invalidate_makes_changed_rights_and_revocation_visible_at_once(
    database: Database, user: SignedIn, stranger: SignedIn, authenticator: Authenticator
) -> None:
    for each in (user, stranger):
        assert not (await authenticator.authenticate(each.token)).is_admin
    await change_user(database, user.user.id, is_admin=True)
    assert not (await authenticator.authenticate(user.token)).is_admin
    invalidated: list[str] = []
    authenticator.on_invalidate.append(invalidated.append)
    authenticator.invalidate(user.user.id)
    assert invalidated == [user.user.id]
    assert (await authenticator.authenticate(user.token)).is_admin
    await change_sessions(database, user.user.id, revoked_at=utc_now())
    authenticator.invalidate(user.user.id)
    assert authenticator.get_cached(user.token) is None
    with pytest.raises(UnauthenticatedError, match="The session is over"):
        await authenticator.authenticate(user.token)
    assert authenticator.get_cached(stranger.token) == stranger.caller


async def test_signature_is_verified_once_and_a_changed_token_is_refused(
    user: SignedIn, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Mock(wraps=authenticator.tokens.verify)
    monkeypatch.setattr(authenticator.tokens, "verify", verify)
    for _ in range(3):
        await authenticator.authenticate(user.token)
        authenticator.invalidate(user.user.id)
    verify.assert_called_once_with(user.token)
    with pytest.raises(UnauthenticatedError, match="not valid"):
        await authenticator.authenticate(f"{user.token}x")


async def test_cached_token_expires_in_time(user: SignedIn, authenticator: Authenticator, clock: MovableClock) -> None:
    caller = await authenticator.authenticate(user.token)
    clock.move_on(caller.expires_at - utc_now() - timedelta(seconds=1))
    assert await authenticator.authenticate(user.token) == caller
    clock.move_on(timedelta(seconds=1))
    for _ in range(2):
        with pytest.raises(UnauthenticatedError, match="has expired"):
            await authenticator.authenticate(user.token)
        # Nor is the token accepted where its session is not cached any more.
        authenticator.invalidate(user.user.id)


async def test_token_cache_is_bounded(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "_MAX_TOKEN_CACHE_BYTES", 2_500)
    authenticator = Authenticator(database, settings)
    users: list[SignedIn] = [await sign_in(database, settings) for _ in range(3)]
    for user in users:
        await authenticator.authenticate(user.token)
    assert [authenticator.get_cached(user.token) is not None for user in users] == [False, True, True]
    assert await authenticator.authenticate(users[0].token) == users[0].caller
    assert authenticator.caches[0].size_bytes <= 2_500


async def test_tokens_of_better_auth_are_refused_without_its_url(authenticator: Authenticator) -> None:
    with pytest.raises(UnauthenticatedError, match="not valid"):
        await authenticator.authenticate(ed25519_key().token(BetterAuthServer(url="https://example.com").claims()))
