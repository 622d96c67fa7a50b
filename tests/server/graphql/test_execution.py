"""Execution: errors as clients see them, disconnects, and the time limit."""

import asyncio
from typing import Any

import httpx2
import pytest

from server.graphql import execution
from tests.server.asking import JSON, only_code, only_error, post
from tests.server.sample import RETRY_AT, SECRET, Happenings
from tests.server.wire import Wire
from tests.server.wire import post as wire_post
from tests.waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("query", "variables", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ('{ hello(name: "\\ud800") }', {}, "GRAPHQL_PARSE_FAILED"),
        ("", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("fragment A on Query { hello }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("{ double(number: 2147483648) }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query ($n: Int!) { double(number: $n) }", {}, "BAD_USER_INPUT"),
        ("query ($n: Int!) { double(number: $n) }", {"n": 2147483648}, "BAD_USER_INPUT"),
        ("query ($n: Int!) { double(number: $n) }", {"n": 10**30}, "BAD_USER_INPUT"),
        ("query ($n: Int!) { double(number: $n) }", {"n": "1"}, "BAD_USER_INPUT"),
        ("query A { hello } query B { hello }", {}, "OPERATION_RESOLUTION_FAILURE"),
        ("query A { userId }", {}, "OPERATION_RESOLUTION_FAILURE"),
    ],
)
async def test_invalid_document_is_refused(
    api: httpx2.AsyncClient, query: str, variables: dict[str, Any], code: str
) -> None:
    name = "C" if query.startswith("query A { userId }") else None
    as_graphql = await post(api, query, variables=variables, operationName=name)
    assert (as_graphql.status_code, only_code(as_graphql)) == (400, code)
    assert "data" not in as_graphql.json()
    as_json = await post(api, query, JSON, variables=variables, operationName=name)
    assert (as_json.status_code, as_json.json()) == (200, as_graphql.json())


@pytest.mark.parametrize(
    ("how", "status", "extensions"),
    [
        ("bad", 200, {"code": "BAD_USER_INPUT", "inputPath": ["input", "title"]}),
        ("gone", 200, {"code": "NOT_FOUND"}),
        ("unavailable", 503, {"code": "SERVICE_UNAVAILABLE"}),
        ("limited", 200, {"code": "RATE_LIMITED", "retryAt": RETRY_AT.isoformat()}),
    ],
)
@pytest.mark.parametrize("operation", ["query", "mutation"])
async def test_expected_error_has_its_code_and_path(
    api: httpx2.AsyncClient, how: str, status: int, extensions: dict[str, Any], operation: str
) -> None:
    response = await post(api, f'{operation} {{ fail(how: "{how}") }}')
    assert response.status_code == status
    assert only_error(response)["extensions"] == extensions
    assert only_error(response)["path"] == ["fail"]
    assert (response.headers.get("retry-after") is not None) == (status == 503)


async def test_partial_mutation_returns_what_was_done(api: httpx2.AsyncClient, happenings: Happenings) -> None:
    response = await post(api, 'mutation { note(text: "kept") fail(how: "unavailable") }')
    assert (response.status_code, response.json()["data"]) == (200, {"note": "kept", "fail": None})
    assert only_code(response) == "SERVICE_UNAVAILABLE"
    assert happenings.ended == ["kept"]


@pytest.mark.parametrize("query", ['{ hello fail(how: "unforeseen") }', "{ hello double(number: 2147483647) }"])
async def test_unexpected_error_is_masked_and_logged(
    api: httpx2.AsyncClient, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
    response = await post(api, query)
    request_id = response.headers["x-request-id"]
    error = only_error(response)
    assert response.status_code == 200
    assert error["message"] == f"Something went wrong on our side. Request id: {request_id}"
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    assert SECRET not in response.text
    log = capsys.readouterr().out
    assert "Traceback" in log
    assert request_id in log


async def test_disconnect_does_not_cancel_a_mutation(
    api: httpx2.AsyncClient, wire: Wire, happenings: Happenings
) -> None:
    await wire.send(wire_post(b'{"query": "mutation { wait }"}'))
    await happenings.began.wait()
    wire.writer.transport.abort()
    for _ in range(3):
        await post(api, "{ hello }")
    happenings.may_end.set()
    await asyncio.wait_for(happenings.over.wait(), PATIENCE_S)
    assert happenings.ended == ["done"]


async def test_slow_query_is_answered(api: httpx2.AsyncClient, happenings: Happenings) -> None:
    asking = asyncio.create_task(post(api, "{ wait }"))
    await happenings.began.wait()
    for _ in range(3):
        await post(api, "{ hello }")
    happenings.may_end.set()
    assert (await asking).json() == {"data": {"wait": "done"}}


async def test_query_is_cancelled_at_the_time_limit(
    api: httpx2.AsyncClient, happenings: Happenings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "QUERY_TIMEOUT_S", 0.2)
    response = await post(api, "{ wait }")
    assert (response.status_code, only_code(response)) == (503, "SERVICE_UNAVAILABLE")
    assert happenings.ended == ["cancelled"]
