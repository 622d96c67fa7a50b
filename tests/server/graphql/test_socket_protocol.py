"""The messages of graphql-transport-ws: which close a socket, with which code, and which do not."""

import asyncio
import json
from datetime import timedelta
from typing import Any, Final

from tests.clock import MovableClock
from tests.databases import only_sqlite
from tests.factories import SignedIn
from tests.servers import RunningServer
from tests.socket_client import open_socket, signed_in_socket

HELLO: Final = {"query": "{ viewer { id } }"}
SUBSCRIBE: Final[dict[str, Any]] = {"type": "subscribe", "id": "1", "payload": HELLO}
UNREADABLE: Final[list[object]] = [
    *("", "{", "null", "[]", "{}", "NaN", "[" * 100_000, '{"a":' * 100_000),
    '{"type": "ping", "payload": "\\ud800"}',
    *({"type": kind} for kind in (None, 7, ["ping"], "", "start", "\N{ROCKET}" * 1_000, "connection_ack")),
    *({"type": "next", "id": "1", "payload": {}}, {"type": "ping", "payload": "x"}, {"type": "ping", "payload": 7}),
]
MALFORMED: Final[list[object]] = [
    {"type": "connection_init", "payload": "x"},
    *(SUBSCRIBE | {"payload": payload} for payload in ([], "{ viewer { id } }", None, {}, HELLO | {"variables": []})),
    SUBSCRIBE | {"payload": HELLO | {"variables": {"x": [0] * 10_001}}},
    *({"type": "subscribe", "id": "1"}, {"type": "subscribe", "payload": HELLO}),
    *(SUBSCRIBE | {"id": operation_id} for operation_id in (None, "", 1, "x" * 201)),
    *({"type": "complete"}, {"type": "complete", "id": 1}, {"type": "complete", "id": ""}),
]


@only_sqlite
async def test_malformed_message_closes_the_socket(server: RunningServer) -> None:
    for message in UNREADABLE + MALFORMED:
        async with signed_in_socket(server, None) as socket:
            await socket.send(message)
            code, reason = await socket.closing()
        assert (code, bool(reason)) == (4400, True), json.dumps(message)[:60]
    for message in UNREADABLE:
        async with open_socket(server) as socket:
            await socket.send(message)
            assert (await socket.closing())[0] == 4400


@only_sqlite
async def test_operation_id_may_be_any_text(server: RunningServer) -> None:
    async with signed_in_socket(server, None) as socket:
        for operation_id in ("\N{ROCKET}", "\N{ROCKET}" * 200):
            await socket.subscribe("{ viewer { id } }", operation_id=operation_id)
            assert await socket.next(operation_id) == {"data": {"viewer": None}}
            assert await socket.receive() == {"type": "complete", "id": operation_id}


@only_sqlite
async def test_message_may_be_binary_or_fragmented(server: RunningServer) -> None:
    async with open_socket(server) as socket:
        await socket.send(b'{"type": "connection_init"}')
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.connection.send(['{"type": "pi', 'ng", "payl', 'oad": {"any": "thing"}}'])
        assert await socket.receive() == {"type": "pong"}
        await socket.send(b"\xff")
        assert (await socket.closing())[0] == 4400


async def test_message_over_the_limit_closes_the_socket(server: RunningServer) -> None:
    limit = server.runtime.settings.graphql_max_body_bytes
    async with signed_in_socket(server, None) as socket:
        filling = "x" * (limit - 100)
        await socket.send({"type": "ping", "payload": {"filling": filling}})
        assert await socket.receive() == {"type": "pong"}
        await socket.send({"type": "ping", "payload": {"filling": filling + "x" * 200}})
        assert (await socket.closing())[0] == 1009


async def test_ping_before_initialisation_is_answered(server: RunningServer) -> None:
    async with open_socket(server) as socket:
        await socket.round_trip()
        await socket.send({"type": "pong"})
        await socket.send({"type": "pong", "payload": {"any": "thing"}})
        await socket.init()
        await socket.round_trip()


async def test_subscribe_before_initialisation_closes_the_socket(server: RunningServer) -> None:
    for payload in (HELLO, {"query": "subscription { changes { cursor } }"}, {"query": "{"}):
        async with open_socket(server) as socket:
            await socket.send(SUBSCRIBE | {"payload": payload})
            assert await socket.closing() == (4401, "Unauthorized: send connection_init first.")


async def test_missing_initialisation_closes_the_socket(server: RunningServer, clock: MovableClock) -> None:
    async with open_socket(server) as late, signed_in_socket(server, None) as socket:
        await late.round_trip()
        clock.move_on(timedelta(seconds=server.runtime.settings.connection_init_timeout_s))
        assert await late.closing() == (4408, "Connection initialisation timeout.")
        await socket.round_trip()


async def test_second_initialisation_closes_the_socket(server: RunningServer, user: SignedIn) -> None:
    first = {"type": "connection_init", "payload": user.headers}
    async with open_socket(server) as socket:
        await asyncio.gather(socket.send(first), socket.send({"type": "connection_init"}))
        assert await socket.receive() == {"type": "connection_ack"}
        assert await socket.closing() == (4429, "Too many initialisation requests.")


async def test_operation_id_in_use_closes_the_socket(server: RunningServer, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as socket:
        for query in ("subscription { changes { cursor } }", "{ viewer { id } }"):
            await socket.subscribe(query, operation_id="\N{ROCKET}" * 100)
        code, reason = await socket.closing()
    assert (code, reason[:14]) == (4409, "Subscriber for")


async def test_messages_after_the_closing_are_ignored(server: RunningServer, user: SignedIn) -> None:
    mutation = 'mutation { createTask(input: {title: "Late"}) { task { id } } }'
    async with signed_in_socket(server, user.token) as socket:
        late = [socket.subscribe(mutation, operation_id=str(number)) for number in range(20)]
        await asyncio.gather(socket.send("{"), *late)
        assert (await socket.closing())[0] == 4400
    async with signed_in_socket(server, user.token) as socket:
        assert await socket.result("{ tasks { totalCount } }") == {"data": {"tasks": {"totalCount": 0}}}
