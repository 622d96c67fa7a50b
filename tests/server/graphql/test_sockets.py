"""WebSockets: allowed origins, sub-protocols and bounds."""

from collections.abc import AsyncIterator
from typing import Final

import httpx2
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


async def test_pages_that_are_allowed(choosy_server: RunningServer) -> None:
    own = choosy_server.url
    for origin in (None, own, own.upper(), *ALLOWED, "HTTPS://APP.EXAMPLE.COM", "https://mixed.example.com"):
        assert await opens(choosy_server, origin), origin


async def test_other_peoples_pages(choosy_server: RunningServer) -> None:
    own = choosy_server.url
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


async def test_every_page_where_the_setting_says_so(settings: Settings) -> None:
    async with serve_with(settings, allowed_origins=("*",)) as server:
        assert await opens(server, "https://anyone.example")


@pytest.mark.parametrize(
    ("scheme", "origin", "welcome"),
    [
        ("ws", b"http://api.example.com", True),
        ("ws", b"https://api.example.com", True),
        ("wss", b"https://api.example.com", True),
        ("wss", b"http://api.example.com", False),
        ("ws", b"https://api.example.com:8443", False),
        ("ws", b"\xff\xfe", False),
    ],
)
def test_our_own_pages_behind_what_ends_tls(scheme: str, origin: bytes, welcome: bool, settings: Settings) -> None:
    headers = [(b"host", b"api.example.com"), (b"origin", origin)]
    assert is_allowed_origin({"scheme": scheme, "headers": headers}, settings) is welcome


@pytest.mark.parametrize("subprotocols", [[], ["graphql-ws"], ["graphql-transport-ws-2", "mqtt"]])
async def test_other_languages(server: RunningServer, subprotocols: list[str]) -> None:
    async with open_socket(server, subprotocols=subprotocols) as socket:
        assert await socket.closing() == (4406, f"Speak {PROTOCOL}.")


async def test_our_language_among_others(server: RunningServer) -> None:
    async with open_socket(server, subprotocols=["graphql-ws", PROTOCOL]) as socket:
        assert socket.connection.subprotocol == PROTOCOL
        await socket.init()


async def test_a_socket_elsewhere(server: RunningServer) -> None:
    elsewhere = RunningServer(f"{server.url}/elsewhere", server.app)
    with pytest.raises(InvalidStatus) as refusal:
        async with open_socket(elsewhere):
            raise AssertionError("it opened")
    assert refusal.value.response.status_code in {403, 404}


async def test_the_endpoint_without_an_upgrade(http: httpx2.AsyncClient) -> None:
    response = await http.get("/graphql", headers={"Upgrade": "websocket", "Accept": "application/json"})
    assert response.status_code == 400


async def test_a_user_may_have_so_many_sockets(settings: Settings, database: Database) -> None:
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


def test_how_many_sockets_by_default(settings: Settings) -> None:
    assert (settings.max_sockets_per_user, settings.max_operations_per_socket) == (20, 100)


async def test_an_anonymous_socket(server: RunningServer) -> None:
    async with signed_in_socket(server, None) as socket:
        assert await socket.result("{ viewer { id } }") == {"data": {"viewer": None}}
        payload = await socket.result("{ tasks { totalCount } }")
        assert payload["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
        for field in ("changes { cursor }", 'messageAdded(conversationId: "x") { cursor }'):
            await socket.subscribe(f"subscription {{ {field} }}")
            assert await socket.codes() == ["UNAUTHENTICATED"]
        await socket.round_trip()


@pytest.mark.parametrize("where", ["payload", "payload in lower case", "header"])
async def test_the_token_in_each_place(server: RunningServer, user: SignedIn, where: str) -> None:
    headers = user.headers if where == "header" else None
    name = "Authorization" if where == "payload" else "authorization"
    payload = None if where == "header" else {"other": 1, name: f"bearer {user.token}"}
    async with open_socket(server, headers=headers) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.receive() == {"type": "connection_ack"}
        assert await socket.result("{ viewer { id } }") == {"data": {"viewer": {"id": user.user.id}}}


async def test_the_payloads_token_goes_before_the_headers(
    server: RunningServer, user: SignedIn, stranger: SignedIn
) -> None:
    async with open_socket(server, headers=user.headers) as socket:
        await socket.init(stranger.token)
        assert await socket.result("{ viewer { id } }") == {"data": {"viewer": {"id": stranger.user.id}}}


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer x", "Basic eDp5", "x", 7, None, ["Bearer x"], "Bearer é"])
async def test_bad_tokens_in_the_payload(server: RunningServer, user: SignedIn, value: object) -> None:
    async with open_socket(server, headers=user.headers) as socket:
        await socket.send({"type": "connection_init", "payload": {"Authorization": value}})
        code, reason = await socket.closing()
    assert code == 4403
    assert reason


@pytest.mark.parametrize("value", ["Bearer", "Bearer x", "Basic eDp5", "Bearer " + "x" * 8_000])
async def test_bad_tokens_in_the_header(server: RunningServer, value: str) -> None:
    async with open_socket(server, headers={"Authorization": value}) as socket:
        await socket.send({"type": "connection_init"})
        assert (await socket.closing())[0] == 4403


@pytest.mark.parametrize("headers", [{"Authorization": "x" * 9_000}, {f"X-{number}": "x" for number in range(200)}])
async def test_a_handshake_that_is_too_large_is_answered(server: RunningServer, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with open_socket(server, headers=headers):
            raise AssertionError("it opened")
    assert refusal.value.response.status_code == 431
