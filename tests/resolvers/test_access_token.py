"""Personal access tokens over GraphQL: shown once, stored as hashes, listed and revoked by their owner only."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from core.clock import utc_now
from core.database import Database
from models import AccessScope, AccessToken
from services.accounts.access_tokens import MAX_TOKENS
from tests.access_tokens import access_token_rows, make_access_token
from tests.factories import SignedIn, store
from tests.graph_client import GraphClient, refusal
from tests.services.rows import all_statements

LIST: Final = "{ viewer { accessTokens { id name scopes expiresAt lastUsedAt createdAt } } }"


async def test_token_is_shown_once_and_listed_without_its_text(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    expires_at = (utc_now() + timedelta(days=30)).isoformat()
    given = {
        "name": " Desktop assistant ",
        "scopes": ["TASKS_WRITE", "TASKS_READ", "TASKS_READ"],
        "expiresAt": expires_at,
    }
    answer = await client.query(
        """mutation ($input: CreateAccessTokenInput!) { createAccessToken(input: $input) {
            accessToken { id name scopes expiresAt lastUsedAt createdAt } token errors { code } } }""",
        {"input": given},
        as_=user,
    )
    payload = answer["createAccessToken"]
    assert payload["errors"] == []
    made = payload["accessToken"]
    assert (made["name"], made["scopes"]) == ("Desktop assistant", ["TASKS_READ", "TASKS_WRITE"])
    assert (made["expiresAt"], made["lastUsedAt"]) == (expires_at, None)
    assert await client.query(LIST, as_=user) == {"viewer": {"accessTokens": [made]}}
    text = payload["token"]
    assert text.startswith("tt_")
    assert len(text) == 46
    (row,) = await access_token_rows(database, user.user.id)
    assert row.token_hash == sha256(text.encode()).hexdigest()
    assert text not in str(tuple(row))


async def test_invalid_token_is_not_created(client: GraphClient, database: Database, user: SignedIn) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"name": " "}, "name must be 1 to 100 characters long; it has 0."),
        ({"name": "n" * 101}, "name must be 1 to 100 characters long; it has 101."),
        ({"scopes": []}, "scopes is empty; name at least one."),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt has passed; name a moment to come, or leave it out."),
    ]
    for given, message in cases:
        valid = {"name": "Desktop", "scopes": ["TASKS_READ"]}
        payload = await client.mutate("createAccessToken", valid | given, as_=user)
        assert refusal(payload) == ("BAD_USER_INPUT", f"input.{next(iter(given))}", message)
    query = 'mutation { createAccessToken(input: {name: "n", scopes: TASKS_READ}) { token } }'
    assert (await client.execute(query)).codes == ["UNAUTHENTICATED"]
    assert await access_token_rows(database, user.user.id) == []


async def test_number_of_tokens_is_limited(client: GraphClient, database: Database, user: SignedIn) -> None:
    await store(
        database,
        *(
            AccessToken(user_id=user.user.id, name="t", token_hash=f"{user.user.id}{index}", scopes=["tasks:read"])
            for index in range(MAX_TOKENS - 1)
        ),
    )
    given = {"name": "Desktop", "scopes": ["TASKS_READ"]}
    payloads = await asyncio.gather(*(client.mutate("createAccessToken", given, as_=user) for _ in range(3)))
    refusals = [refusal(payload) for payload in payloads if payload["errors"]]
    assert refusals == [("CONFLICT", None, f"You have {MAX_TOKENS} access tokens already; revoke one first.")] * 2
    assert len(await access_token_rows(database, user.user.id)) == MAX_TOKENS


async def test_revoked_token_is_deleted(client: GraphClient, database: Database, user: SignedIn) -> None:
    kept = (await make_access_token(database, user.caller)).access_token
    revoked = (await make_access_token(database, user.caller)).access_token
    payload = await client.mutate("revokeAccessToken", {"id": revoked.id}, as_=user)
    assert payload == {"deletedIds": [revoked.id], "errors": []}
    assert [row.id for row in await access_token_rows(database, user.user.id)] == [kept.id]
    again = await client.mutate("revokeAccessToken", {"id": revoked.id}, as_=user)
    assert refusal(again) == ("NOT_FOUND", "input.id", "There is no such access token.")


async def test_token_is_invisible_to_other_users_and_admins(
    client: GraphClient, database: Database, user: SignedIn, stranger: SignedIn, admin: SignedIn
) -> None:
    token = (await make_access_token(database, user.caller)).access_token
    for other in (stranger, admin):
        payload = await client.mutate("revokeAccessToken", {"id": token.id}, as_=other)
        assert refusal(payload) == ("NOT_FOUND", "input.id", "There is no such access token.")
        assert await client.query(LIST, as_=other) == {"viewer": {"accessTokens": []}}
    seen = await client.query(
        "query ($id: ID!) { node(id: $id) { id ... on User { email accessTokens { id } } } }",
        {"id": user.user.id},
        as_=admin,
    )
    assert seen["node"] == {"id": user.user.id, "email": user.user.email, "accessTokens": []}
    assert len(await access_token_rows(database, user.user.id)) == 1


async def test_tokens_are_listed_by_one_statement_and_deleted_with_their_user(
    client: GraphClient, database: Database, user: SignedIn, admin: SignedIn, server: Any
) -> None:
    for count in (1, 2):
        await make_access_token(database, user.caller, [AccessScope.TASKS_READ])
        with all_statements(server.runtime.database) as statements:
            tokens = (await client.query(LIST, as_=user))["viewer"]["accessTokens"]
        assert len(tokens) == count
        assert len([text for text in statements if "access_tokens" in text]) == 1
    assert (await client.mutate("deleteUser", {"id": user.user.id}, as_=admin))["errors"] == []
    assert await access_token_rows(database, user.user.id) == []
