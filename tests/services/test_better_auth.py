"""Users whom a Better Auth server vouches for, over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from core.clock import utc_now
from core.database import Database
from core.errors import UnauthenticatedError
from core.ids import new_id
from core.settings import Settings, SettingsError
from models import User
from services.accounts.authentication import Authenticator
from services.accounts.better_auth import origin_of
from services.accounts.caller import Caller
from services.query.sql import fetch_all, table_of
from tests.better_auth import BetterAuthServer, SigningKey, better_auth_server, ed25519_key, es256_key, rs256_key
from tests.factories import make_user, sign_in
from tests.services.rows import all_statements, change_user, read_user

_USERS = table_of(User)
KEY = ed25519_key()


@pytest.fixture(scope="module")
async def running_remote() -> AsyncIterator[BetterAuthServer]:
    async with better_auth_server() as server:
        yield server


@pytest.fixture
def remote(running_remote: BetterAuthServer) -> BetterAuthServer:
    running_remote.reset()
    running_remote.publish(KEY)
    return running_remote


@asynccontextmanager
async def trusting(database: Database, settings: Settings, url: str) -> AsyncIterator[Authenticator]:
    """Give an authenticator, as of another process, that accepts the tokens of the Better Auth server."""
    made = Authenticator(database, settings.model_copy(update={"better_auth_url": url}))
    yield made
    await made.close()


@pytest.mark.parametrize("key", [KEY, es256_key(), rs256_key()], ids=lambda key: key.algorithm)
async def test_a_user_of_better_auth_is_made_on_first_sight(
    database: Database, settings: Settings, remote: BetterAuthServer, key: SigningKey
) -> None:
    remote.publish(key)
    claims = remote.claims(name=" Ada ", image="https://example.com/ada.png", email="Ada@Example.com")
    async with trusting(database, settings, remote.url) as authenticator:
        caller = await authenticator.authenticate(key.token(claims))
    assert caller == Caller(claims["sub"], None, is_admin=False, expires_at=datetime.fromtimestamp(claims["exp"], UTC))
    row = await read_user(database, claims["sub"])
    assert (row.email, row.name, row.image) == ("ada@example.com", "Ada", "https://example.com/ada.png")
    assert (row.email_verified, row.is_active, row.is_admin, row.issuer) == (True, True, False, remote.url)
    assert (row.password_hash, row.revision, row.created_at) == (None, 0, row.updated_at)


async def test_no_query_on_each_request_of_better_auth(
    database: Database, settings: Settings, remote: BetterAuthServer
) -> None:
    claims = remote.claims()
    async with trusting(database, settings, remote.url) as authenticator:
        await authenticator.authenticate(KEY.token(claims))
        with all_statements(database) as statements:
            for later in range(5):
                await authenticator.authenticate(KEY.token(claims | {"exp": claims["exp"] + later}))
    assert statements == []


async def test_many_processes_see_a_user_first_at_the_same_time(
    database: Database, settings: Settings, remote: BetterAuthServer
) -> None:
    token = KEY.token(claims := remote.claims())
    processes = [Authenticator(database, settings.model_copy(update={"better_auth_url": remote.url})) for _ in range(8)]
    callers = await asyncio.gather(*(process.authenticate(token) for process in processes))
    assert {caller.user_id for caller in callers} == {claims["sub"]}
    for process in processes:
        await process.close()


async def test_the_row_follows_the_claims_and_never_back(
    database: Database, settings: Settings, remote: BetterAuthServer
) -> None:
    now = int(time.time())
    old = remote.claims(iat=now - 60)
    new = old | {"iat": now - 30, "name": "Grace", "email": "Grace@example.com", "emailVerified": False}
    async with trusting(database, settings, remote.url) as authenticator:
        await authenticator.authenticate(KEY.token(old))
        for claims in (new, old, new):
            await authenticator.authenticate(KEY.token(claims))
            row = await read_user(database, old["sub"])
            assert (row.name, row.email, row.email_verified, row.revision) == ("Grace", "grace@example.com", False, 1)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"name": None}, {"name": "ada"}),
        ({"name": 7}, {"name": "ada"}),
        ({"name": "\0"}, {"name": "ada"}),
        ({"name": "x" * 300}, {"name": "x" * 200}),
        ({"image": "data:image/png;base64,AAAA"}, {"image": None}),
        ({"image": f"https://example.com/{'x' * 2000}"}, {"image": None}),
        ({"emailVerified": "true"}, {"email_verified": False}),
        ({"emailVerified": None}, {"email_verified": False}),
        ({"iat": int(time.time()) + 30}, {"name": "Ada"}),
    ],
)
async def test_claims_that_cannot_be_kept_are_mended(
    database: Database, settings: Settings, remote: BetterAuthServer, claims: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = remote.claims(**{"email": "ada@example.com"} | claims)
    async with trusting(database, settings, remote.url) as authenticator:
        await authenticator.authenticate(KEY.token(made))
    row = await read_user(database, made["sub"])
    assert {name: getattr(row, name) for name in expected} == expected
    assert row.updated_at <= utc_now()


@pytest.mark.parametrize(
    "change",
    [
        {"email": None},
        {"email": ""},
        {"email": 7},
        {"email": "nul\0@example.com"},
        {"email": f"{'x' * 320}@example.com"},
        {"iss": "https://elsewhere.example.com"},
        {"aud": "https://elsewhere.example.com"},
        {"aud": None},
        {"exp": None},
        {"exp": 1},
        {"iat": None},
        {"sub": "nul\0"},
        {"sub": "x" * 256},
        {"sub": 7},
    ],
    ids=str,
)
async def test_claims_that_say_too_little_are_refused(
    database: Database, settings: Settings, remote: BetterAuthServer, change: dict[str, Any]
) -> None:
    claims = remote.claims()
    token = KEY.token(remote.claims(**{"sub": claims["sub"]} | change))
    async with trusting(database, settings, remote.url) as authenticator:
        with pytest.raises(UnauthenticatedError):
            await authenticator.authenticate(token)
    assert await read_user(database, claims["sub"]) is None


@pytest.mark.parametrize("issuer", [None, "https://elsewhere.example.com"])
async def test_the_id_of_another_kind_of_user_is_refused(
    database: Database, settings: Settings, remote: BetterAuthServer, issuer: str | None
) -> None:
    user = await make_user(database, issuer=issuer)
    before = await read_user(database, user.id)
    async with trusting(database, settings, remote.url) as authenticator:
        with pytest.raises(UnauthenticatedError, match="its id belongs to another sign-in"):
            await authenticator.authenticate(KEY.token(remote.claims(sub=user.id, name="Mallory")))
    assert await read_user(database, user.id) == before


async def test_a_user_of_better_auth_who_is_deactivated(
    database: Database, settings: Settings, remote: BetterAuthServer
) -> None:
    token = KEY.token(claims := remote.claims())
    async with trusting(database, settings, remote.url) as authenticator:
        await authenticator.authenticate(token)
        await change_user(database, claims["sub"], is_active=False)
        authenticator.forget(claims["sub"])
        with pytest.raises(UnauthenticatedError, match="deactivated"):
            await authenticator.authenticate(token)
        with pytest.raises(UnauthenticatedError, match="deactivated"):
            await authenticator.authenticate(KEY.token(claims | {"name": "Grace"}))
    assert (await read_user(database, claims["sub"])).name == "Ada"


async def test_addresses_of_better_auth_users_may_be_alike(
    database: Database, settings: Settings, remote: BetterAuthServer
) -> None:
    email = f"{new_id()}@example.com"
    await make_user(database, email=email, password_hash="a hash")
    async with trusting(database, settings, remote.url) as authenticator:
        for _ in range(2):
            await authenticator.authenticate(KEY.token(remote.claims(email=email)))
    async with database.read() as session:
        rows = await fetch_all(session, select(_USERS.c.id).where(_USERS.c.email == email))
    assert len(rows) == 3


async def test_the_server_goes_away_and_its_tokens_still_work(database: Database, settings: Settings) -> None:
    async with better_auth_server() as server:
        server.publish(KEY)
        authenticator = Authenticator(database, settings.model_copy(update={"better_auth_url": server.url}))
        await authenticator.authenticate(KEY.token(server.claims()))
    await authenticator.authenticate(KEY.token(server.claims()))
    with pytest.raises(UnauthenticatedError, match="not valid"):
        await authenticator.authenticate(ed25519_key().token(server.claims()))
    await authenticator.close()


async def test_both_doors_are_open_at_once(database: Database, settings: Settings, remote: BetterAuthServer) -> None:
    signed_in = await sign_in(database, settings)
    async with trusting(database, settings, remote.url) as authenticator:
        assert await authenticator.authenticate(signed_in.token) == signed_in.caller
        await authenticator.authenticate(KEY.token(remote.claims()))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("https://App.Example.com:443/base/path", "https://app.example.com"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_the_origin_is_spelt_as_browsers_do(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize("url", ["http://", "https://example.com:port"])
def test_a_url_that_is_none_is_told_at_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="BETTER_AUTH_URL is wrong"):
        origin_of(url)
