"""Profiles, and what admins do."""

from typing import Any

import pytest

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from tests.factories import SignedIn, make_conversation, make_task, make_user, sign_in
from tests.graph_client import GraphClient, refusal
from tests.state import state_of

USERS = "{ users { nodes { id } totalCount } }"


async def test_the_viewer(client: GraphClient, user: SignedIn) -> None:
    query = "{ viewer { id email name image emailVerified isActive isAdmin createdAt updatedAt } }"
    assert await client.query(query) == {"viewer": None}
    viewer = (await client.query(query, as_=user))["viewer"]
    assert viewer.pop("createdAt") == user.user.created_at.isoformat()
    assert viewer.pop("updatedAt") == user.user.updated_at.isoformat()
    assert viewer == {
        "id": user.user.id,
        "email": user.user.email,
        "name": "Ada",
        "image": None,
        "emailVerified": False,
        "isActive": True,
        "isAdmin": False,
    }


async def test_the_profile(client: GraphClient, database: Database, user: SignedIn) -> None:
    image = "https://example.com/ada.png"
    payload = await client.mutate("updateProfile", {"name": " Ada Lovelace ", "image": image}, as_=user)
    assert payload["errors"] == []
    assert (payload["user"]["name"], payload["user"]["image"]) == ("Ada Lovelace", image)
    assert payload["user"]["updatedAt"] > payload["user"]["createdAt"]
    named = await client.mutate("updateProfile", {"name": "Countess"}, as_=user)
    assert (named["user"]["name"], named["user"]["image"]) == ("Countess", image)
    cleared = await client.mutate("updateProfile", {"image": None}, as_=user)
    assert (cleared["user"]["name"], cleared["user"]["image"]) == ("Countess", None)
    assert (await state_of(database, user.user.id)).revision == 3


@pytest.mark.parametrize("given", [{}, {"name": " Ada "}, {"image": None}, {"name": "Ada", "image": None}])
async def test_no_change_takes_no_revision(
    client: GraphClient, database: Database, user: SignedIn, given: dict[str, Any]
) -> None:
    before = await state_of(database, user.user.id)
    payload = await client.mutate("updateProfile", given, as_=user)
    assert (payload["errors"], payload["user"]["name"]) == ([], "Ada")
    assert await state_of(database, user.user.id) == before


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"name": None}, "name", "name cannot be null; leave it out to keep it."),
        ({"name": " "}, "name", "name must be 1 to 200 characters long; it has 0."),
        ({"name": "x" * 201}, "name", "name must be 1 to 200 characters long; it has 201."),
        ({"image": "javascript:alert(1)"}, "image", "image must be an address that begins with https:// or http://."),
        ({"image": "https://" + "x" * 2_000}, "image", "image must be 1 to 2000 characters long; it has 2008."),
    ],
)
async def test_a_profile_that_cannot_be(
    client: GraphClient, database: Database, user: SignedIn, *, given: dict[str, Any], path: str, message: str
) -> None:
    before = await state_of(database, user.user.id)
    payload = await client.mutate("updateProfile", {"name": "New"} | given, as_=user)
    assert refusal(payload) == ("BAD_USER_INPUT", f"input.{path}", message)
    assert await state_of(database, user.user.id) == before


async def test_admins_list_users(client: GraphClient, database: Database, admin: SignedIn) -> None:
    later = [(await make_user(database)).id for _ in range(3)]
    query = "query ($after: String) { users(last: 2, before: $after) { edges { cursor node { id } } } }"
    seen: list[str] = []
    cursor = None
    for _ in range(2):
        edges = (await client.query(query, {"after": cursor}, as_=admin))["users"]["edges"]
        seen = [edge["node"]["id"] for edge in edges] + seen
        cursor = edges[0]["cursor"]
    assert seen == [admin.user.id, *later]


async def test_an_admin_sees_no_rows_of_others(
    client: GraphClient, database: Database, admin: SignedIn, user: SignedIn
) -> None:
    for each in (user, admin):
        await make_task(database, each.caller)
        await make_conversation(database, each.caller)
    query = """query ($id: ID!) { node(id: $id) { ... on User {
        email tasks { nodes { id } totalCount } conversations { edges { node { id } } totalCount }
    } } }"""
    node = (await client.query(query, {"id": user.user.id}, as_=admin))["node"]
    assert node == {
        "email": user.user.email,
        "tasks": {"nodes": [], "totalCount": 0},
        "conversations": {"edges": [], "totalCount": 0},
    }


async def test_who_is_no_admin_any_more(
    client: GraphClient, database: Database, settings: Settings, admin: SignedIn, user: SignedIn
) -> None:
    other = await sign_in(database, settings, await make_user(database, is_admin=True))
    assert (await client.execute(USERS, as_=other)).codes == []
    await client.mutate("setUserActive", {"id": other.user.id, "isActive": False}, as_=admin)
    refused = await client.execute(USERS, as_=other)
    assert (refused.status, refused.codes) == (401, ["UNAUTHENTICATED"])
    assert (await client.execute(USERS, as_=user)).codes == ["FORBIDDEN"]


async def test_who_is_in_already(client: GraphClient, database: Database, admin: SignedIn, user: SignedIn) -> None:
    for is_active, revision in ((True, 0), (False, 1), (False, 1), (True, 2), (True, 2)):
        payload = await client.mutate("setUserActive", {"id": user.user.id, "isActive": is_active}, as_=admin)
        assert (payload["errors"], payload["user"]["isActive"]) == ([], is_active)
        assert (await state_of(database, user.user.id)).revision == revision


ADMINS_ALONE = pytest.mark.parametrize(("name", "rest"), [("setUserActive", {"isActive": False}), ("deleteUser", {})])


@ADMINS_ALONE
async def test_what_only_admins_do(
    client: GraphClient, database: Database, user: SignedIn, stranger: SignedIn, *, name: str, rest: dict[str, Any]
) -> None:
    states = [await state_of(database, each.user.id) for each in (user, stranger)]
    for user_id in (stranger.user.id, user.user.id, new_id(), "", "\0"):
        payload = await client.mutate(name, {"id": user_id} | rest, as_=user)
        assert refusal(payload) == ("FORBIDDEN", None, "Only admins may do this.")
    assert [await state_of(database, each.user.id) for each in (user, stranger)] == states


@ADMINS_ALONE
async def test_whom_admins_do_it_to(
    client: GraphClient, database: Database, admin: SignedIn, name: str, rest: dict[str, Any]
) -> None:
    before = await state_of(database, admin.user.id)
    own = await client.mutate(name, {"id": admin.user.id} | rest, as_=admin)
    assert refusal(own) == ("BAD_USER_INPUT", "input.id", "You cannot do this to your own account.")
    for user_id in (new_id(), "", "\0", "x" * 10_000):
        nobody = await client.mutate(name, {"id": user_id} | rest, as_=admin)
        assert refusal(nobody) == ("NOT_FOUND", "input.id", "There is no such user.")
    assert await state_of(database, admin.user.id) == before
