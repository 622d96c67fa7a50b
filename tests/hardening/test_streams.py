"""Sockets and event streams: who makes room for whom, lost clients, a busy database, and what is left after the end."""

import asyncio
import gc
import logging
import socket
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from graph.context import Context
from live.hub import Waiter
from server.graphql.endpoint import GraphQLEventStream
from server.graphql.sockets import GraphQLWebSocket
from server.http.protocol import WRITE_TIMEOUT_S, notice_lost_clients
from server.http.socket_protocol import CountedWebSocketProtocol
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.servers import RunningServer, serve_with
from tests.socket_client import open_socket, signed_in_socket
from tests.waiting import until

CHANGES: Final = "subscription { changes { changed { id } } }"
MESSAGES: Final = "subscription ($id: ID!) { messageAdded(conversationId: $id) { message { id } } }"
PER_USER: Final = 3


async def test_oldest_event_stream_makes_room_for_a_newer_connection(settings: Settings, user: SignedIn) -> None:
    """Of clients that are gone without a word, or that never read, a user is not locked out."""
    async with serve_with(settings, max_sockets_per_user=PER_USER) as server, AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(open_events(server, CHANGES, token=user.token)) for _ in range(PER_USER)
        ]
        newest = await stack.enter_async_context(open_events(server, CHANGES, token=user.token))
        socket_ = await stack.enter_async_context(signed_in_socket(server, user.token))
        for ended in streams[:2]:
            # A browser's EventSource comes back by itself, and would end the next one at once.
            retry, name, data = await ended.block()
            assert (retry, name, "RATE_LIMITED" in data) == ("retry: 60000", "event: next", True)
            await ended.complete()
        await server.until_followed(user.user.id, 2)
        await make_task(server.runtime.database, user.caller)
        for kept in (streams[2], newest):
            assert len((await kept.data())["changes"]["changed"]) == 1
        await socket_.round_trip()
        assert len(server.app.state.connections.connections) == PER_USER


async def test_socket_that_answers_pings_makes_no_room(settings: Settings, user: SignedIn) -> None:
    """Clients that connect again by themselves would end each other's sockets without end."""
    async with serve_with(settings, max_sockets_per_user=PER_USER) as server, AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(signed_in_socket(server, user.token)) for _ in range(PER_USER)]
        async with open_socket(server) as refused:
            await refused.send({"type": "connection_init", "payload": user.headers})
            assert (await refused.closing())[0] == 4429
        async with open_events(server, CHANGES, token=user.token) as stream:
            assert (stream.response.status_code, stream.response.headers["retry-after"]) == (429, "1")
        for each in opened:
            await each.round_trip()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has it")
def test_connection_ends_where_the_client_acknowledges_nothing() -> None:
    """The network of a client may be gone without a word; heartbeats and pings then are not acknowledged."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        notice_lost_clients(listener)
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                timeout_ms = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert timeout_ms == WRITE_TIMEOUT_S * 1000


async def test_busy_pool_at_subscribing_is_waited_for(
    settings: Settings, user: SignedIn, caplog: pytest.LogCaptureFixture
) -> None:
    small = {"database_pool_size": 1, "database_max_overflow": 1, "database_pool_timeout_s": 0.05}
    async with serve_with(settings, **small) as server, signed_in_socket(server, user.token) as client:
        database = server.runtime.database
        conversation = await make_conversation(database, user.caller)
        taken = [await database.pool.acquire() for _ in range(2)]
        with caplog.at_level(logging.WARNING, "live.follow"):
            await client.subscribe(CHANGES, operation_id="changes")
            await client.subscribe(MESSAGES, {"id": conversation.id}, operation_id="messages")
            await until(lambda: caplog.text.count("What is followed cannot be read") >= 2)
        for connection in taken:
            database.pool.release(connection)
        await server.until_followed(user.user.id, 2)
        await make_message(database, user.caller, conversation.id)
        assert {(await client.receive())["id"] for _ in range(2)} == {"changes", "messages"}


def found(*kinds: type) -> list[Any]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, kinds)]


async def test_open_socket_keeps_nothing_of_its_handshake(server: RunningServer, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as client:
        await client.subscribe(CHANGES)
        await server.until_followed(user.user.id)
        (protocol,) = [each for each in found(CountedWebSocketProtocol) if not each.disconnected]
        assert (protocol.request, protocol.response, protocol.scope) == (None, None, {})
        assert not isinstance(protocol.queue, asyncio.Queue)


async def test_nothing_of_a_closed_socket_or_stream_stays(
    server: RunningServer, database: Database, user: SignedIn
) -> None:
    kinds = GraphQLWebSocket, GraphQLEventStream, Context, Waiter
    before = len(found(*kinds)), len(asyncio.all_tasks())
    for _ in range(3):
        async with AsyncExitStack() as stack:
            for _ in range(5):
                client = await stack.enter_async_context(signed_in_socket(server, user.token))
                await client.subscribe(CHANGES)
                await stack.enter_async_context(open_events(server, CHANGES, token=user.token))
            await server.until_followed(user.user.id, 10)
            await make_task(database, user.caller)
        await server.until_unconnected()
    await until(lambda: (len(found(*kinds)), len(asyncio.all_tasks())) <= before)
