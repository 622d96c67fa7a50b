"""One's own account, and users for admins, over REST."""

from core.database import Database
from tests.factories import SignedIn, make_user
from tests.server.rest.client import RestClient, refusal


async def test_profile_is_read_and_changed(rest: RestClient, user: SignedIn) -> None:
    me = await rest.ok("GET", "/me")
    assert (me["id"], me["email"], me["is_admin"]) == (user.user.id, user.user.email, False)
    assert "password_hash" not in me
    picture = "https://example.com/ada.png"
    changed = await rest.ok("PATCH", "/me", {"name": " Ada L. ", "image": picture})
    assert (changed["name"], changed["image"]) == ("Ada L.", picture)
    assert (await rest.ok("PATCH", "/me", {"image": None}))["image"] is None
    assert (await rest.ok("PATCH", "/me", {}))["name"] == "Ada L."
    for name, values in {"name": ("", None), "image": ("javascript:alert(1)", ""), "email": ("a@example.com",)}.items():
        for value in values:
            problem = await rest.problem("PATCH", "/me", {name: value})
            assert refusal(problem) == (422, "BAD_USER_INPUT", f"#/{name}")


async def test_admins_manage_users(admin: RestClient, anyone: RestClient, user: SignedIn) -> None:
    rest, path = anyone.as_(user), f"/users/{user.user.id}"
    page = await admin.ok("GET", "/users", limit=1, include_total="true")
    assert (len(page["items"]), page["total"] > 1, page["next_cursor"] is not None) == (1, True, True)
    assert (await admin.ok("PATCH", path, {"is_active": False}))["is_active"] is False
    assert refusal(await rest.problem("GET", "/me")) == (401, "UNAUTHENTICATED", None)
    assert (await admin.ok("PATCH", path, {"is_active": True}))["is_active"] is True
    assert await admin.ok("DELETE", path) == {"deleted_ids": [user.user.id]}
    for method, body in (("PATCH", {"is_active": True}), ("DELETE", None)):
        assert refusal(await admin.problem(method, path, body)) == (404, "NOT_FOUND", None)
        assert admin.user is not None
        own = await admin.problem(method, f"/users/{admin.user.user.id}", body)
        assert (own["status"], own["code"]) == (422, "BAD_USER_INPUT")


async def test_other_users_cannot_manage_users(rest: RestClient, database: Database) -> None:
    other = f"/users/{(await make_user(database)).id}"
    for method, path in ("GET", "/users"), ("PATCH", other), ("DELETE", other), ("DELETE", "/users/nobody"):
        body = {"is_active": False} if method == "PATCH" else None
        assert refusal(await rest.problem(method, path, body)) == (403, "FORBIDDEN", None)
