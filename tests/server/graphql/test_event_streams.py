"""Server-sent events: their form, what is refused, and how streams end."""

import json
from typing import Any, Final

import httpx2
import pytest

from core.database import Database
from core.settings import Settings
from server.http import event_stream
from tests.databases import only_sqlite
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message, make_task, sign_in
from tests.servers import RunningServer, serve_with
from tests.waiting import until

CHANGES: Final = "subscription { changes { changed { id } } }"
EVENTS: Final = {"Accept": "text/event-stream"}


async def followed(server: RunningServer, user: SignedIn) -> None:
    await until(lambda: user.user.id in server.runtime.live.hub.users)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_subscription_gives_an_event_for_each_change(server: RunningServer, user: SignedIn, method: str) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    query = "subscription ($id: ID!) { messageAdded(conversationId: $id) { message { content } } }"
    async with open_events(server, query, {"id": conversation.id}, token=user.token, method=method) as events:
        headers = events.response.headers
        assert events.response.status_code == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        assert headers["x-accel-buffering"] == "no"
        assert headers["x-request-id"]
        assert "content-encoding" not in headers
        await followed(server, user)
        content = 'line\nbreaks\r\n\u2028 "quoted" \N{ROCKET}'
        for number in range(3):
            await make_message(server.runtime.database, user.caller, conversation.id, f"{content}{number}")
        for number in range(3):
            assert await events.data() == {"messageAdded": {"message": {"content": f"{content}{number}"}}}
    await until(lambda: user.user.id not in server.runtime.live.hub.users)
    assert not [each for each in server.app.state.connections.connections if each.caller == user.caller]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_query_and_mutation_give_one_event(server: RunningServer, user: SignedIn, method: str) -> None:
    async with open_events(server, "{ viewer { id } }", token=user.token, method=method) as events:
        assert await events.data() == {"viewer": {"id": user.user.id}}
        await events.complete()
    mutation = 'mutation { createTask(input: {title: "Sweep"}) { task { title } } }'
    async with open_events(server, mutation, token=user.token, method=method) as events:
        if method == "POST":
            assert await events.data() == {"createTask": {"task": {"title": "Sweep"}}}
            await events.complete()
        else:
            assert await refusal(events.response) == (405, "BAD_USER_INPUT")
            assert events.response.headers["allow"] == "POST"
    async with open_events(server, "{ tasks { totalCount } }", token=user.token) as events:
        assert await events.data() == {"tasks": {"totalCount": int(method == "POST")}}


async def refusal(response: httpx2.Response) -> tuple[int, str]:
    await response.aread()
    assert response.headers["content-type"] == "application/json"
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE"),
        ("query ($id: ID!) { task(id: $id) { id } }", "BAD_USER_INPUT"),
        ('subscription { changes(since: "x") { cursor } }', "BAD_USER_INPUT"),
        ('subscription { messageAdded(conversationId: "x") { cursor } }', "NOT_FOUND"),
    ],
)
async def test_invalid_operation_gives_its_error_as_an_event(
    server: RunningServer, user: SignedIn, query: str, code: str, method: str
) -> None:
    async with open_events(server, query, token=user.token, method=method) as events:
        assert events.response.status_code == 200
        assert await events.codes() == [code]
        await events.complete()


async def test_anonymous_caller_is_unauthenticated(server: RunningServer) -> None:
    async with open_events(server, CHANGES) as events:
        assert await events.codes() == ["UNAUTHENTICATED"]
        await events.complete()
    async with open_events(server, "{ viewer { id } tasks { totalCount } }") as events:
        result = await events.next()
        assert (result["data"], result["errors"][0]["extensions"]) == (None, {"code": "UNAUTHENTICATED"})
        await events.complete()


@only_sqlite
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"method": "POST", "json": {"query": CHANGES}, "headers": {"Authorization": "Bearer x"}}, 401),
        ({"method": "PUT", "json": {"query": CHANGES}}, 405),
        ({"method": "POST", "json": {}}, 400),
        ({"method": "POST", "data": {"query": CHANGES}}, 415),
        ({"method": "POST", "json": {"query": "x" * 5_000_000}}, 413),
        ({"method": "GET", "params": {"variables": "{"}}, 400),
        ({"method": "GET"}, 400),
    ],
)
async def test_invalid_request_is_refused_before_the_stream(
    server: RunningServer, http: httpx2.AsyncClient, sent: dict[str, Any], status: int
) -> None:
    headers = EVENTS | sent.get("headers", {})
    response = await http.request(url="/graphql", **{**sent, "headers": headers})
    assert response.status_code == status
    code = (await refusal(response))[1]
    assert code == ("UNAUTHENTICATED" if status == 401 else "BAD_USER_INPUT")
    if status == 401:
        assert "www-authenticate" in response.headers
    assert server.app.state.connections.connections == []


