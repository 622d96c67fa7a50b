"""Sockets, event streams and subscriptions: who makes room for whom, lost clients, and what is left after the end."""

import asyncio
import gc
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from graph.context import Context
from live.hub import Waiter
from live.shared_reads import SharedReads
from server.graphql.endpoint import GraphQLEventStream
from server.graphql.sockets import GraphQLWebSocket
from server.http.protocol import WRITE_TIMEOUT_S, notice_lost_clients
from server.http.socket_protocol import CountedWebSocketProtocol
from services.accounts import session_cache
from services.sync import changes as sync
from tests.databases import only_postgresql
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.graph_client import GraphClient
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


SOCKETS, OF_EACH = 3, 10


async def test_one_change_is_read_once_for_all_that_follow_it(
    server: RunningServer, database: Database, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Those that found something; a poll finds nothing.
    reads: list[object] = []
    read = sync.read_changes

    async def counted(*arguments: Any) -> Any:
        found = await read(*arguments)
        if found.entries:
            reads.append(found)
        return found

    monkeypatch.setattr(sync, "read_changes", counted)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(signed_in_socket(server, user.token)) for _ in range(SOCKETS)]
        for socket in sockets:
            for number in range(OF_EACH):
                await socket.subscribe(CHANGES, operation_id=str(number))
        await server.until_followed(user.user.id, SOCKETS * OF_EACH)
        # Once they have been told of one change, all of them wait for the next.
        for _ in range(2):
            for socket in sockets:
                await socket.round_trip()
            reads.clear()
            task = await make_task(database, user.caller)
            for socket in sockets:
                told = [await socket.receive() for _ in range(OF_EACH)]
                assert sorted(message["id"] for message in told) == sorted(map(str, range(OF_EACH)))
                assert all(message["payload"]["data"]["changes"]["changed"] == [{"id": task.id}] for message in told)
        assert len(reads) == 1


async def test_subscriptions_of_a_user_are_bounded(settings: Settings, user: SignedIn) -> None:
    async with (
        serve_with(settings, max_subscriptions_per_user=3) as server,
        signed_in_socket(server, user.token) as first,
        signed_in_socket(server, user.token) as second,
    ):
        for number in range(3):
            await first.subscribe(CHANGES, operation_id=str(number))
        await server.until_followed(user.user.id, 3)
        await second.subscribe(CHANGES)
        assert await second.codes() == ["TOO_MANY_OPERATIONS"]
        await first.complete("0")
        await server.until_followed(user.user.id, 2)
        await second.subscribe(CHANGES)
        await server.until_followed(user.user.id, 3)


async def test_read_that_has_begun_is_not_shared() -> None:
    """What its reader was woken for may be newer."""
    shared, began, may_end = SharedReads(), asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        began.set()
        await may_end.wait()
        return "old"

    async def quick() -> str:
        return "new"

    def read(find: Callable[[], Awaitable[str]]) -> "asyncio.Task[str]":
        return asyncio.create_task(shared.read("key", find))

    first, second = read(slow), read(quick)
    await began.wait()
    assert await read(quick) == "new"
    second.cancel()
    may_end.set()
    assert await first == "old"


VIEWER: Final = "{ viewer { id } }"
SIGN_OUT: Final = "mutation { signOut { errors { code } } }"


@only_postgresql
async def test_session_that_has_ended_elsewhere_is_refused_without_waiting_for_the_cache(
    settings: Settings, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only a signal can tell, for nothing else is looked up again.
    monkeypatch.setattr(session_cache, "TTL_S", 3600)
    monkeypatch.setattr("server.http.connections.CHECK_EVERY_S", 3600)
    async with (
        serve_with(settings) as here,
        serve_with(settings) as there,
        here.client() as http,
        there.client() as other,
        signed_in_socket(there, user.token) as socket,
    ):
        await until(lambda: here.runtime.live.is_told and there.runtime.live.is_told)
        client, elsewhere = GraphClient(http), GraphClient(other)
        assert (await elsewhere.query(VIEWER, as_=user))["viewer"] == {"id": user.user.id}
        await client.query(SIGN_OUT, as_=user)
        assert (await socket.closing())[0] == 4403
        response = await other.post("/graphql", json={"query": VIEWER}, headers=user.headers)
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
