"""Malformed requests and failures over REST are problem details."""

from collections.abc import AsyncIterator
from typing import Final
from unittest.mock import Mock

import pytest
from httpx2 import AsyncClient

from core.errors import UnavailableError
from core.settings import Settings
from services.entities import lists
from tests.factories import SignedIn
from tests.server.rest.client import RestClient, problem_of, refusal
from tests.servers import serve_with

BODY = b'{"title": "x"}'
SECRET = "the password of the database is hunter2"


@pytest.fixture(scope="module")
async def small(settings: Settings) -> AsyncIterator[AsyncClient]:
    """Give a client of a server that takes small bodies from pages of one other origin."""
    overrides = {"graphql_max_body_bytes": 100_000, "allowed_origins": ("https://app.example.com",)}
    async with serve_with(settings, **overrides) as server, server.client() as client:
        yield client


# By the status; tests/server/http has the rules of JSON and of media types.
BODIES: Final[dict[int, list[bytes]]] = {
    201: [BODY],
    400: [
        *(b"", b"{", b"null", b"[]", b'"x"', b'{"title": "\\ud800"}', b'{"title": 1e400}', b"[" * 90_000),
        *(b'{"title": ' + b"9" * 5_000 + b"}", b'{"title":' * 9_000 + b"1" + b"}" * 9_000),
        b'{"title": "x", "tags": [' + b"1," * 20_000 + b"1]}",
    ],
    413: [b'{"title": "' + b"x" * 100_000 + b'"}'],
    422: [b'{"title": "\\u0000"}', b'{"title":' * 500 + b"1" + b"}" * 500],
}
MEDIA_TYPES: Final = ("application/x-www-form-urlencoded", "application/merge-patch+json", "text/plain", "")


async def test_malformed_bodies_are_refused(small: AsyncClient, user: SignedIn) -> None:
    cases = [(body, "Application/JSON; charset=UTF-8", status) for status, bodies in BODIES.items() for body in bodies]
    for body, media_type, status in cases + [(BODY, media_type, 415) for media_type in MEDIA_TYPES]:
        headers = user.headers | ({"Content-Type": media_type} if media_type else {})
        response = await small.post("/api/tasks", content=body, headers=headers)
        assert response.status_code == status, (body[:80], media_type, response.text)
        assert status == 201 or problem_of(response)["code"] == "BAD_USER_INPUT"


ROUTES: Final = (
    "GET /me",
    "GET /tasks",
    "POST /tasks",
    "POST /chat/stream",
)


async def test_caller_is_authenticated_before_the_body_is_read(anyone: RestClient) -> None:
    assert (await anyone.problem("POST", "/tasks", 1))["code"] == "UNAUTHENTICATED"
    for method, path in (route.split() for route in ROUTES):
        for credentials in ("", "Bearer", "Bearer nonsense", "Basic YTpi", "Bearer a.b.c"):
            response = await anyone.send(method, path, 1, headers={"Authorization": credentials})
            challenge = response.headers["www-authenticate"]
            assert (response.status_code, challenge) == (401, 'Bearer error="invalid_token"')


ALLOWED: Final = {
    "DELETE /tasks": "GET, POST",
    "POST /tasks/x": "DELETE, GET, PATCH, PUT",
    "TRACE /me": "DELETE, GET, PATCH",
}


async def test_unknown_paths_and_methods_are_problems(http: AsyncClient, rest: RestClient) -> None:
    for path in ("/api/", "/api/nothing", "/api/tasks/", "/api/tasks/x/toggle/", "/api/me/x", "/api/tasks/..%2f.."):
        assert refusal(problem_of(await http.get(path))) == (404, "NOT_FOUND", None)
    for route, allowed in (ALLOWED | {"GET /auth/login": "POST"}).items():
        method, path = route.split()
        response = await http.request(method, f"/api{path}")
        assert refusal(problem_of(response)) == (405, "METHOD_NOT_ALLOWED", None)
        assert response.headers["allow"] == allowed
    for task_id in ("x", "%00", "%ff", "x" * 5_000, "\N{ROCKET}"):
        assert refusal(await rest.problem("GET", f"/tasks/{task_id}")) == (404, "NOT_FOUND", None)


async def test_query_string_of_many_parameters_is_refused(http: AsyncClient, user: SignedIn) -> None:
    for query in ("&".join(["order=title"] * 60), "&" * 10_000):
        response = await http.get(f"/api/tasks?{query}", headers=user.headers)
        assert refusal(problem_of(response)) == (400, "BAD_USER_INPUT", None)


async def test_unexpected_failure_is_masked_and_an_expected_one_is_told(
    rest: RestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    away = UnavailableError("The database cannot answer now.")
    monkeypatch.setattr(lists, "conditions_of", Mock(side_effect=[RuntimeError(SECRET), away]))
    response = await rest.send("GET", "/tasks", headers={"X-Request-ID": "mine"})
    problem = problem_of(response)
    assert (problem["status"], problem["code"], problem["request_id"]) == (500, "INTERNAL_SERVER_ERROR", "mine")
    assert (SECRET in response.text, SECRET in capsys.readouterr().out) == (False, True)
    response = await rest.send("GET", "/tasks")
    assert (problem_of(response)["code"], response.headers["retry-after"]) == ("SERVICE_UNAVAILABLE", "1")


async def test_allowed_origin_may_send_and_read_the_headers(small: AsyncClient, user: SignedIn) -> None:
    ours = {"Origin": "https://app.example.com"}
    for method in ("PATCH", "PUT", "DELETE"):
        wanted = "authorization, content-type, if-match, idempotency-key, last-event-id"
        asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": wanted}
        assert (await small.options("/api/tasks/x", headers=ours | asked)).status_code == 200
    response = await small.post("/api/tasks", json={"title": "x"}, headers=ours | user.headers)
    exposed = response.headers["access-control-expose-headers"]
    assert {"ETag", "Location", "Retry-After"} <= set(exposed.split(", "))
    assert {part.strip() for part in response.headers["vary"].split(",")} >= {"Authorization", "Origin"}


async def test_metrics_name_routes_and_no_ids(rest: RestClient, http: AsyncClient) -> None:
    await rest.send("GET", "/tasks/another")
    await http.get("/api/nothing/at/all")
    metrics = (await http.get("/metrics")).text
    assert 'path="/api/tasks/{task_id}"' in metrics
    assert "another" not in metrics
    assert "nothing" not in metrics
