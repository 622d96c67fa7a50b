"""Personal access tokens over GraphQL: shown once, stored as hashes, listed and revoked by their owner only."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from core.clock import utc_now
from models import AccessToken
from services.accounts.access_tokens import MAX_TOKENS
from tests.access_tokens import access_token_rows, make_access_token
from tests.factories import SignedIn, store
from tests.graph_client import refusal
from tests.resolvers.user_api import UserApi
from tests.servers import RunningServer
from tests.services.rows import all_statements

LIST: Final = "{ viewer { accessTokens { id name scopes expiresAt lastUsedAt createdAt } } }"
NO_TOKEN: Final = ("NOT_FOUND", "input.id", "There is no such access token.")


async def stored_ids(api: UserApi) -> list[str]:
    return [row.id for row in await access_token_rows(api.database, api.user_id)]


async def make(api: UserApi) -> str:
    return (await make_access_token(api.database, api.caller)).access_token.id


async def test_token_is_shown_once_and_listed_without_its_text(api: UserApi) -> None:
    expires_at = (utc_now() + timedelta(days=30)).isoformat()
    scopes = ["TASKS_WRITE", "TASKS_READ", "TASKS_READ"]
    payload = await api.ok("createAccessToken", name=" Desktop assistant ", scopes=scopes, expiresAt=expires_at)
    made, text = payload["accessToken"], payload["token"]
    assert (made["name"], made["scopes"]) == ("Desktop assistant", ["TASKS_READ", "TASKS_WRITE"])
    assert (made["expiresAt"], made["lastUsedAt"]) == (expires_at, None)
    assert await api.query(LIST) == {"viewer": {"accessTokens": [made]}}
    assert (text[:3], len(text)) == ("tt_", 46)
    (row,) = await access_token_rows(api.database, api.user_id)
    assert row.token_hash == sha256(text.encode()).hexdigest()
    assert text not in str(tuple(row))


async def test_invalid_token_is_not_created(api: UserApi) -> None:
    cases: list[tuple[str, Any, str]] = [
        ("name", " ", "name must be 1 to 100 characters long; it has 0."),
        ("name", "n" * 101, "name must be 1 to 100 characters long; it has 101."),
        ("scopes", [], "scopes is empty; name at least one."),
        ("expiresAt", "2020-01-01T00:00:00Z", "expiresAt has passed; name a moment to come, or leave it out."),
    ]
    for name, value, message in cases:
        refused = await api.refused(
            "createAccessToken", **{"name": "Desktop", "scopes": ["TASKS_READ"]} | {name: value}
        )
        assert refused == ("BAD_USER_INPUT", f"input.{name}", message)
    assert await stored_ids(api) == []


async def test_number_of_tokens_is_limited(api: UserApi) -> None:
    of_user: dict[str, Any] = {"user_id": api.user_id, "name": "t", "scopes": ["tasks:read"]}
    rows = (AccessToken(**of_user, token_hash=f"{api.user_id}{index}") for index in range(MAX_TOKENS - 1))
    await store(api.database, *rows)
    creating = (api.mutate("createAccessToken", name="Desktop", scopes=["TASKS_READ"]) for _ in range(3))
    refused = [refusal(payload) for payload in await asyncio.gather(*creating) if payload["errors"]]
    assert refused == [("CONFLICT", None, f"You have {MAX_TOKENS} access tokens already; revoke one first.")] * 2
    assert len(await stored_ids(api)) == MAX_TOKENS


async def test_token_is_invisible_to_others_and_deleted_when_its_owner_revokes_it(
    api: UserApi, stranger: SignedIn, admin: SignedIn
) -> None:
    kept, revoked = await make(api), await make(api)
    for other in (api.as_(stranger), api.as_(admin)):
        assert await other.refused("revokeAccessToken", id=revoked) == NO_TOKEN
        assert await other.query(LIST) == {"viewer": {"accessTokens": []}}
    query = "query ($id: ID!) { node(id: $id) { ... on User { email accessTokens { id } } } }"
    seen = await api.as_(admin).query(query, id=api.user_id)
    assert seen == {"node": {"email": api.user.user.email, "accessTokens": []}}
    assert await api.ok("revokeAccessToken", id=revoked) == {"deletedIds": [revoked]}
    assert await stored_ids(api) == [kept]
    assert await api.refused("revokeAccessToken", id=revoked) == NO_TOKEN


async def test_tokens_are_listed_by_one_statement_and_deleted_with_their_user(
    api: UserApi, admin: SignedIn, server: RunningServer
) -> None:
    for count in (1, 2):
        await make(api)
        with all_statements(server.runtime.database) as statements:
            assert len((await api.query(LIST))["viewer"]["accessTokens"]) == count
        assert len([text for text in statements if "access_tokens" in text]) == 1
    await api.as_(admin).ok("deleteUser", id=api.user_id)
    assert await stored_ids(api) == []
