"""Server-sent events: their form, refusals, ends; and clients of either transport that do not read."""

import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import pytest
from httpx2 import AsyncClient, Response
from websockets.exceptions import ConnectionClosed

from core.settings import Settings
from server.http import event_stream
from tests.databases import only_sqlite
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.server.wire import post
from tests.servers import RunningServer, serve_with
from tests.socket_client import SocketClient, open_socket, signed_in_socket
from tests.waiting import PATIENCE_S, until

CHANGES: Final = "subscription { changes { changed { id } } }"
EVENTS: Final = {"Accept": "text/event-stream"}
TYPENAME: Final = {"query": "{ __typename }"}
either_method = pytest.mark.parametrize("method", ["POST", "GET"])


async def refusal(response: Response) -> tuple[int, str]:
    await response.aread()
    assert response.headers["content-type"] == "application/json"
    (error,) = response.json()["errors"]
    return response.status_code, error["extensions"]["code"]


@either_method
async def test_subscription_gives_an_event_for_each_change(server: RunningServer, user: SignedIn, method: str) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    query = "subscription ($id: ID!) { messageAdded(conversationId: $id) { message { content } } }"
    async with open_events(server, query, {"id": conversation.id}, token=user.token, method=method) as events:
        headers = dict(events.response.headers)
        media_type = {"content-type": "text/event-stream; charset=utf-8"}
        assert events.response.status_code == 200
        assert headers == headers | media_type | {"cache-control": "no-store", "x-accel-buffering": "no"}
        assert headers["x-request-id"]
        await server.until_followed(user.user.id)
        contents = [f'line\nbreaks\r\n\u2028 "quoted" \N{ROCKET}{number}' for number in range(3)]
        for content in contents:
            await make_message(server.runtime.database, user.caller, conversation.id, content)
        for content in contents:
            assert await events.data() == {"messageAdded": {"message": {"content": content}}}
    await server.until_followed(user.user.id, 0)
    open_connections = server.app.state.connections
    await until(lambda: all(each.caller != user.caller for each in open_connections.connections))


@either_method
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


INVALID: Final = {
    "{ nope }": "GRAPHQL_VALIDATION_FAILED",
    'subscription { changes(since: "x") { cursor } }': "BAD_USER_INPUT",
    'subscription { messageAdded(conversationId: "x") { cursor } }': "NOT_FOUND",
}


@either_method
async def test_invalid_operation_gives_an_error_event(server: RunningServer, user: SignedIn, method: str) -> None:
    for query, code in INVALID.items():
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


REFUSED: Final[list[tuple[dict[str, Any], int]]] = [
    ({"method": "POST", "json": {"query": CHANGES}, "headers": EVENTS | {"Authorization": "Bearer x"}}, 401),
    ({"method": "PUT", "json": {"query": CHANGES}}, 405),
    ({"method": "POST", "json": {}}, 400),
    ({"method": "POST", "data": {"query": CHANGES}}, 415),
    ({"method": "POST", "json": {"query": "x" * 5_000_000}}, 413),
    ({"method": "GET", "params": {"variables": "{"}}, 400),
    ({"method": "GET"}, 400),
]


@only_sqlite
async def test_invalid_request_is_refused_before_the_stream(server: RunningServer, http: AsyncClient) -> None:
    for sent, status in REFUSED:
        response = await http.request(url="/graphql", **{"headers": EVENTS} | sent)
        code = "UNAUTHENTICATED" if status == 401 else "BAD_USER_INPUT"
        assert await refusal(response) == (status, code)
        assert ("www-authenticate" in response.headers) == (status == 401)
        assert server.app.state.connections.connections == []


# What urql sends with every operation.
JSON: Final = "application/graphql-response+json, application/graphql+json, application/json"
ANYTHING: Final = f"{JSON}, text/event-stream, multipart/mixed"


