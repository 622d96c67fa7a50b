"""Profiles and administration of users over GraphQL."""

from core.ids import new_id
from core.settings import Settings
from models import User
from models.columns import public_columns
from tests.factories import SignedIn, make_user, sign_in
from tests.graph_client import GraphClient
from tests.resolvers.user_api import UserApi
from tests.state import state_of

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
    await api.as_(admin).ok("setUserActive", id=other.user_id, isActive=False)
    refused = await other.execute(USERS)
    assert (refused.status, refused.codes) == (401, ["UNAUTHENTICATED"])
    assert (await api.execute(USERS)).codes == ["FORBIDDEN"]


async def test_admin_mutations_refuse_other_users_and_unknown_ids(
    api: UserApi, admin: SignedIn, stranger: SignedIn
) -> None:
    before = [await state_of(api.database, each.user.id) for each in (admin, api.user, stranger)]
    forbidden = ("FORBIDDEN", None, "Only admins may do this.")
    unknown = ("NOT_FOUND", "input.id", "There is no such user.")
    own = ("BAD_USER_INPUT", "input.id", "You cannot do this to your own account.")
    as_admin = api.as_(admin)
    for name, rest in (("setUserActive", {"isActive": False}), ("deleteUser", {})):
        for caller, user_id, expected in (
            (api, stranger.user.id, forbidden),
            (api, new_id(), forbidden),
            (as_admin, admin.user.id, own),
            (as_admin, new_id(), unknown),
            (as_admin, "\0", unknown),
        ):
            assert await caller.refused(name, id=user_id, **rest) == expected
    assert [await state_of(api.database, each.user.id) for each in (admin, api.user, stranger)] == before
