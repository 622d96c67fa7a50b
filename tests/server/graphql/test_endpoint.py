"""GraphQL over HTTP: methods, media types, credentials, errors, disconnects and the time limit."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from httpx2 import AsyncClient

from core.clock import utc_now
from core.ids import new_id
from core.tokens import AccessTokens
from tests.clock import MovableClock
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.server.asking import GRAPHQL_RESPONSE, JSON, ask, only_code, only_error
from tests.server.sample import RETRY_AT, SECRET, Happenings, open_api, sample_settings
from tests.server.wire import Wire, connected, post
from tests.servers import RunningServer
from tests.waiting import PATIENCE_S

VIEWER: Final = b'{"query": "{ viewer { id } }"}'
BROWSER: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
GREET: Final = "query ($n: String!) { hello(name: $n) }"
NOBODY: Final = {"userId": None}
ANSWERED: Final[list[tuple[dict[str, Any], dict[str, Any]]]] = [
    ({"query": "{ hello }"}, {"hello": "Hello, world!"}),
    ({"query": GREET, "variables": {"n": "Ada"}}, {"hello": "Hello, Ada!"}),
    ({"query": "query A { hello } query B { userId }", "operationName": "B"}, NOBODY),
    ({"query": "{ userId }", "operationName": None, "variables": None, "extensions": None}, NOBODY),
    ({"query": "{ userId }", "operationName": "", "extensions": {"any": 1}, "unknown": 1}, NOBODY),
    ({"query": 'mutation { note(text: "é\\u00e9") }'}, {"note": "éé"}),
]


async def test_operation_is_answered_with_its_data(api: AsyncClient) -> None:
    for parameters, data in ANSWERED:
        response = await api.post("/graphql", json=parameters)
        assert (response.status_code, response.json()) == (200, {"data": data})
        assert response.headers["content-type"] == "application/json; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"


async def test_other_methods_paths_and_operations_are_refused(api: AsyncClient, happenings: Happenings) -> None:
    response = await api.get("/graphql", params={"query": 'mutation { note(text: "sneaked in") }'})
    assert (response.status_code, response.headers["allow"], happenings.ended) == (405, "POST", [])
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "QUERY"):
        response = await api.request(method, "/graphql")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
    for path in ("/graphql/", "/graphql/x", "/docs/", "/redoc"):
        response = await api.get(path)
        assert (response.status_code, only_code(response)) == (404, "NOT_FOUND")
        assert "GET / lists what there is" in response.text
    response = await ask(api, query="subscription { ticks }")
    assert (response.status_code, only_code(response)) == (400, "BAD_USER_INPUT")


# By the media type of the answer.
ACCEPTED: Final[dict[str, list[str | None]]] = {
    JSON: [
        *(None, "*/*", "application/*", JSON, "APPLICATION/JSON", "text/html, */*;q=0.1"),
        *(f"{GRAPHQL_RESPONSE};q=0.5, {JSON}", f"*/*, {GRAPHQL_RESPONSE};q=0"),
    ],
    GRAPHQL_RESPONSE: [
        *(GRAPHQL_RESPONSE, f"{GRAPHQL_RESPONSE}, {JSON}", f"{JSON}, {GRAPHQL_RESPONSE}", f"{JSON};q=0, */*;q=0.1"),
        f"{GRAPHQL_RESPONSE}; charset=utf-8, {JSON}; charset=utf-8;q=0.9",
    ],
}


async def test_accept_header_chooses_the_media_type(api: AsyncClient) -> None:
    for answered, accepted in ACCEPTED.items():
        for accept in accepted:
            request = api.build_request("POST", "/graphql", json={"query": "{ userId }"})
            del request.headers["accept"]
            request.headers.update({} if accept is None else {"Accept": accept})
            response = await api.send(request)
            assert (response.status_code, response.headers["content-type"]) == (200, f"{answered}; charset=utf-8")
            assert "Accept" in response.headers["vary"]
    for accept in ("text/plain", "text/html", "image/*", f"{JSON};q=0", "nonsense", f"{JSON};q=x"):
        response = await ask(api, accept, query="{ userId }")
        assert (response.status_code, only_code(response)) == (406, "BAD_USER_INPUT")


async def test_graphiql_is_for_browsers_in_development(api: AsyncClient, production_api: AsyncClient) -> None:
    page = await api.get("/graphql", headers={"Accept": BROWSER})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "GraphiQL" in page.text
    no_page = await production_api.get("/graphql", headers={"Accept": BROWSER})
    assert (no_page.status_code, only_code(no_page)) == (404, "NOT_FOUND")


OTHERS: Final = AccessTokens("a key that signs the tokens of another server", timedelta(minutes=1))
INVALID_CREDENTIALS: Final = ("", "Bearer", "Bearer a b", "Bearer nonsense", "Bearer a.b.c", "Bearer é", "Basic YTpi")


async def test_invalid_token_is_refused_before_the_document(api: AsyncClient) -> None:
    of_another_server = f"Bearer {OTHERS.issue(new_id(), new_id()).text}"
    for credentials in (*INVALID_CREDENTIALS, "Bearer " + "a" * 1_000_000, of_another_server):
        for query in ("{ hello }", "{ nope }", "{ __typename }"):
            headers = [(b"Authorization", credentials.encode())]
            response = await api.post("/graphql", json={"query": query}, headers=headers)
            assert (response.status_code, only_code(response)) == (401, "UNAUTHENTICATED")
            assert response.headers["www-authenticate"].startswith("Bearer")


async def test_valid_token_authenticates_the_caller(server: RunningServer, user: SignedIn) -> None:
    for scheme in ("Bearer", "bearer", "BEARER "):
        async with connected(server.url) as wire:
            answer = await wire.ask(post(VIEWER, f"Authorization: {scheme} {user.token}"))
        assert answer.endswith(f'{{"data":{{"viewer":{{"id":"{user.user.id}"}}}}}}'.encode())


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_token_that_ends_between_two_requests_of_a_connection_is_refused(
    server: RunningServer, client: GraphClient, user: SignedIn, clock: MovableClock, how: str
) -> None:
    request = post(VIEWER, f"Authorization: Bearer {user.token}")
    async with connected(server.url) as wire:
        for _ in range(2):
            assert user.user.id.encode() in await wire.ask(request)
        if how == "revoked":
            await client.query("mutation { signOut { errors { code } } }", as_=user)
        else:
            clock.move_on(user.caller.expires_at - utc_now())
        refusal = await wire.ask(request)
        assert refusal.startswith(b"HTTP/1.1 401 ")
        assert b'"UNAUTHENTICATED"' in refusal


DOUBLE: Final = "query ($n: Int!) { double(number: $n) }"
INVALID_DOCUMENTS: Final[dict[str, list[dict[str, Any]]]] = {
    "GRAPHQL_PARSE_FAILED": [{"query": text} for text in ("{", '{ hello(name: "\\ud800") }', "")],
    "GRAPHQL_VALIDATION_FAILED": [
        {"query": text} for text in ("{ nope }", "fragment A on Query { hello }", "{ double(number: 2147483648) }")
    ],
    "BAD_USER_INPUT": [
        {"query": DOUBLE, "variables": given} for given in ({}, {"n": 2147483648}, {"n": 10**30}, {"n": "1"})
    ],
    "OPERATION_RESOLUTION_FAILURE": [
        *({"query": "query A { hello } query B { hello }"}, {"query": "query A { userId }", "operationName": "C"}),
    ],
}


async def test_invalid_document_is_refused(api: AsyncClient) -> None:
    for code, sent in INVALID_DOCUMENTS.items():
        for parameters in sent:
            as_graphql = await ask(api, **parameters)
            assert (as_graphql.status_code, only_code(as_graphql)) == (400, code), parameters
            assert "data" not in as_graphql.json()
            as_json = await ask(api, JSON, **parameters)
            assert (as_json.status_code, as_json.json()) == (200, as_graphql.json())


EXPECTED: Final[list[tuple[str, int, dict[str, Any]]]] = [
    ("bad", 200, {"code": "BAD_USER_INPUT", "path": ["input", "title"]}),
    ("gone", 200, {"code": "NOT_FOUND"}),
    ("unavailable", 503, {"code": "SERVICE_UNAVAILABLE"}),
    ("limited", 200, {"code": "RATE_LIMITED", "retryAt": RETRY_AT.isoformat()}),
]


@pytest.mark.parametrize("operation", ["query", "mutation"])
async def test_expected_error_has_its_code_and_path(api: AsyncClient, operation: str) -> None:
    for how, status, extensions in EXPECTED:
        response = await ask(api, query=f'{operation} {{ fail(how: "{how}") }}')
        error = only_error(response)
        assert (response.status_code, error["path"], error["extensions"]) == (status, ["fail"], extensions)
        assert ("retry-after" in response.headers) == (status == 503)


async def test_partial_mutation_returns_what_was_done(api: AsyncClient, happenings: Happenings) -> None:
    response = await ask(api, query='mutation { note(text: "kept") fail(how: "unavailable") }')
    assert (response.status_code, response.json()["data"]) == (200, {"note": "kept", "fail": None})
    assert only_code(response) == "SERVICE_UNAVAILABLE"
    assert happenings.ended == ["kept"]


@pytest.mark.parametrize("query", ['{ hello fail(how: "unforeseen") }', "{ hello double(number: 2147483647) }"])
async def test_unexpected_error_is_masked(api: AsyncClient, query: str, capsys: pytest.CaptureFixture[str]) -> None:
    response = await ask(api, query=query)
    request_id = response.headers["x-request-id"]
    error = only_error(response)
    assert response.status_code == 200
    assert error["message"] == f"Something went wrong on our side. Request id: {request_id}"
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    assert SECRET not in response.text
    log = capsys.readouterr().out
    assert "Traceback" in log
    assert request_id in log


async def test_disconnect_does_not_cancel_a_mutation(api: AsyncClient, wire: Wire, happenings: Happenings) -> None:
    await wire.send(post(b'{"query": "mutation { wait }"}'))
    await happenings.began.wait()
    wire.writer.transport.abort()
    for _ in range(3):
        await ask(api, query="{ hello }")
    happenings.may_end.set()
    await asyncio.wait_for(happenings.over.wait(), PATIENCE_S)
    assert happenings.ended == ["done"]


async def test_query_times_out(tmp_path: Path, happenings: Happenings) -> None:
    async with open_api(sample_settings(tmp_path, graphql_timeout_s=0.2)) as api:
        response = await ask(api, query="{ wait }")
    assert (response.status_code, only_code(response)) == (503, "SERVICE_UNAVAILABLE")
    assert happenings.ended == ["cancelled"]
