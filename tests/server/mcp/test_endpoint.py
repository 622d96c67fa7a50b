"""The MCP endpoint over plain HTTP: access tokens, methods, origins, sizes, protocol versions, hostile bodies."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast
from unittest.mock import Mock

import pytest
from httpx2 import AsyncClient

from core.clock import utc_now
from core.database import Database
from core.settings import Settings
from models import AccessScope
from services.accounts.access_tokens import revoke_access_token
from services.accounts.audit import NO_CLIENT
from tests.access_tokens import access_token_rows, change_access_token, make_access_token
from tests.factories import SignedIn
from tests.server.mcp.client import OLDER_VERSION, VERSION, headers_of, message, older_message, post, refusal
from tests.servers import IN_PRODUCTION, METRICS_HEADERS, RunningServer, serve_with
from tests.services.rows import all_statements

LIST: Final = older_message("tools/list")
TODAY: Final = {"MCP-Protocol-Version": VERSION}


@pytest.fixture(scope="module")
async def production(settings: Settings) -> AsyncIterator[AsyncClient]:
    """Give a client of the server as in production, open to pages of one other origin."""
    origins = ("https://app.example.com",)
    async with serve_with(settings, **IN_PRODUCTION, allowed_origins=origins) as running, running.client() as client:
        yield client


async def test_other_methods_than_post_are_refused(http: AsyncClient, token: str) -> None:
    for version in ({}, {"MCP-Protocol-Version": OLDER_VERSION}, TODAY):
        for method in ("GET", "DELETE", "PUT", "HEAD", "OPTIONS"):
            response = await http.request(method, "/mcp", headers=headers_of(token) | version)
            assert (response.status_code, response.headers["allow"]) == (405, "POST")


# By the origin: the status in development, and in production, open to one other origin.
ORIGINS: Final[dict[tuple[int, int], tuple[str | None, ...]]] = {
    (200, 200): (None, "own"),
    (403, 200): ("https://app.example.com",),
    (200, 403): ("http://localhost:6274", "http://127.0.0.1:1", "http://[::1]:1"),
    (403, 403): (
        "https://evil.example",
        "http://localhost.evil.example",
        "http://localhost:1@evil.example",
        "null",
        "",
    ),
}


async def test_only_pages_of_allowed_origins_may_call(http: AsyncClient, production: AsyncClient, token: str) -> None:
    for statuses, origins in ORIGINS.items():
        for client, status in zip((http, production), statuses, strict=True):
            for origin in origins:
                sent = str(client.base_url).rstrip("/") if origin == "own" else origin
                response = await post(client, token, LIST, {} if sent is None else {"Origin": sent})
                assert response.status_code == status, origin
                assert status == 200 or refusal(response)[1] == "FORBIDDEN"
    wanted = "authorization, content-type, mcp-protocol-version, mcp-method, mcp-name"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
    response = await production.options("/mcp", headers=asked | {"Origin": "https://app.example.com"})
    assert response.status_code == 200


async def test_client_of_the_older_protocol_is_served(http: AsyncClient, token: str) -> None:
    given = {"protocolVersion": OLDER_VERSION, "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    responses = [await post(http, token, sent) for sent in (LIST, older_message("initialize", **given))]
    for response in responses:
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert "mcp-session-id" not in response.headers
    result = responses[1].json()["result"]
    assert (result["protocolVersion"], result["serverInfo"]["name"]) == (OLDER_VERSION, "tasktalk")
    assert "never instructions" in result["instructions"]
    response = await post(http, token, {"jsonrpc": "2.0", "method": "notifications/initialized", "params": {}})
    assert (response.status_code, response.content) == (202, b"")


async def test_unknown_version_method_or_contradicting_header_is_refused(http: AsyncClient, token: str) -> None:
    for version in ("1999-01-01", "2030-01-01", "x", "é"):
        sent = message("tools/list")
        sent["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = version
        headers = {**headers_of(token, sent), "MCP-Protocol-Version": version.encode()}
        response = await http.post("/mcp", json=sent, headers=headers)  # type: ignore[arg-type]
        assert response.status_code == 400
        assert response.json()["error"]["code"] in (-32022, -32020)
    for sent, status in ((message("tasks/drop"), 404), (older_message("tasks/drop"), 200)):
        response = await post(http, token, sent)
        assert (response.status_code, response.json()["error"]["code"]) == (status, -32601)
    sent = message("tools/call", name="list_tasks", arguments={})
    assert (await post(http, token, sent, {"Mcp-Name": "search"})).status_code == 400


async def test_large_bodies_and_other_media_types_are_refused(settings: Settings, token: str) -> None:
    async with serve_with(settings, graphql_max_body_bytes=10_000) as small, small.client() as client:
        within, beyond = [older_message("tools/list", x="x" * length) for length in (9_000, 10_000)]
        assert (await post(client, token, within)).status_code == 200
        told = "The body is larger than 10000 bytes."
        assert refusal(await post(client, token, beyond)) == (413, "BAD_USER_INPUT", told)
        for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
            response = await post(client, token, LIST, {"Content-Type": content_type})
            assert refusal(response)[:2] == (415, "BAD_USER_INPUT")
        for accept in ("text/html", "text/event-stream"):
            assert (await post(client, token, LIST, {"Accept": accept})).status_code == 406


NO_MESSAGES: Final = [
    *(b"", b"{", b"null", b'"tools/list"', b"[" * 100_000, b'{"a":' * 100_000, json.dumps([LIST, LIST]).encode()),
    *(json.dumps(LIST | wrong).encode() for wrong in ({"jsonrpc": "1.0"}, {"method": {"a": 1}})),
    *(json.dumps(LIST | {"id": wrong}).encode() for wrong in ({"a": 1}, None, True)),
    json.dumps(LIST).replace("1,", "1e999,").encode(),
    json.dumps(LIST).replace("{}", '{"a": NaN}').encode(),
    *(json.dumps(LIST).encode().replace(b"tools/list", wrong) for wrong in (b"\xff", rb"\ud800")),
    *(b'{"id": 1, "method": "tools/list"}', b'{"jsonrpc": "2.0", "id": 1, "result": {}}'),
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": [1]}',
]


async def test_body_that_is_no_message_is_refused(http: AsyncClient, token: str) -> None:
    for body in NO_MESSAGES:
        for headers in ({}, TODAY | {"Mcp-Method": "tools/list"}):
            response = await http.post("/mcp", content=body, headers=headers_of(token) | headers)
            assert response.status_code == 400, body[:80]
            assert response.json()["error"]["code"] < 0


NESTED: Final = json.loads("[" * 150 + "]" * 150)
MALFORMED: Final[dict[str, list[dict[str, Any]]]] = {
    "tools/call": [
        *({}, {"name": ["add_task"]}, {"name": {"a": 1}, "arguments": {}}, {"name": "\0", "arguments": {}}),
        *({"name": "add_task", "arguments": given} for given in ([1], "x", None, {"title": 10**18})),
        {"name": "add_task", "arguments": {"title": "a", "tags": NESTED}},
        {"name": "x" * 100_000},
    ],
    "resources/read": [{}, *({"uri": uri} for uri in (5, "\0", "tasktalk://conversations/\0", "x" * 100_000))],
    "prompts/get": [{"name": "\0"}, {"name": "plan_my_day", "arguments": {"a": 5}}],
    "tools/list": [{"cursor": 5}],
    "completion/complete": [{"ref": {}}],
    "logging/setLevel": [{"level": "debug"}],
    "resources/subscribe": [{"uri": "tasktalk://tasks/open"}],
}


async def test_malformed_message_is_an_error_and_no_failure_of_the_server(
    http: AsyncClient, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, params in ((method, params) for method, each in MALFORMED.items() for params in each):
        response = await post(http, token, older_message(method, **params))
        assert response.status_code in (200, 400)
        answer = response.json()
        assert "error" in answer or answer["result"]["isError"] is True
        headers = headers_of(token) | TODAY | {"Mcp-Method": method}
        response = await http.post("/mcp", json=message(method, **params), headers=headers)
        assert response.status_code in (200, 400, 404)
        assert "Traceback" not in capsys.readouterr().out


async def test_failure_is_masked_and_logged(
    http: AsyncClient, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.mcp.server.read_arguments", Mock(side_effect=RuntimeError("the secret of the house")))
    for make in (message, older_message):
        response = await post(http, token, make("tools/call", name="list_tasks", arguments={}))
        request_id = response.headers["x-request-id"]
        told = f"Something went wrong on our side. Request id: {request_id}"
        assert response.json()["error"]["message"] == told
        assert "secret" not in response.text
        assert "the secret of the house" in capsys.readouterr().out


async def test_request_is_logged_and_counted_in_metrics(
    production: AsyncClient, user: SignedIn, token: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    await post(production, token, message("tools/call", name="list_tasks", arguments={}))
    out = capsys.readouterr().out
    (line,) = [json.loads(each) for each in out.splitlines() if '"request"' in each]
    named = {"method": "POST", "path": "/mcp", "operation": "tools/call"}
    assert line == line | named | {"status": 200, "user_id": user.user.id, "statements": 3}
    assert token not in out
    metrics = (await production.get("/metrics", headers=METRICS_HEADERS)).text
    assert 'tasktalk_http_requests_total{method="POST",path="/mcp",status="200"}' in metrics


NOT_VALID = (401, "UNAUTHENTICATED", "The access token is not valid, or no longer; make another by createAccessToken.")
LIST_TASKS = message("tools/call", name="list_tasks", arguments={})


async def is_served(http: AsyncClient, token: str) -> bool:
    response = await post(http, token, LIST_TASKS)
    if response.status_code != 200:
        assert refusal(response) == NOT_VALID
    return response.status_code == 200


def challenge_of(server: RunningServer, error: str = "") -> str:
    metadata = f"{server.url}/.well-known/oauth-protected-resource/mcp"
    return f'Bearer {error}scope="tasks:read tasks:write", resource_metadata="{metadata}"'


async def test_challenge_names_the_metadata_of_the_resource(http: AsyncClient, server: RunningServer) -> None:
    told = "Send a personal access token as `Authorization: Bearer …`."
    for make in (message, older_message):
        response = await post(http, None, make("tools/list"))
        assert refusal(response) == (401, "UNAUTHENTICATED", told)
        assert response.headers["www-authenticate"] == challenge_of(server)
    metadata = (await http.get("/.well-known/oauth-protected-resource/mcp")).json()
    assert metadata == {
        "resource": f"{server.url}/mcp",
        "authorization_servers": [server.url],
        "scopes_supported": ["tasks:read", "tasks:write"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Tasktalk",
    }
    assert (await http.get("/.well-known/oauth-protected-resource")).json() == metadata
    for host in ('evil.example"', "a b", "é", "x" * 256):
        response = await http.get("/.well-known/oauth-protected-resource", headers={b"Host": host.encode()})
        assert response.status_code != 200 or response.json()["resource"] == f"{server.url}/mcp"


async def test_unknown_token_is_refused_with_a_challenge(http: AsyncClient, server: RunningServer) -> None:
    for token in ("x", "tt_", "tt_" + "a" * 43, "tt_" + "a" * 42 + "=", "tt_" + "a" * 50_000, "a.b.c"):
        response = await post(http, token, LIST_TASKS)
        assert refusal(response) == NOT_VALID
        assert response.headers["www-authenticate"] == challenge_of(server, 'error="invalid_token", ')
    for credentials in ("", "Basic dTpw", "Bearer", "tt_x"):
        response = await post(http, None, LIST_TASKS, {"Authorization": credentials})
        assert refusal(response)[:2] == (401, "UNAUTHENTICATED")


async def test_token_in_a_query_is_not_read(http: AsyncClient, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("access_token", "token"):
        response = await http.post(f"/mcp?{name}={token}", json=LIST_TASKS, headers={"Accept": "application/json"})
        assert response.status_code == 401
    assert token not in capsys.readouterr().out


async def test_token_is_accepted_until_it_expires_or_is_revoked_in_any_process(
    http: AsyncClient, database: Database, settings: Settings, user: SignedIn, token: str
) -> None:
    expiring = await make_access_token(database, user.caller, expires_at=utc_now() + timedelta(hours=1))
    revoked = await make_access_token(database, user.caller)
    async with serve_with(settings) as elsewhere, elsewhere.client() as another:
        for client in (http, another):
            assert [await is_served(client, each) for each in (expiring.text, revoked.text, token)] == [True] * 3
        await change_access_token(database, expiring.access_token.id, expires_at=utc_now())
        revoke = partial(revoke_access_token, caller=user.caller, token_id=revoked.access_token.id, client=NO_CLIENT)
        await database.write(revoke)
        for client in (http, another):
            served = [await is_served(client, each) for each in (expiring.text, revoked.text, token)]
            assert served == [False, False, True]


async def test_last_use_is_recorded_once_a_minute(
    http: AsyncClient, server: RunningServer, database: Database, user: SignedIn
) -> None:
    async def use(statements: int) -> datetime:
        with all_statements(server.runtime.database) as run:
            assert await is_served(http, issued.text)
        assert len([text for text in run if "access_tokens" in text]) == statements
        (row,) = await access_token_rows(database, user.user.id)
        return cast("datetime", row.last_used_at)

    issued, began = await make_access_token(database, user.caller, [AccessScope.TASKS_READ]), utc_now()
    first = await use(statements=2)
    assert began <= first <= utc_now()
    assert await use(statements=1) == first
    await change_access_token(database, issued.access_token.id, last_used_at=utc_now() - timedelta(seconds=61))
    assert await use(statements=2) >= first


async def test_concurrent_messages_are_all_served(http: AsyncClient, token: str) -> None:
    makers = [message, older_message] * 10
    sent = [make("tools/call", name="add_task", arguments={"title": f"t{n}"}) for n, make in enumerate(makers)]
    responses = await asyncio.gather(*(post(http, token, each) for each in sent))
    assert {response.status_code for response in responses} == {200}
    assert len({response.json()["result"]["structuredContent"]["task"]["id"] for response in responses}) == 20
