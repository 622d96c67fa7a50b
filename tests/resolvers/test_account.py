"""Sessions, profiles, personal access tokens and the administration of users over GraphQL."""

import asyncio
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from core.clock import utc_now
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from models import AccessToken, User
from models.columns import public_columns
from tests.access_tokens import access_token_rows, make_access_token
from tests.factories import SignedIn, make_user, sign_in, store
from tests.graph_client import GraphClient, refusal
from tests.resolvers.user_api import UserApi
from tests.services.rows import end_grace

PASSWORD = "correct horse battery"
VIEWER = "{ viewer { id email name } }"


async def sign_up(client: GraphClient) -> tuple[dict[str, Any], dict[str, Any]]:
    account = {"email": f"{new_id()}@example.com", "password": PASSWORD, "name": "Ada"}
    payload = await client.mutate("signUp", account)
    assert payload["errors"] == []
    return account, payload


async def refused(client: GraphClient, *tokens: str) -> list[bool]:
    """Return which tokens are refused with 401, even where an anonymous caller would be served."""
    answers = [await client.execute(VIEWER, as_=token) for token in tokens]
    for answer in answers:
        assert (answer.status, answer.codes) in ((200, []), (401, ["UNAUTHENTICATED"]))
    return [answer.status == 401 for answer in answers]


async def test_sign_up_and_sign_in_return_tokens_of_the_user(client: GraphClient) -> None:
    account, signed_up = await sign_up(client)
    left = datetime.fromisoformat(signed_up["expiresAt"]) - utc_now()
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    signed_in = await client.mutate("signIn", {"email": account["email"].upper(), "password": PASSWORD})
    assert (signed_in["errors"], signed_in["user"]) == ([], signed_up["user"])
    viewer = {"id": signed_up["user"]["id"], "email": account["email"], "name": "Ada"}
    for payload in (signed_up, signed_in):
        assert await client.query(VIEWER, as_=payload["accessToken"]) == {"viewer": viewer}
    taken = "There is already an account with this email address; sign in instead."
    assert refusal(await client.mutate("signUp", account)) == ("CONFLICT", "input.email", taken)
    for name, value in (("email", "ada"), ("password", "short"), ("name", " ")):
        payload = await client.mutate("signUp", account | {name: value})
        assert refusal(payload)[:2] == ("BAD_USER_INPUT", f"input.{name}")


async def test_refresh_token_used_again_after_a_while_ends_the_session(client: GraphClient, database: Database) -> None:
    _, first = await sign_up(client)
    second = await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]})
    assert (second["errors"], second["user"]) == ([], first["user"])
    assert await refused(client, second["accessToken"]) == [False]
    assert await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]}) == second
    await end_grace(database, first["user"]["id"])
    reused = await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]})
    assert refusal(reused)[:2] == ("UNAUTHENTICATED", "input.refreshToken")
    assert await refused(client, first["accessToken"], second["accessToken"]) == [True] * 2
    assert await client.mutate("refreshSession", {"refreshToken": second["refreshToken"]}) == reused


async def test_sign_out_ends_one_session(api: UserApi, settings: Settings) -> None:
    other = await sign_in(api.database, settings, api.user.user)
    assert await api.client.mutate("signOut", as_=api.user) == {"errors": []}
    assert await refused(api.client, api.user.token, other.token) == [True, False]


async def test_password_change_and_account_deletion_need_the_password(client: GraphClient) -> None:
    account, first = await sign_up(client)
    token, given = first["accessToken"], {"currentPassword": PASSWORD, "newPassword": "another password"}
    wrong = await client.mutate("changePassword", given | {"currentPassword": "not it"}, as_=token)
    assert refusal(wrong) == ("BAD_USER_INPUT", "input.currentPassword", "The current password is wrong.")
    payload = await client.mutate("changePassword", given, as_=token)
    assert (payload["errors"], payload["user"]["id"]) == ([], first["user"]["id"])
    old = await client.mutate("signIn", {"email": account["email"], "password": PASSWORD})
    assert refusal(old) == ("UNAUTHENTICATED", None, "The email address or the password is wrong.")
    wrong = await client.mutate("deleteAccount", {"password": PASSWORD}, as_=token)
    assert refusal(wrong) == ("BAD_USER_INPUT", "input.password", "The current password is wrong.")
    deleted = await client.mutate("deleteAccount", {"password": "another password"}, as_=token)
    assert deleted == {"deletedIds": [first["user"]["id"]], "errors": []}
    assert await refused(client, token) == [True]


