"""GraphQL over HTTP: methods, media types, credentials, and with which status it answers."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from core.tokens import AccessTokens
from tests.better_auth import compact, hmac_sign
from tests.factories import sign_in
from tests.server.asking import GRAPHQL_RESPONSE, JSON, only_code, post
from tests.server.sample import Happenings

SECRET_KEY = "a key that signs only the tokens of tests"
SIGN = hmac_sign(SECRET_KEY.encode())
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("parameters", "data"),
    [
        ({"query": "{ hello }"}, {"hello": "Hello, world!"}),
        (
            {"query": "query ($n: String!) { hello(name: $n) }", "variables": {"n": "Ada"}},
            {"hello": "Hello, Ada!"},
        ),
        ({"query": "query A { hello } query B { userId }", "operationName": "B"}, {"userId": None}),
        ({"query": "{ userId }", "operationName": None, "variables": None, "extensions": None}, {"userId": None}),
        ({"query": "{ userId }", "operationName": "", "extensions": {"any": 1}, "unknown": 1}, {"userId": None}),
        ({"query": 'mutation { note(text: "é\\u00e9") }'}, {"note": "éé"}),
    ],
)
async def test_answers(api: httpx2.AsyncClient, parameters: dict[str, Any], data: dict[str, Any]) -> None:
    response = await api.post("/graphql", json=parameters)
    assert (response.status_code, response.json()) == (200, {"data": data})
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"


async def test_get_changes_nothing(api: httpx2.AsyncClient, happenings: Happenings) -> None:
    response = await api.get("/graphql", params={"query": 'mutation { note(text: "sneaked in") }'})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert happenings.ended == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "QUERY"])
async def test_other_methods(api: httpx2.AsyncClient, method: str) -> None:
    response = await api.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("path", ["/graphql/", "/graphql/x", "/docs/", "/redoc"])
async def test_nothing_elsewhere(api: httpx2.AsyncClient, path: str) -> None:
    response = await api.get(path)
    assert (response.status_code, only_code(response)) == (404, "NOT_FOUND")
    assert "GET / lists what there is" in response.text


async def test_subscription_over_plain_http_is_refused(api: httpx2.AsyncClient) -> None:
    response = await post(api, "subscription { ticks }")
    assert (response.status_code, only_code(response)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (GRAPHQL_RESPONSE, GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE}, {JSON}", GRAPHQL_RESPONSE),
        (f"{JSON}, {GRAPHQL_RESPONSE}", GRAPHQL_RESPONSE),
        (f"{GRAPHQL_RESPONSE};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_RESPONSE}; charset=utf-8, {JSON}; charset=utf-8;q=0.9", GRAPHQL_RESPONSE),
        (f"*/*, {GRAPHQL_RESPONSE};q=0", JSON),
        (f"{JSON};q=0, */*;q=0.1", GRAPHQL_RESPONSE),
        ("APPLICATION/JSON", JSON),
        ("text/html, */*;q=0.1", JSON),
    ],
)
async def test_the_type_is_the_client_s_choice(api: httpx2.AsyncClient, accept: str | None, answered: str) -> None:
    headers = {"Accept": accept} if accept else {}
    request = api.build_request("POST", "/graphql", json={"query": "{ userId }"}, headers=headers)
    if accept is None:
        del request.headers["accept"]
    response = await api.send(request)
    assert (response.status_code, response.headers["content-type"]) == (200, f"{answered}; charset=utf-8")
    assert "Accept" in response.headers["vary"]


@pytest.mark.parametrize("accept", ["text/plain", "text/html", "image/*", f"{JSON};q=0", "nonsense", f"{JSON};q=x"])
async def test_a_type_that_we_do_not_have(api: httpx2.AsyncClient, accept: str) -> None:
    response = await post(api, "{ userId }", accept)
    assert (response.status_code, only_code(response)) == (406, "BAD_USER_INPUT")


async def test_graphiql_is_for_browsers_in_development(
    api: httpx2.AsyncClient, production_api: httpx2.AsyncClient
) -> None:
    page = await api.get("/graphql", headers={"Accept": BROWSER})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "GraphiQL" in page.text
    no_page = await production_api.get("/graphql", headers={"Accept": BROWSER})
    assert (no_page.status_code, only_code(no_page)) == (404, "NOT_FOUND")


def token(
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    sign: Callable[[bytes], bytes] = SIGN,
) -> str:
    """Return a token as ours would be but for what is given; None leaves a claim out."""
    key_id = AccessTokens(SECRET_KEY, timedelta(minutes=1)).key_id
    now = int(time.time())
    ours = {"iss": "tasktalk", "aud": "tasktalk", "sub": new_id(), "sid": new_id(), "iat": now, "exp": now + 3600}
    payload = {name: value for name, value in (ours | (claims or {})).items() if value is not None}
    return compact({"alg": "HS256", "kid": key_id} | (header or {}), payload, sign)


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "Bearer",
        "Bearer a b",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer é",
        "Basic YTpi",
        "Bearer " + "a" * 1_000_000,
        "Bearer " + token(header={"alg": "none"}),
        "Bearer " + token(header={"alg": "none"}, sign=lambda _message: b""),
        "Bearer " + token(header={"kid": "unknown"}),
        "Bearer " + token(header={"crit": ["exp"]}),
        "Bearer " + compact(b'{"kid":' + b"[" * 3_000, {}, SIGN),
        "Bearer " + token(claims={"exp": None}),
        "Bearer " + token(claims={"exp": 1}),
        "Bearer " + token(claims={"aud": None}),
        "Bearer " + token(claims={"aud": "others"}),
        "Bearer " + token(sign=hmac_sign(b"another key that is long enough")),
    ],
)
@pytest.mark.parametrize("query", ["{ hello }", "{ nope }", "{ __typename }"])
async def test_a_bad_token_is_refused_whatever_is_asked(api: httpx2.AsyncClient, credentials: str, query: str) -> None:
    headers = {"Authorization": credentials.encode()}
    response = await api.post("/graphql", json={"query": query}, headers=headers)  # type: ignore[arg-type]
    assert (response.status_code, only_code(response)) == (401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_good_token_tells_who_asks(database: Database, settings: Settings, http: httpx2.AsyncClient) -> None:
    signed_in = await sign_in(database, settings)
    for scheme in ("Bearer", "bearer", "BEARER "):
        headers = {"Authorization": f"{scheme} {signed_in.token}"}
        response = await http.post("/graphql", json={"query": "{ viewer { id } }"}, headers=headers)
        assert response.json() == {"data": {"viewer": {"id": signed_in.user.id}}}