async def test_only_client_that_accepts_no_json_gets_events_of_a_query(http: AsyncClient) -> None:
    for accept in ("text/event-stream", "TEXT/Event-Stream;q=0.5"):
        response = await http.post("/graphql", json=TYPENAME, headers={"Accept": accept})
        assert response.text == ':\n\nevent: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n'
    for accept in (ANYTHING, "application/json, text/event-stream", "text/event-stream, */*"):
        response = await http.post("/graphql", json=TYPENAME, headers={"Accept": accept})
        assert response.headers["content-type"].partition(";")[0] in JSON
        assert response.json() == {"data": {"__typename": "Query"}}
        refused = await http.post("/graphql", json={"query": "{ nope }"}, headers={"Accept": accept})
        assert refused.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_subscription_gives_events_to_a_client_that_accepts_json_too(
    server: RunningServer, http: AsyncClient, user: SignedIn
) -> None:
    headers = {"Accept": ANYTHING, **user.headers}
    query = {"query": "subscription { changes { changed { __typename ... on Task { subtasks { nodes { id } } } } } }"}
    async with http.stream("POST", "/graphql", json=query, headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        await server.until_followed(user.user.id)
        await make_task(server.runtime.database, user.caller, "x")
        text, chunks = "", response.aiter_text()
        while "Task" not in text:
            text += await anext(chunks)
    changed = '{"__typename":"Task","subtasks":{"nodes":[]}}'
    assert text == f':\n\nevent: next\ndata: {{"data":{{"changes":{{"changed":[{changed}]}}}}}}\n\n'


async def test_event_stream_is_not_compressed(server: RunningServer, user: SignedIn) -> None:
    await make_task(server.runtime.database, user.caller, "x" * 500, description="y" * 5_000)
    query = "{ tasks { nodes { title description } } }"
    async with open_events(server, query, token=user.token, accept_encoding="gzip") as events:
        assert "content-encoding" not in events.response.headers
        assert len((await events.data())["tasks"]["nodes"]) == 1


async def test_idle_stream_is_kept_alive(settings: Settings, user: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_EVERY_S", 0.02)
    async with serve_with(settings) as server, open_events(server, CHANGES, token=user.token) as events:
        for _ in range(3):
            assert await events.block() == [":"]


async def test_number_of_streams_of_a_user_is_bounded(settings: Settings, user: SignedIn, stranger: SignedIn) -> None:
    async with serve_with(settings, max_sockets_per_user=1) as server:
        async with signed_in_socket(server, user.token):
            async with open_events(server, CHANGES, token=user.token) as second:
                assert await refusal(second.response) == (429, "RATE_LIMITED")
            async with open_events(server, CHANGES, token=stranger.token) as second:
                assert second.response.status_code == 200
        await server.until_unconnected()
        async with open_events(server, CHANGES, token=user.token) as events:
            assert events.response.status_code == 200


async def test_unexpected_error_is_masked(api: AsyncClient) -> None:
    body = {"query": 'subscription { broken(how: "unforeseen") }'}
    response = await api.post("/graphql", json=body, headers=EVENTS)
    _, first, second, last = response.text.removesuffix("\n\n").split("\n\n")
    assert first == 'event: next\ndata: {"data":{"broken":1}}'
    error = json.loads(second.removeprefix("event: next\ndata: "))["errors"][0]
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": response.headers["x-request-id"]}
    assert last == "event: complete\ndata:"


MESSAGES: Final = """subscription ($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) { cursor message { id content } }
}"""
SEND_TIMEOUT_S: Final = 0.2
# A hundred kilobytes a message: what systems buffer between two sockets is full after a few dozen.
CONTENT: Final = "x" * 100_000
MOST_MESSAGES: Final = 300


@pytest.fixture(scope="module")
async def impatient(settings: Settings) -> AsyncIterator[RunningServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.graphql.sockets.CLOSE_TIMEOUT_S", 0.5)
        async with serve_with(settings, socket_send_timeout_s=SEND_TIMEOUT_S) as server:
            yield server


@asynccontextmanager
async def unread_socket(server: RunningServer, user: SignedIn) -> AsyncIterator[SocketClient]:
    """Open a socket of which little is buffered unless it is read."""
    async with open_socket(server, sock=unread(server), max_queue=1) as socket:
        await socket.init(user.token)
        yield socket
        socket.connection.transport.abort()


def unread(server: RunningServer) -> sockets.socket:
    """Return a connection to the server that has the least of buffers."""
    client = sockets.socket()
    client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
    client.connect(("127.0.0.1", int(server.url.rpartition(":")[2])))
    return client


def transport_of(server: RunningServer) -> Any:
    (connection,) = server.app.state.connections.connections
    return connection._cut.__self__  # noqa: SLF001 - its buffer is what is looked at


async def fill(server: RunningServer, user: SignedIn, conversation_id: str) -> list[str]:
    """Add messages until their reader is cut off; return their ids."""
    hub, ids = server.runtime.live.hub, list[str]()
    while user.user.id in hub.users and len(ids) < MOST_MESSAGES:
        ids.append((await make_message(server.runtime.database, user.caller, conversation_id, CONTENT)).id)
    return ids


async def test_socket_that_does_not_read_is_closed_and_resumes_by_cursor(
    impatient: RunningServer, server: RunningServer, user: SignedIn
) -> None:
    conversation = await make_conversation(impatient.runtime.database, user.caller)
    async with unread_socket(impatient, user) as socket:
        await socket.subscribe(MESSAGES, {"id": conversation.id})
        await impatient.until_followed(user.user.id)
        first = await make_message(impatient.runtime.database, user.caller, conversation.id, "first")
        event = (await socket.data())["messageAdded"]
        assert event["message"]["id"] == first.id
        transport = transport_of(impatient)
        ids = await fill(impatient, user, conversation.id)
        await impatient.until_followed(user.user.id, 0)
        await impatient.until_unconnected()
        await until(transport.is_closing)
    assert await read_on(server, user, conversation.id, event["cursor"], len(ids)) == ids


async def read_on(server: RunningServer, user: SignedIn, conversation_id: str, cursor: str, count: int) -> list[str]:
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(MESSAGES, {"id": conversation_id, "after": cursor})
        ids = [(await socket.data())["messageAdded"]["message"]["id"] for _ in range(count)]
        await socket.round_trip()
    return ids


async def test_socket_that_reads_late_receives_the_close_reason(
    impatient: RunningServer, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.graphql.sockets.CLOSE_TIMEOUT_S", PATIENCE_S)
    conversation = await make_conversation(impatient.runtime.database, user.caller)
    async with unread_socket(impatient, user) as socket:
        await socket.subscribe(MESSAGES, {"id": conversation.id})
        await impatient.until_followed(user.user.id)
        ids = await fill(impatient, user, conversation.id)
        read = []
        with suppress(ConnectionClosed):
            while True:
                read.append((await socket.data())["messageAdded"]["message"]["id"])
        assert read == ids[: len(read)]
        assert await socket.closing() == (1013, "Read faster; resume by the last cursor.")


async def test_write_buffer_is_bounded_with_many_operations(impatient: RunningServer, user: SignedIn) -> None:
    hub = impatient.runtime.live.hub
    conversation = await make_conversation(impatient.runtime.database, user.caller)
    async with unread_socket(impatient, user) as socket:
        transport = transport_of(impatient)
        for number in range(50):
            await socket.subscribe(MESSAGES, {"id": conversation.id}, operation_id=str(number))
        await impatient.until_followed(user.user.id, 50)
        most = 0
        while user.user.id in hub.users:
            await make_message(impatient.runtime.database, user.caller, conversation.id, CONTENT)
            most = max(most, transport.get_write_buffer_size())
        # Above what is buffered before waiting there is one message at most.
        assert most <= transport.get_write_buffer_limits()[1] + len(CONTENT) + 1_000
        await until(transport.is_closing)


async def test_event_stream_that_is_not_read_is_closed(impatient: RunningServer, user: SignedIn) -> None:
    conversation = await make_conversation(impatient.runtime.database, user.caller)
    async with raw_events(impatient, user, {"query": MESSAGES, "variables": {"id": conversation.id}}):
        await impatient.until_followed(user.user.id)
        transport = transport_of(impatient)
        ids = await fill(impatient, user, conversation.id)
        assert len(ids) < MOST_MESSAGES
        await impatient.until_unconnected()
        await until(transport.is_closing)
        assert transport.get_write_buffer_size() == 0


@asynccontextmanager
async def raw_events(server: RunningServer, user: SignedIn, body: dict[str, Any]) -> AsyncIterator[None]:
    request = post(json.dumps(body).encode(), "Accept: text/event-stream", f"Authorization: Bearer {user.token}")
    with unread(server) as client, suppress(ConnectionError):
        client.sendall(request)
        yield
