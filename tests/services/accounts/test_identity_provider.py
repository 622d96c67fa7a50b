"""Users of another issuer, over real HTTP: accounts that tokens make, keep up to date and link."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import AccountGoneError, ConflictError, UnauthenticatedError
from core.ids import new_id
from core.settings import Settings, SettingsError
from core.trusted_issuer import origin_of, trusted_issuer
from models import User
from services.accounts import users
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.query.sql import fetch_all, table_of
from tests.better_auth import BetterAuthServer, SigningKey, better_auth_server, ed25519_key, es256_key, rs256_key
from tests.databases import make_settings
from tests.factories import SignedIn, make_task, make_user, sign_in
from tests.graph_client import GraphClient
from tests.servers import serve_with
from tests.services.account_services import open_account_services
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


@pytest.fixture
async def local(remote: Remote, settings: Settings) -> SignedIn:
    """Give a user who has signed up here, and verified the address."""
    user = await make_user(remote.database, password_hash="a hash", email_verified=True)
    return await sign_in(remote.database, settings, user)


async def accounts_with(remote: Remote, email: str) -> list[Any]:
    async with remote.database.read() as session:
        return list(await fetch_all(session, select(_USERS).where(_USERS.c.email == email).order_by(_USERS.c.id)))


async def test_accounts_of_one_verified_address_are_linked(remote: Remote, local: SignedIn, settings: Settings) -> None:
    claims = remote.server.claims(email=local.user.email.upper())
    processes = [authenticator_of(remote.database, settings, remote.server) for _ in range(8)]
    callers = await asyncio.gather(*(each.authenticate(KEY.token(claims)) for each in processes))
    assert {(caller.user_id, caller.session_id) for caller in callers} == {(local.user.id, None)}
    (row,) = await accounts_with(remote, local.user.email)
    # Who made the account may not be who has the address: nothing of before is a way in.
    assert (row.issuer, row.subject, row.password_hash) == (remote.server.url, claims["sub"], None)
    with all_statements(remote.database) as statements:
        await processes[0].authenticate(KEY.token(claims))
        with pytest.raises(UnauthenticatedError, match="over"):
            await remote.authenticator.authenticate(local.token)
    assert len(statements) == 1
    for each in processes:
        await change_user(remote.database, local.user.id, is_active=False)
        each.invalidate(local.user.id)
        with pytest.raises(UnauthenticatedError, match="deactivated"):
            await each.authenticate(KEY.token(claims))
        await each.close()


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"email_verified": False}, {}),
        ({}, {"emailVerified": False}),
        ({}, {"emailVerified": None, "user_metadata": {"email_verified": True}}),
        ({"password_hash": None}, {}),
        # The Kelvin sign, which is a k in lower case.
        ({}, {"email": "\u212aate@example.com"}),
    ],
)
async def test_accounts_are_not_linked_by_an_address_that_is_not_verified(
    remote: Remote, own: dict[str, Any], told: dict[str, Any]
) -> None:
    email = f"{new_id()}@example.com" if "email" not in told else "kate@example.com"
    user = await make_user(remote.database, **{"email": email, "password_hash": "a hash", "email_verified": True} | own)
    claims = remote.server.claims(**{"email": email} | told)
    assert (await remote.authenticate(claims)).user_id == claims["sub"]
    assert await read_user(remote.database, user.id) == (await accounts_with(remote, email))[0]
    await users_deleted(remote.database, user.id, claims["sub"])


@pytest.mark.parametrize("is_empty", [True, False])
async def test_empty_account_gives_way_to_the_one_of_its_address_once_that_is_verified(
    remote: Remote, local: SignedIn, *, is_empty: bool
) -> None:
    now = int(time.time())
    claims = remote.server.claims(email=local.user.email, emailVerified=False, iat=now)
    caller = await remote.authenticate(claims)
    if not is_empty:
        await make_task(remote.database, caller)
    verified = claims | {"emailVerified": True, "iat": now + 50}
    expected = local.user.id if is_empty else claims["sub"]
    for _ in range(2):
        assert (await remote.authenticate(verified)).user_id == expected
    assert len(await accounts_with(remote, local.user.email)) == (1 if is_empty else 2)


async def users_deleted(database: Database, *user_ids: str) -> None:
    async def work(session: AsyncSession) -> None:
        for user_id in user_ids:
            await users.delete(session, user_id)

    await database.write(work)


async def test_subject_that_is_the_id_of_another_account_is_refused(remote: Remote, local: SignedIn) -> None:
    claims = remote.server.claims(email=local.user.email)
    for is_linked in (False, True):
        if is_linked:
            await remote.authenticate(claims)
        for change in ({}, {"email": "somebody@example.com"}):
            with pytest.raises(UnauthenticatedError):
                await remote.authenticate(claims | {"sub": local.user.id} | change)
        row = await read_user(remote.database, local.user.id)
        assert (row.email, row.subject) == (local.user.email, claims["sub"] if is_linked else None)


async def test_linked_account_follows_the_address_at_its_issuer(remote: Remote, local: SignedIn) -> None:
    claims = remote.server.claims(email=local.user.email, iat=int(time.time()) + 50)
    await remote.authenticate(claims)
    other = await make_user(remote.database, password_hash="another hash", email_verified=True)
    assert (await remote.authenticate(claims | {"email": other.email})).user_id == local.user.id
    row = await read_user(remote.database, local.user.id)
    assert (row.email, row.name) == (other.email, "Ada")
    assert (await read_user(remote.database, other.id)).issuer is None


async def test_deleted_account_is_made_anew_by_a_newer_token_alone(remote: Remote) -> None:
    now = int(time.time())
    claims = remote.server.claims(iat=now - 30)
    await remote.authenticate(claims)
    await users_deleted(remote.database, claims["sub"])
    remote.authenticator.invalidate(claims["sub"])
    with pytest.raises(AccountGoneError):
        await remote.authenticate(claims)
    assert await remote.row(claims) is None
    assert (await remote.authenticate(claims | {"iat": now + 50})).user_id == claims["sub"]


async def test_account_is_deleted_by_a_fresh_token_in_place_of_a_password(remote: Remote, settings: Settings) -> None:
    now, claims = int(time.time()), remote.server.claims()
    stale = ({"iat": now - 330}, {"auth_time": now - 330}, {"iat": now - 10, "auth_time": now - 330})
    async with serve_with(settings, better_auth_url=remote.server.url) as server, server.client() as http:
        api = GraphClient(http)
        for change in stale:
            refused = await api.mutate("deleteAccount", {"password": ""}, as_=KEY.token(claims | change))
            assert refused["errors"][0]["code"] == "FORBIDDEN"
            assert await remote.row(claims) is not None
        token = KEY.token(claims | {"iat": now - 100, "auth_time": now - 100})
        assert (await api.mutate("deleteAccount", {"password": ""}, as_=token))["deletedIds"] == [claims["sub"]]
        assert (await api.execute("{ viewer { id } }", as_=token)).codes == ["UNAUTHENTICATED"]
        assert await remote.row(claims) is None
        headers = {"Authorization": f"Bearer {KEY.token(claims | {'iat': now + 30})}"}
        response = await http.request("DELETE", "/api/me", json={"password": ""}, headers=headers)
        assert response.json() == {"deleted_ids": [claims["sub"]]}


async def test_no_account_is_made_here_for_an_address_that_is_verified_there(
    remote: Remote, settings: Settings
) -> None:
    verified, unverified = remote.server.claims(), remote.server.claims(emailVerified=False)
    for claims in (verified, unverified):
        await remote.authenticate(claims)
    async with open_account_services(remote.database, settings) as services:
        with pytest.raises(ConflictError, match="already an account with this email address"):
            await services.sign_up(verified["email"])
        assert (await services.sign_up(unverified["email"])).user.id != unverified["sub"]


async def test_any_issuer_is_set_by_its_key_set_name_and_audience(remote: Remote, settings: Settings) -> None:
    issuer = "https://tenant.example.com/"
    named = {"auth_jwks_url": f"{remote.server.url}/api/auth/jwks", "auth_issuer": issuer}
    metadata = {"name": "Ada L.", "avatar_url": "https://example.com/a.png"}
    said = {"iss": issuer, "name": None, "emailVerified": None, "email_verified": True, "user_metadata": metadata}
    for audience, accepted, refused in (
        ("authenticated", ["authenticated", ["other", "authenticated"]], ["other", None]),
        ("*", [None, "other"], []),
    ):
        authenticator = Authenticator(remote.database, settings.model_copy(update=named | {"auth_audience": audience}))
        for each in accepted:
            claims = remote.server.claims(**said, aud=each)
            await authenticator.authenticate(KEY.token(claims))
            row = await remote.row(claims)
            assert (row.issuer, row.name, row.image, row.email_verified) == (issuer, *metadata.values(), True)
        for change in [{"aud": each} for each in refused] + [{"iss": issuer.rstrip("/")}, {"iss": remote.server.url}]:
            with pytest.raises(UnauthenticatedError):
                await authenticator.authenticate(KEY.token(remote.server.claims(**{**said, "aud": audience, **change})))
        await authenticator.close()


def test_settings_that_name_an_issuer_by_halves_are_refused() -> None:
    for given, missing in (
        ({"auth_issuer": "https://i.example.com", "auth_audience": "*"}, "AUTH_JWKS_URL"),
        ({"auth_jwks_url": "https://i.example.com/jwks", "auth_audience": "*"}, "AUTH_ISSUER"),
        ({"auth_jwks_url": "https://i.example.com/jwks", "auth_issuer": "https://i.example.com"}, "AUTH_AUDIENCE"),
        ({"auth_webhook_secret": f"whsec_{'A' * 32}"}, "AUTH_JWKS_URL"),
    ):
        with pytest.raises(SettingsError, match=f"^{missing} is missing: set BETTER_AUTH_URL or all of "):
            trusted_issuer(make_settings("sqlite:///nowhere.db", **given))
    assert trusted_issuer(make_settings("sqlite:///nowhere.db")) is None


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
