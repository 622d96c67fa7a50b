"""WebSockets: who may open one, its bounds, and which messages close it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
from websockets.exceptions import InvalidStatus

from core.settings import Settings
from server.http.origins import is_allowed_origin
from tests.clock import MovableClock
from tests.databases import only_sqlite
from tests.factories import SignedIn
from tests.servers import RunningServer, serve_with
from tests.socket_client import PROTOCOL, open_socket, signed_in_socket

ALLOWED: Final = ("https://app.example.com", "http://localhost:5173", "https://Mixed.Example.com")


@pytest.fixture(scope="module")
async def choosy_server(settings: Settings) -> AsyncIterator[RunningServer]:
    async with serve_with(settings, allowed_origins=ALLOWED) as server:
        yield server


async def opens(server: RunningServer, origin: str | None) -> bool:
    try:
        async with open_socket(server, origin=origin) as socket:
            await socket.init()
    except InvalidStatus as refusal:
        return refusal.response.status_code != 403
    return True


REFUSED: Final = (
    *("https://evil.example", "http://app.example.com", "https://app.example.com:444", "https://sub.app.example.com"),
    *("https://app.example.com.evil.example", "https://app.example.com/", "http://localhost", "http://localhost:5174"),
    *("null", "", "http://[", "http:", "file://"),
)


async def test_only_allowed_origins_may_open_a_socket(choosy_server: RunningServer) -> None:
    own = choosy_server.url
    for origin in (None, own, own.upper(), *ALLOWED, "HTTPS://APP.EXAMPLE.COM", "https://mixed.example.com"):
        assert await opens(choosy_server, origin), origin
    almost = (("http://", "ftp://"), ("http://", "http://evil@"), ("127.0.0.1", "localhost"))
    for origin in (*REFUSED, own + "0", *(own.replace(*each) for each in almost)):
        assert not await opens(choosy_server, origin), origin


def test_own_origin_behind_a_tls_proxy_is_allowed(settings: Settings) -> None:
    for scheme, origin, is_allowed in (
        ("ws", b"http://api.example.com", True),
        ("ws", b"https://api.example.com", True),
        ("wss", b"https://api.example.com", True),
        ("wss", b"http://api.example.com", False),
        ("ws", b"https://api.example.com:8443", False),
        ("ws", b"\xff\xfe", False),
    ):
        scope = {"scheme": scheme, "headers": [(b"host", b"api.example.com"), (b"origin", origin)]}
        assert is_allowed_origin(scope, settings) is is_allowed
        everyone = settings.model_copy(update={"allowed_origins": ("*",)})
        assert is_allowed_origin({"scheme": scheme, "headers": [(b"origin", b"https://anyone.example")]}, everyone)


async def test_subprotocol_is_ours_among_any_others(server: RunningServer) -> None:
    for subprotocols in ([], ["graphql-ws"], ["graphql-transport-ws-2", "mqtt"]):
        async with open_socket(server, subprotocols=subprotocols) as socket:
            assert await socket.closing() == (4406, f"Speak {PROTOCOL}.")
    async with open_socket(server, subprotocols=["graphql-ws", PROTOCOL]) as socket:
        assert socket.connection.subprotocol == PROTOCOL
        await socket.init()


async def test_socket_at_another_path_or_with_a_large_handshake_is_refused(server: RunningServer) -> None:
    elsewhere = RunningServer(f"{server.url}/elsewhere", server.app)
    large: list[dict[str, str]] = [{"Authorization": "x" * 9_000}, {f"X-{number}": "x" for number in range(200)}]
    for place, headers, status in (elsewhere, None, 403), (server, large[0], 431), (server, large[1], 431):
        with pytest.raises(InvalidStatus) as refusal:
            async with open_socket(place, headers=headers):
                raise AssertionError("it opened")
        assert refusal.value.response.status_code == status


async def test_number_of_sockets_of_a_user_is_bounded(settings: Settings, user: SignedIn, stranger: SignedIn) -> None:
    assert settings.max_sockets_per_user == 20
    async with (
        serve_with(settings, max_sockets_per_user=2) as server,
        signed_in_socket(server, user.token) as first,
        signed_in_socket(server, user.token) as second,
    ):
        async with open_socket(server) as third:
            await third.send({"type": "connection_init", "payload": user.headers})
            assert await third.closing() == (4429, "A user may have 2 connections; close another one first.")
        for token in (stranger.token, None, None, None):
            async with signed_in_socket(server, token) as third:
                await third.round_trip()
        await second.round_trip()
        await first.connection.close()
        await second.round_trip()
        async with signed_in_socket(server, user.token) as third:
            await third.round_trip()


async def test_anonymous_socket_may_only_read_public_fields(server: RunningServer) -> None:
    async with signed_in_socket(server, None) as socket:
        assert await socket.result("{ viewer { id } }") == {"data": {"viewer": None}}
        payload = await socket.result("{ tasks { totalCount } }")
        assert payload["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        for field in ("changes { cursor }", 'messageAdded(conversationId: "x") { cursor }'):
            await socket.subscribe(f"subscription {{ {field} }}")
            assert await socket.codes() == ["UNAUTHENTICATED"]
        await socket.round_trip()


@pytest.mark.parametrize("where", ["payload", "payload in lower case", "header", "payload before header"])
async def test_token_is_read_from_payload_or_header(
    server: RunningServer, user: SignedIn, stranger: SignedIn, where: str
) -> None:
    headers = {"header": user.headers, "payload before header": stranger.headers}.get(where)
    name = "authorization" if where == "payload in lower case" else "Authorization"
    payload = None if where == "header" else {"other": 1, name: f"bearer {user.token}"}
    async with open_socket(server, headers=headers) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.receive() == {"type": "connection_ack"}
        assert await socket.result("{ viewer { id } }") == {"data": {"viewer": {"id": user.user.id}}}


INVALID: Final[list[object]] = ["", "Bearer", "Bearer x", "Basic eDp5", "x", 7, None, ["Bearer x"], "Bearer é"]


async def test_invalid_token_closes_the_socket(server: RunningServer, user: SignedIn) -> None:
    for value in INVALID:
        async with open_socket(server, headers=user.headers) as socket:
            await socket.send({"type": "connection_init", "payload": {"Authorization": value}})
            code, reason = await socket.closing()
        assert (code, bool(reason)) == (4403, True)
        # The same in a ping, which would give a fresh token.
        async with signed_in_socket(server, user.token) as socket:
            await socket.send({"type": "ping", "payload": {"Authorization": value}})
            assert await socket.closing() == (4403, reason)
    for header in ("Bearer", "Bearer x", "Basic eDp5", "Bearer " + "x" * 8_000):
        async with open_socket(server, headers={"Authorization": header}) as socket:
            await socket.send({"type": "connection_init"})
            assert (await socket.closing())[0] == 4403


HELLO: Final = {"query": "{ viewer { id } }"}
SUBSCRIBE: Final[dict[str, Any]] = {"type": "subscribe", "id": "1", "payload": HELLO}
UNREADABLE: Final[list[object]] = [
    *("", "{", "null", "[]", "{}", "NaN", "[" * 100_000, '{"a":' * 100_000),
    '{"type": "ping", "payload": "\\ud800"}',
    *({"type": kind} for kind in (None, 7, ["ping"], "", "start", "\N{ROCKET}" * 1_000, "connection_ack")),
    *({"type": "next", "id": "1", "payload": {}}, {"type": "ping", "payload": "x"}, {"type": "ping", "payload": 7}),
]
PAYLOADS: Final[list[Any]] = [[], "{ viewer { id } }", None, {}, HELLO | {"variables": []}]
MALFORMED: Final[list[object]] = [
    {"type": "connection_init", "payload": "x"},
    *(SUBSCRIBE | {"payload": payload} for payload in PAYLOADS),
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
    for query in ("{ viewer { id } }", "subscription { changes { cursor } }", "{"):
        async with open_socket(server) as socket:
            await socket.send(SUBSCRIBE | {"payload": {"query": query}})
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
