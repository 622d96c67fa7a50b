"""Execution: errors as clients see them, disconnects, and the time limit."""

import asyncio
from typing import Any, Final

import httpx2
import pytest

from server.graphql import execution
from tests.server.asking import JSON, ask, only_code, only_error
from tests.server.sample import RETRY_AT, SECRET, Happenings
from tests.server.wire import Wire, post
from tests.waiting import PATIENCE_S

DOUBLE: Final = "query ($n: Int!) { double(number: $n) }"
INVALID: Final[dict[str, list[dict[str, Any]]]] = {
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


async def test_invalid_document_is_refused(api: httpx2.AsyncClient) -> None:
    for code, sent in INVALID.items():
        for parameters in sent:
            as_graphql = await ask(api, **parameters)
            assert (as_graphql.status_code, only_code(as_graphql)) == (400, code), parameters
            assert "data" not in as_graphql.json()
            as_json = await ask(api, JSON, **parameters)
            assert (as_json.status_code, as_json.json()) == (200, as_graphql.json())


EXPECTED: Final[list[tuple[str, int, dict[str, Any]]]] = [
    ("bad", 200, {"code": "BAD_USER_INPUT", "inputPath": ["input", "title"]}),
    ("gone", 200, {"code": "NOT_FOUND"}),
    ("unavailable", 503, {"code": "SERVICE_UNAVAILABLE"}),
    ("limited", 200, {"code": "RATE_LIMITED", "retryAt": RETRY_AT.isoformat()}),
]


@pytest.mark.parametrize("operation", ["query", "mutation"])
async def test_expected_error_has_its_code_and_path(api: httpx2.AsyncClient, operation: str) -> None:
    for how, status, extensions in EXPECTED:
        response = await ask(api, query=f'{operation} {{ fail(how: "{how}") }}')
        error = only_error(response)
        assert (response.status_code, error["path"], error["extensions"]) == (status, ["fail"], extensions)
        assert ("retry-after" in response.headers) == (status == 503)


async def test_partial_mutation_returns_what_was_done(api: httpx2.AsyncClient, happenings: Happenings) -> None:
    response = await ask(api, query='mutation { note(text: "kept") fail(how: "unavailable") }')
    assert (response.status_code, response.json()["data"]) == (200, {"note": "kept", "fail": None})
    assert only_code(response) == "SERVICE_UNAVAILABLE"
    assert happenings.ended == ["kept"]


@pytest.mark.parametrize("query", ['{ hello fail(how: "unforeseen") }', "{ hello double(number: 2147483647) }"])
async def test_unexpected_error_is_masked_and_logged(
    api: httpx2.AsyncClient, query: str, capsys: pytest.CaptureFixture[str]
) -> None:
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


async def test_disconnect_does_not_cancel_a_mutation(
    api: httpx2.AsyncClient, wire: Wire, happenings: Happenings
) -> None:
    await wire.send(post(b'{"query": "mutation { wait }"}'))
    await happenings.began.wait()
    wire.writer.transport.abort()
    for _ in range(3):
        await ask(api, query="{ hello }")
    happenings.may_end.set()
    await asyncio.wait_for(happenings.over.wait(), PATIENCE_S)
    assert happenings.ended == ["done"]


async def test_slow_query_is_answered(api: httpx2.AsyncClient, happenings: Happenings) -> None:
    asking = asyncio.create_task(ask(api, query="{ wait }"))
    await happenings.began.wait()
    for _ in range(3):
        await ask(api, query="{ hello }")
    happenings.may_end.set()
    assert (await asking).json() == {"data": {"wait": "done"}}


async def test_query_is_cancelled_at_the_time_limit(
    api: httpx2.AsyncClient, happenings: Happenings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "QUERY_TIMEOUT_S", 0.2)
    response = await ask(api, query="{ wait }")
    assert (response.status_code, only_code(response)) == (503, "SERVICE_UNAVAILABLE")
    assert happenings.ended == ["cancelled"]
