"""The messages of graphql-transport-ws: which close a socket, with which code, and which do not."""

import asyncio
import json
from datetime import timedelta
from typing import Any, Final

import pytest

from core.settings import Settings
from tests.clock import MovableClock
from tests.databases import only_sqlite
from tests.factories import SignedIn
from tests.servers import RunningServer, serve_with
from tests.socket_client import open_socket, signed_in_socket

HELLO: Final = {"query": "{ viewer { id } }"}
MALFORMED: Final[list[object]] = [
    "",
    "{",
    "null",
    "[]",
    "{}",
    "NaN",
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"type": "ping", "payload": "\\ud800"}',
    {"type": None},
    {"type": 7},
    {"type": ["ping"]},
    {"type": ""},
    {"type": "start"},
    {"type": "\N{ROCKET}" * 1_000},
    {"type": "next", "id": "1", "payload": {}},
    {"type": "connection_ack"},
    {"type": "ping", "payload": "x"},
    {"type": "connection_init", "payload": "x"},
    {"type": "subscribe", "id": "1", "payload": []},
    {"type": "subscribe", "id": "1", "payload": "{ viewer { id } }"},
    {"type": "subscribe", "id": "1", "payload": None},
    {"type": "subscribe", "id": "1"},
    {"type": "subscribe", "payload": HELLO},
    {"type": "subscribe", "id": None, "payload": HELLO},
    {"type": "subscribe", "id": "", "payload": HELLO},
    {"type": "subscribe", "id": 1, "payload": HELLO},
    {"type": "subscribe", "id": "x" * 201, "payload": HELLO},
    {"type": "subscribe", "id": "1", "payload": {}},
    {"type": "subscribe", "id": "1", "payload": {**HELLO, "variables": []}},
    {"type": "subscribe", "id": "1", "payload": {**HELLO, "variables": {"x": [0] * 10_001}}},
    {"type": "complete"},
    {"type": "complete", "id": 1},
    {"type": "complete", "id": ""},
]


@only_sqlite
async def test_malformed_message_closes_the_socket(server: RunningServer) -> None:
    for message in MALFORMED:
        async with signed_in_socket(server, None) as socket:
            await socket.send(message)
            code, reason = await socket.closing()
        assert (code, bool(reason)) == (4400, True), json.dumps(message)[:60]


@only_sqlite
@pytest.mark.parametrize("message", ["{", {"type": "start"}, {"type": "ping", "payload": 7}])
async def test_malformed_message_before_initialisation_closes_the_socket(
    server: RunningServer, message: object
) -> None:
    async with open_socket(server) as socket:
        await socket.send(message)
        assert (await socket.closing())[0] == 4400


@only_sqlite
@pytest.mark.parametrize("id_length", [1, 200])
async def test_operation_id_may_be_any_text(server: RunningServer, id_length: int) -> None:
    operation_id = "\N{ROCKET}" * id_length
    async with signed_in_socket(server, None) as socket:
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


@pytest.mark.parametrize("payload", [HELLO, {"query": "subscription { changes { cursor } }"}, {"query": "{"}])
async def test_subscribe_before_initialisation_closes_the_socket(
    server: RunningServer, payload: dict[str, Any]
) -> None:
    async with open_socket(server) as socket:
        await socket.send({"type": "subscribe", "id": "1", "payload": payload})
        assert await socket.closing() == (4401, "Unauthorized: send connection_init first.")


async def test_missing_initialisation_closes_the_socket(settings: Settings) -> None:
    async with serve_with(settings, connection_init_timeout_s=0.1) as server, open_socket(server) as socket:
        assert await socket.closing() == (4408, "Connection initialisation timeout.")


async def test_initialised_socket_outlives_the_initialisation_timeout(
    server: RunningServer, clock: MovableClock
) -> None:
    async with open_socket(server) as late, signed_in_socket(server, None) as socket:
        await late.round_trip()
        clock.move_on(timedelta(seconds=server.runtime.settings.connection_init_timeout_s))
        assert (await late.closing())[0] == 4408
        await socket.round_trip()


async def test_second_initialisation_closes_the_socket(server: RunningServer, user: SignedIn) -> None:
    first = {"type": "connection_init", "payload": user.headers}
    async with open_socket(server) as socket:
        await asyncio.gather(socket.send(first), socket.send({"type": "connection_init"}))
        assert await socket.receive() == {"type": "connection_ack"}
        assert await socket.closing() == (4429, "Too many initialisation requests.")


async def test_operation_id_in_use_closes_the_socket(server: RunningServer, user: SignedIn) -> None:
    operation_id = "\N{ROCKET}" * 100
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe("subscription { changes { cursor } }", operation_id=operation_id)
        await socket.subscribe("{ viewer { id } }", operation_id=operation_id)
        code, reason = await socket.closing()
    assert (code, reason[:14]) == (4409, "Subscriber for")


async def test_messages_after_the_closing_are_ignored(server: RunningServer, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as socket:
        mutation = 'mutation { createTask(input: {title: "Late"}) { task { id } } }'
        await asyncio.gather(
            socket.send("{"), *(socket.subscribe(mutation, operation_id=str(number)) for number in range(20))
        )
        assert (await socket.closing())[0] == 4400
    async with signed_in_socket(server, user.token) as socket:
        assert await socket.result("{ tasks { totalCount } }") == {"data": {"tasks": {"totalCount": 0}}}
