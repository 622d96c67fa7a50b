"""WebSockets: allowed origins, sub-protocols and bounds."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
from websockets.exceptions import InvalidStatus

from core.database import Database
from core.settings import Settings
from server.http.origins import is_allowed_origin
from tests.factories import SignedIn, sign_in
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


async def test_only_allowed_origins_may_open_a_socket(choosy_server: RunningServer) -> None:
    own = choosy_server.url
    for origin in (None, own, own.upper(), *ALLOWED, "HTTPS://APP.EXAMPLE.COM", "https://mixed.example.com"):
        assert await opens(choosy_server, origin), origin
    for origin in (
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://app.example.com.evil.example",
        "https://sub.app.example.com",
        "https://app.example.com/",
        "http://localhost",
        "http://localhost:5174",
        "null",
        "",
        "http://[",
        "http:",
        "file://",
        own + "0",
        own.replace("http://", "ftp://"),
        own.replace("http://", "http://evil@"),
        own.replace("127.0.0.1", "localhost"),
    ):
        assert not await opens(choosy_server, origin), origin


@pytest.mark.parametrize(
    ("scheme", "origin", "allowed_origins", "is_allowed"),
    [
        ("ws", b"http://api.example.com", (), True),
        ("ws", b"https://api.example.com", (), True),
        ("wss", b"https://api.example.com", (), True),
        ("wss", b"http://api.example.com", (), False),
        ("ws", b"https://api.example.com:8443", (), False),
        ("ws", b"\xff\xfe", (), False),
        ("ws", b"https://anyone.example", ("*",), True),
    ],
)
def test_own_origin_behind_a_tls_proxy_is_allowed(
    scheme: str, origin: bytes, allowed_origins: tuple[str, ...], is_allowed: bool, settings: Settings
) -> None:
    settings = settings.model_copy(update={"allowed_origins": allowed_origins})
    headers = [(b"host", b"api.example.com"), (b"origin", origin)]
    assert is_allowed_origin({"scheme": scheme, "headers": headers}, settings) is is_allowed


@pytest.mark.parametrize("subprotocols", [[], ["graphql-ws"], ["graphql-transport-ws-2", "mqtt"]])
async def test_other_subprotocols_are_refused(server: RunningServer, subprotocols: list[str]) -> None:
    async with open_socket(server, subprotocols=subprotocols) as socket:
        assert await socket.closing() == (4406, f"Speak {PROTOCOL}.")


async def test_subprotocol_is_chosen_among_others(server: RunningServer) -> None:
    async with open_socket(server, subprotocols=["graphql-ws", PROTOCOL]) as socket:
        assert socket.connection.subprotocol == PROTOCOL
        await socket.init()


async def test_socket_at_another_path_is_refused(server: RunningServer) -> None:
    elsewhere = RunningServer(f"{server.url}/elsewhere", server.app)
    with pytest.raises(InvalidStatus) as refusal:
        async with open_socket(elsewhere):
            raise AssertionError("it opened")
    assert refusal.value.response.status_code in {403, 404}


async def test_number_of_sockets_of_a_user_is_bounded(settings: Settings, database: Database) -> None:
    assert settings.max_sockets_per_user == 20
    user, other = [await sign_in(database, settings) for _ in range(2)]
    async with (
        serve_with(settings, max_sockets_per_user=2) as server,
        signed_in_socket(server, user.token) as first,
        signed_in_socket(server, user.token) as second,
    ):
        async with open_socket(server) as third:
            await third.send({"type": "connection_init", "payload": user.headers})
            code, reason = await third.closing()
        assert (code, reason) == (4429, "A user may have 2 connections; close another one first.")
        async with signed_in_socket(server, other.token) as third:
            await third.round_trip()
        for _ in range(3):
            async with signed_in_socket(server, None) as third:
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


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer x", "Basic eDp5", "x", 7, None, ["Bearer x"], "Bearer é"])
async def test_invalid_token_closes_the_socket(server: RunningServer, user: SignedIn, value: object) -> None:
    async with open_socket(server, headers=user.headers) as socket:
        await socket.send({"type": "connection_init", "payload": {"Authorization": value}})
        code, reason = await socket.closing()
    assert code == 4403
    assert reason
    # The same in a ping, which would give a fresh token.
    async with signed_in_socket(server, user.token) as socket:
        await socket.send({"type": "ping", "payload": {"Authorization": value}})
        assert await socket.closing() == (4403, reason)


@pytest.mark.parametrize("value", ["Bearer", "Bearer x", "Basic eDp5", "Bearer " + "x" * 8_000])
async def test_invalid_token_in_the_header_closes_the_socket(server: RunningServer, value: str) -> None:
    async with open_socket(server, headers={"Authorization": value}) as socket:
        await socket.send({"type": "connection_init"})
        assert (await socket.closing())[0] == 4403


@pytest.mark.parametrize("headers", [{"Authorization": "x" * 9_000}, {f"X-{number}": "x" for number in range(200)}])
async def test_too_large_handshake_is_refused(server: RunningServer, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with open_socket(server, headers=headers):
            raise AssertionError("it opened")
    assert refusal.value.response.status_code == 431
