"""Profiles and administration of users over GraphQL."""

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from tests.factories import SignedIn, make_user, sign_in
from tests.graph_client import GraphClient, refusal
from tests.state import state_of

USERS = "{ users { nodes { id } totalCount } }"


async def test_viewer_is_the_caller_or_null(client: GraphClient, user: SignedIn) -> None:
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


async def test_update_profile_changes_what_is_given(client: GraphClient, user: SignedIn) -> None:
    image = "https://example.com/ada.png"
    payload = await client.mutate("updateProfile", {"name": " Ada Lovelace ", "image": image}, as_=user)
    assert payload["errors"] == []
    assert payload["user"]["updatedAt"] > payload["user"]["createdAt"]
    cleared = await client.mutate("updateProfile", {"image": None}, as_=user)
    assert (payload["user"]["image"], cleared["user"]["image"]) == (image, None)
    assert (payload["user"]["name"], cleared["user"]["name"]) == ("Ada Lovelace",) * 2
    refused = await client.mutate("updateProfile", {"name": None}, as_=user)
    assert refusal(refused) == (
        "BAD_USER_INPUT",
        "input.name",
        "name cannot be cleared; leave it out to keep it as it is.",
    )


async def test_admin_pages_through_all_users(client: GraphClient, database: Database, admin: SignedIn) -> None:
    later = [(await make_user(database)).id for _ in range(3)]
    query = "query ($after: String) { users(last: 2, before: $after) { edges { cursor node { id } } } }"
    seen: list[str] = []
    cursor = None
    for _ in range(2):
        edges = (await client.query(query, {"after": cursor}, as_=admin))["users"]["edges"]
        seen = [edge["node"]["id"] for edge in edges] + seen
        cursor = edges[0]["cursor"]
    assert seen == [admin.user.id, *later]


async def test_deactivated_admin_and_other_users_cannot_list_users(
    client: GraphClient, database: Database, settings: Settings, admin: SignedIn, user: SignedIn
) -> None:
    other = await sign_in(database, settings, await make_user(database, is_admin=True))
    assert (await client.execute(USERS, as_=other)).codes == []
    await client.mutate("setUserActive", {"id": other.user.id, "isActive": False}, as_=admin)
    refused = await client.execute(USERS, as_=other)
    assert (refused.status, refused.codes) == (401, ["UNAUTHENTICATED"])
    assert (await client.execute(USERS, as_=user)).codes == ["FORBIDDEN"]


async def test_admin_mutations_refuse_other_users_and_unknown_ids(
    client: GraphClient, database: Database, admin: SignedIn, user: SignedIn, stranger: SignedIn
) -> None:
    before = [await state_of(database, each.user.id) for each in (admin, user, stranger)]
    for name, rest in (("setUserActive", {"isActive": False}), ("deleteUser", {})):
        for caller, user_id, expected in (
            (user, stranger.user.id, ("FORBIDDEN", None, "Only admins may do this.")),
            (user, new_id(), ("FORBIDDEN", None, "Only admins may do this.")),
            (admin, admin.user.id, ("BAD_USER_INPUT", "input.id", "You cannot do this to your own account.")),
            (admin, new_id(), ("NOT_FOUND", "input.id", "There is no such user.")),
            (admin, "\0", ("NOT_FOUND", "input.id", "There is no such user.")),
        ):
            assert refusal(await client.mutate(name, {"id": user_id} | rest, as_=caller)) == expected
    assert [await state_of(database, each.user.id) for each in (admin, user, stranger)] == before
