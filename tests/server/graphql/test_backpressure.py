"""Clients that do not read: cut off in time, with bounded memory, and nothing is lost to those that come again."""

import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import pytest
from websockets.exceptions import ConnectionClosed

from core.settings import Settings
from tests.factories import SignedIn, make_conversation, make_message
from tests.server.wire import post
from tests.servers import RunningServer, serve_with
from tests.socket_client import SocketClient, open_socket, signed_in_socket
from tests.waiting import PATIENCE_S, until

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
    """Return the transport of the server's only stream."""
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
    """Send a request for events and never read the answer."""
    request = post(json.dumps(body).encode(), "Accept: text/event-stream", f"Authorization: Bearer {user.token}")
    with unread(server) as client, suppress(ConnectionError):
        client.sendall(request)
        yield
