"""Signing up, in and out, one's own account, and users for admins, over REST."""

import asyncio
from typing import Any, Final

from httpx2 import AsyncClient, Response

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from tests.factories import SignedIn, make_user
from tests.server.rest.client import RestClient, problem_of, refusal
from tests.servers import serve_with

PASSWORD: Final = "correct horse battery staple"


def registration(**values: Any) -> dict[str, Any]:
    return {"email": f"{new_id()}@example.com", "password": PASSWORD, "name": "Ann"} | values


async def login(http: AsyncClient, username: str, password: str = PASSWORD, **more: Any) -> Response:
    form = {"grant_type": "password", "username": username, "password": password}
    return await http.post("/api/auth/login", data=form, **more)


async def test_session_from_registration_to_logout(anyone: RestClient, http: AsyncClient) -> None:
    given = registration()
    response = await anyone.send("POST", "/auth/register", given)
    made = response.json()
    assert (response.status_code, response.headers["location"]) == (201, "/api/me")
    assert (made["token_type"], made["user"]["email"]) == ("bearer", given["email"])
    assert 0 < made["expires_in"] <= 30 * 60
    # Swagger UI names itself by Basic credentials, as OAuth 2 has it.
    signed_in = (await login(http, given["email"], headers={"Authorization": "Basic Og=="})).json()
    assert (signed_in.keys(), signed_in["user"]) == (made.keys(), made["user"])
    renewed = await anyone.ok("POST", "/auth/refresh", {"refresh_token": signed_in["refresh_token"]})
    assert renewed["user"] == made["user"]
    headers = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert await anyone.ok("GET", "/me", headers=headers) == made["user"]
    assert await anyone.ok("POST", "/auth/logout", headers=headers) is None
    response = await anyone.send("GET", "/me", headers=headers)
    assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


async def test_invalid_registration_is_refused(anyone: RestClient) -> None:
    refused: dict[str, list[Any]] = {"email": ["ann", "a\0b@example.com"], "password": ["short", "x" * 1_025]}
    for name, values in (refused | {"name": [" ", None], "is_admin": [True]}).items():
        for value in values:
            problem = await anyone.problem("POST", "/auth/register", registration(**{name: value}))
            assert refusal(problem) == (422, "BAD_USER_INPUT", f"#/{name}")
    wrong = await anyone.problem("POST", "/auth/register", {"email": "ann", "password": "short", "name": " "})
    assert (wrong["status"], wrong["detail"]) == (422, "3 values are not right; see errors.")
    assert [error["pointer"] for error in wrong["errors"]] == ["#/email", "#/password", "#/name"]
    given = registration()
    await anyone.ok("POST", "/auth/register", given)
    problem = await anyone.problem("POST", "/auth/register", given | {"email": given["email"].upper()})
    assert (refusal(problem), problem["reason"]) == ((409, "CONFLICT", "#/email"), "EMAIL_TAKEN")


async def test_wrong_password_and_unknown_address_are_refused_alike(anyone: RestClient, http: AsyncClient) -> None:
    given = registration()
    await anyone.ok("POST", "/auth/register", given)
    responses = [await login(http, given["email"], "wrong"), await login(http, "nobody@example.com")]
    for response in responses:
        assert response.headers["www-authenticate"] == "Bearer"
        assert refusal(problem_of(response)) == (401, "UNAUTHENTICATED", None)
    assert len({response.content for response in responses}) == 1


GIVEN: Final = b"username=a&password="
FORMS: Final[dict[int, list[bytes]]] = {
    401: [GIVEN + b"b", GIVEN + b"b&grant_type=password&scope=&client_id=c&client_secret=d"],
    422: [
        *(GIVEN + rest for rest in (b"b&grant_type=implicit", b"b&more=c", b"%00", b"x" * 1_025)),
        *(b"username=a", b""),
    ],
    400: [b"username=%ff&password=b", b"username=\xff&password=b", b"&".join([b"username=a"] * 51)],
    413: [GIVEN + b"x" * 70_000],
}


async def test_login_refuses_malformed_forms_and_other_media_types(http: AsyncClient) -> None:
    for status, forms in FORMS.items():
        for content in forms:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = await http.post("/api/auth/login", content=content, headers=headers)
            assert (response.status_code, problem_of(response)["status"]) == (status, status), content[:80]
    for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain", ""):
        headers = {"Content-Type": content_type} if content_type else {}
        response = await http.post("/api/auth/login", content=GIVEN + b"b", headers=headers)
        assert problem_of(response)["status"] == 415


async def test_wrong_passwords_are_rate_limited(settings: Settings) -> None:
    async with serve_with(settings, sign_in_attempts=2) as server, server.client() as http:
        responses = await asyncio.gather(*(login(http, "someone@example.com", str(number)) for number in range(4)))
    assert {response.status_code for response in responses} == {401, 429}
    refused = next(response for response in responses if response.status_code == 429)
    problem = problem_of(refused)
    assert (problem["code"], int(refused.headers["retry-after"]) > 0) == ("RATE_LIMITED", True)
    assert problem["retry_at"]


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


async def test_account_is_deleted_with_its_password(http: AsyncClient, anyone: RestClient) -> None:
    given = registration()
    headers = {"Authorization": f"Bearer {(await anyone.ok('POST', '/auth/register', given))['access_token']}"}
    for password in ("", "wrong"):
        problem = await anyone.problem("DELETE", "/me", {"password": password}, headers=headers)
        assert refusal(problem) == (422, "BAD_USER_INPUT", "#/password")
    deleted = await anyone.ok("DELETE", "/me", {"password": given["password"]}, headers=headers)
    assert len(deleted["deleted_ids"]) == 1
    assert (await login(http, given["email"])).status_code == 401


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
