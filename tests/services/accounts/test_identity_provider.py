"""Users of a Better Auth server, over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError
from core.ids import new_id
from core.settings import Settings, SettingsError
from core.trusted_issuer import origin_of
from models import User
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.query.sql import fetch_all, table_of
from tests.better_auth import BetterAuthServer, SigningKey, better_auth_server, ed25519_key, es256_key, rs256_key
from tests.factories import SignedIn, make_user
from tests.services.rows import all_statements, change_user, read_user

_USERS = table_of(User)
KEY = ed25519_key()


def authenticator_of(database: Database, settings: Settings, server: BetterAuthServer) -> Authenticator:
    return Authenticator(database, settings.model_copy(update={"better_auth_url": server.url}))


@dataclass
class Remote:
    """A server, and an authenticator that accepts its tokens."""

    server: BetterAuthServer
    database: Database
    authenticator: Authenticator

    async def authenticate(self, claims: dict[str, Any], key: SigningKey = KEY) -> Caller:
        return await self.authenticator.authenticate(key.token(claims))

    async def row(self, claims: dict[str, Any]) -> Any:
        return await read_user(self.database, claims["sub"])


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[BetterAuthServer]:
    async with better_auth_server() as running:
        yield running


@pytest.fixture
async def remote(database: Database, settings: Settings, server: BetterAuthServer) -> AsyncIterator[Remote]:
    server.reset()
    server.publish(KEY)
    authenticator = authenticator_of(database, settings, server)
    yield Remote(server, database, authenticator)
    await authenticator.close()


@pytest.mark.parametrize("key", [KEY, es256_key(), rs256_key()], ids=lambda key: key.algorithm)
async def test_first_token_creates_the_user(remote: Remote, key: SigningKey) -> None:
    remote.server.publish(key)
    claims = remote.server.claims(name=" Ada ", image="https://example.com/ada.png", email="Ada@Example.com")
    caller = await remote.authenticate(claims, key)
    assert caller == Caller(claims["sub"], None, is_admin=False, expires_at=datetime.fromtimestamp(claims["exp"], UTC))
    row = await remote.row(claims)
    assert (row.email, row.name, row.image) == ("ada@example.com", "Ada", "https://example.com/ada.png")
    assert (row.email_verified, row.is_active, row.is_admin, row.issuer) == (True, True, False, remote.server.url)
    assert (row.password_hash, row.revision, row.created_at) == (None, 0, row.updated_at)
    with all_statements(remote.database) as statements:
        for later in range(5):
            await remote.authenticate(claims | {"exp": claims["exp"] + later}, key)
    assert statements == []


async def test_concurrent_first_tokens_create_one_user(remote: Remote, settings: Settings) -> None:
    token = KEY.token(claims := remote.server.claims())
    processes = [authenticator_of(remote.database, settings, remote.server) for _ in range(8)]
    callers = await asyncio.gather(*(each.authenticate(token) for each in processes))
    assert {caller.user_id for caller in callers} == {claims["sub"]}
    for each in processes:
        await each.close()


async def test_user_follows_newer_claims_and_ignores_older_ones(remote: Remote) -> None:
    now = int(time.time())
    old = remote.server.claims(iat=now - 60)
    new = old | {"iat": now - 30, "name": "Grace", "email": "Grace@example.com", "emailVerified": False}
    await remote.authenticate(old)
    for claims in (new, old, new):
        await remote.authenticate(claims)
        row = await remote.row(old)
        assert (row.name, row.email, row.email_verified, row.revision) == ("Grace", "grace@example.com", False, 1)


async def test_claims_that_cannot_be_stored_are_replaced(remote: Remote) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any]]] = [
        *(({"name": name}, {"name": "ada"}) for name in (None, 7, "\0")),
        ({"name": "x" * 300}, {"name": "x" * 200}),
        *(({"image": image}, {"image": None}) for image in ("data:image/png;base64,AAAA", f"https://{'x' * 2000}")),
        *(({"emailVerified": value}, {"email_verified": False}) for value in ("true", None)),
        ({"iat": int(time.time()) + 30}, {"name": "Ada"}),
    ]
    for change, expected in cases:
        claims = remote.server.claims(**{"email": "ada@example.com"} | change)
        await remote.authenticate(claims)
        row = await remote.row(claims)
        assert {name: getattr(row, name) for name in expected} == expected, change
        assert row.updated_at <= utc_now()


async def test_tokens_with_invalid_or_missing_claims_are_refused(remote: Remote) -> None:
    elsewhere = "https://elsewhere.example.com"
    invalid: dict[str, tuple[Any, ...]] = {
        "email": (None, "", 7, "nul\0@example.com", f"{'x' * 320}@example.com"),
        "iss": (elsewhere,),
        "aud": (elsewhere, None),
        "exp": (None, 1),
        "iat": (None,),
        "sub": ("nul\0", "x" * 256, 7),
    }
    for name, values in invalid.items():
        for value in values:
            claims = remote.server.claims()
            with pytest.raises(UnauthenticatedError):
                await remote.authenticate(remote.server.claims(**{"sub": claims["sub"], name: value}))
            assert await remote.row(claims) is None, (name, value)


@pytest.mark.parametrize("values", [{"issuer": None}, {"issuer": "https://e.example.com"}, {"is_active": False}])
async def test_user_of_another_issuer_or_deactivated_is_refused(remote: Remote, values: dict[str, Any]) -> None:
    claims = remote.server.claims()
    await remote.authenticate(claims)
    await change_user(remote.database, claims["sub"], **values)
    remote.authenticator.invalidate(claims["sub"])
    before = await remote.row(claims)
    for change in ({}, {"name": "Grace"}):
        with pytest.raises(UnauthenticatedError, match="This account is deactivated, or its id belongs to another"):
            await remote.authenticate(claims | change)
    assert await remote.row(claims) == before


async def test_users_of_better_auth_may_share_an_address(remote: Remote) -> None:
    email = f"{new_id()}@example.com"
    await make_user(remote.database, email=email, password_hash="a hash")
    for _ in range(2):
        await remote.authenticate(remote.server.claims(email=email))
    async with remote.database.read() as session:
        assert len(await fetch_all(session, select(_USERS.c.id).where(_USERS.c.email == email))) == 3


async def test_tokens_stay_valid_while_the_server_is_down_and_ours_beside_them(
    database: Database, settings: Settings, user: SignedIn
) -> None:
    async with better_auth_server() as server:
        server.publish(KEY)
        authenticator = authenticator_of(database, settings, server)
        await authenticator.authenticate(KEY.token(server.claims()))
    await authenticator.authenticate(KEY.token(server.claims()))
    with pytest.raises(UnauthenticatedError, match="not valid"):
        await authenticator.authenticate(ed25519_key().token(server.claims()))
    assert await authenticator.authenticate(user.token) == user.caller
    await authenticator.close()


def test_origin_is_spelt_as_browsers_do_and_an_invalid_url_refused() -> None:
    for url, origin in (
        ("https://app.example.com", "https://app.example.com"),
        ("https://App.Example.com:443/base/path", "https://app.example.com"),
        ("http://localhost:80", "http://localhost"),
        *((url, url) for url in ("http://localhost:3000", "http://[::1]:3000")),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
    ):
        assert origin_of(url) == origin
    for url in ("http://", "https://example.com:port"):
        with pytest.raises(SettingsError, match="BETTER_AUTH_URL is wrong"):
            origin_of(url)