USERS = "{ users { nodes { id } totalCount } }"


async def test_viewer_is_the_caller_or_null(client: GraphClient, api: UserApi) -> None:
    columns = public_columns(User)
    query = f"{{ viewer {{ id {' '.join(column.api_name for column in columns)} }} }}"
    assert await client.query(query) == {"viewer": None}
    expected = {"id": api.user_id} | {column.api_name: getattr(api.user.user, column.name) for column in columns}
    expected |= {name: expected[name].isoformat() for name in ("createdAt", "updatedAt")}
    assert expected.items() >= {"name": "Ada", "image": None, "isActive": True, "isAdmin": False}.items()
    assert await api.query(query) == {"viewer": expected}


async def test_update_profile_changes_what_is_given(api: UserApi) -> None:
    image = "https://example.com/ada.png"
    changed = (await api.ok("updateProfile", name=" Ada Lovelace ", image=image))["user"]
    assert changed["updatedAt"] > changed["createdAt"]
    cleared = (await api.ok("updateProfile", image=None))["user"]
    assert (changed["image"], cleared["image"]) == (image, None)
    assert (changed["name"], cleared["name"]) == ("Ada Lovelace",) * 2
    message = "name cannot be cleared; leave it out to keep it as it is."
    assert await api.refused("updateProfile", name=None) == ("BAD_USER_INPUT", "input.name", message)


async def test_admin_pages_through_all_users(api: UserApi, admin: SignedIn) -> None:
    later = [(await make_user(api.database)).id for _ in range(3)]
    query = "query ($before: String) { users(last: 2, before: $before) { edges { cursor node { id } } } }"
    edges = (await api.as_(admin).query(query))["users"]["edges"]
    edges = (await api.as_(admin).query(query, before=edges[0]["cursor"]))["users"]["edges"] + edges
    assert [edge["node"]["id"] for edge in edges] == [admin.user.id, *later]


async def test_deactivated_admin_and_other_users_cannot_list_users(
    api: UserApi, settings: Settings, admin: SignedIn
) -> None:
    other = api.as_(await sign_in(api.database, settings, await make_user(api.database, is_admin=True)))
    assert (await other.execute(USERS)).codes == []
    changed = await api.as_(admin).ok("setUserActive", id=other.user_id, isActive=False)
    assert (changed["user"]["id"], changed["user"]["isActive"]) == (other.user_id, False)
    refused = await other.execute(USERS)
    assert (refused.status, refused.codes) == (401, ["UNAUTHENTICATED"])
    assert (await api.execute(USERS)).codes == ["FORBIDDEN"]


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
    assert (text[:3], len(text)) == ("tt_", 52)
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


async def test_number_of_tokens_is_limited(api: UserApi, settings: Settings) -> None:
    quota = settings.max_access_tokens_per_user
    of_user: dict[str, Any] = {"user_id": api.user_id, "name": "t", "scopes": ["tasks:read"]}
    rows = (AccessToken(**of_user, token_hash=f"{api.user_id}{index}") for index in range(quota - 1))
    await store(api.database, *rows)
    creating = (api.mutate("createAccessToken", name="Desktop", scopes=["TASKS_READ"]) for _ in range(3))
    refused = [refusal(payload) for payload in await asyncio.gather(*creating) if payload["errors"]]
    assert refused == [("QUOTA_EXCEEDED", None, f"You have {quota} access tokens already; revoke one first.")] * 2
    assert len(await stored_ids(api)) == quota


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