# What urql sends with every operation.
ANYTHING: Final = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)


async def test_client_that_accepts_only_events_gets_events(http: httpx2.AsyncClient) -> None:
    for accept in ("text/event-stream", "TEXT/Event-Stream;q=0.5"):
        response = await http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
        assert response.text == ':\n\nevent: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n'


@pytest.mark.parametrize("accept", [ANYTHING, "application/json, text/event-stream", "text/event-stream, */*"])
async def test_client_that_accepts_json_too_gets_json(http: httpx2.AsyncClient, accept: str) -> None:
    response = await http.post("/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept})
    assert response.headers["content-type"].partition(";")[0] in ANYTHING.partition(", text")[0]
    assert response.json() == {"data": {"__typename": "Query"}}
    refused = await http.post("/graphql", json={"query": "{ nope }"}, headers={"Accept": accept})
    assert refused.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_subscription_gives_events_to_a_client_that_accepts_json_too(
    server: RunningServer, http: httpx2.AsyncClient, user: SignedIn
) -> None:
    headers = {"Accept": ANYTHING, **user.headers}
    query = {"query": "subscription { changes { changed { __typename ... on Task { subtasks { nodes { id } } } } } }"}
    async with http.stream("POST", "/graphql", json=query, headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        await until(lambda: user.user.id in server.runtime.live.hub.users)
        await make_task(server.runtime.database, user.caller, "x")
        text = ""
        async for chunk in response.aiter_text():
            text += chunk
            if "Task" in text:
                break
    changed = '{"__typename":"Task","subtasks":{"nodes":[]}}'
    assert text == f':\n\nevent: next\ndata: {{"data":{{"changes":{{"changed":[{changed}]}}}}}}\n\n'


async def test_event_stream_is_not_compressed(server: RunningServer, user: SignedIn) -> None:
    for _ in range(50):
        await make_task(server.runtime.database, user.caller, "x" * 100)
    query = "{ tasks(first: 50) { nodes { title } } }"
    async with open_events(server, query, token=user.token, accept_encoding="gzip") as events:
        assert "content-encoding" not in events.response.headers
        assert len((await events.data())["tasks"]["nodes"]) == 50


async def test_idle_stream_sends_keep_alives(
    settings: Settings, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_EVERY_S", 0.02)
    async with serve_with(settings) as server, open_events(server, CHANGES, token=user.token) as events:
        for _ in range(3):
            assert await events.block() == [":"]


async def test_number_of_streams_of_a_user_is_bounded(settings: Settings, database: Database, user: SignedIn) -> None:
    other = await sign_in(database, settings)
    async with serve_with(settings, max_sockets_per_user=1) as server:
        async with open_events(server, CHANGES, token=user.token) as events:
            assert events.response.status_code == 200
            async with open_events(server, CHANGES, token=user.token) as second:
                assert await refusal(second.response) == (429, "RATE_LIMITED")
            async with open_events(server, CHANGES, token=other.token) as second:
                assert second.response.status_code == 200
        await until(lambda: not server.app.state.connections.connections)
        async with open_events(server, CHANGES, token=user.token) as events:
            assert events.response.status_code == 200


async def test_shutdown_ends_the_stream(settings: Settings, user: SignedIn) -> None:
    async with serve_with(settings) as server, open_events(server, CHANGES, token=user.token) as events:
        await followed(server, user)
        server.app.state.connections.close_all()
        await events.end()
        await until(lambda: user.user.id not in server.runtime.live.hub.users)


async def test_unexpected_error_is_masked(api: httpx2.AsyncClient) -> None:
    body = {"query": 'subscription { broken(how: "unforeseen") }'}
    response = await api.post("/graphql", json=body, headers=EVENTS)
    _, first, second, last = response.text.removesuffix("\n\n").split("\n\n")
    assert first == 'event: next\ndata: {"data":{"broken":1}}'
    error = json.loads(second.removeprefix("event: next\ndata: "))["errors"][0]
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": response.headers["x-request-id"]}
    assert last == "event: complete\ndata:"
