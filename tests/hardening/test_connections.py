"""Connections, heads and bodies: what costs memory is refused before it is kept."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from core.query_runner import current_statements
from core.workload import current_workload
from server.app import create_app
from server.graphql.sockets import GraphQLWebSocket
from server.http import protocol, request_body
from server.http.connection_limits import ConnectionLimits
from server.http.disconnect import wait_for_disconnect
from server.observability.request_log import current_request_id
from tests.factories import SignedIn
from tests.server.wire import Wire, connected, post
from tests.servers import RunningServer, serve
from tests.waiting import PATIENCE_S, until, until_so

QUERY = b'{"query": "{ __typename }"}'
VIEWER = b'{"query": "{ viewer { id } }"}'
CHUNKED = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def wire(server: RunningServer) -> AsyncIterator[Wire]:
    async with connected(server.url) as wire:
        yield wire


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("GET /health HTTP/1.1", *lines, "")).encode()


async def status(server: RunningServer, request: bytes) -> int:
    """Return the status of the answer to a request of which nothing more is read."""
    async with connected(server.url) as wire:
        await wire.send(request)
        answer = await wire.reader.readline()
    return int(answer.split()[1])


MANY = [f"X-Header-{number}: 1" for number in range(99)]


@pytest.mark.parametrize(
    ("request_head", "expected"),
    [
        (head("Host: x", *MANY), 200),
        (head("Host: x", *MANY, "X-More: 1"), 431),
        (head("Host: x", "X-Long: " + "a" * 60_000), 200),
        (head("Host: x", "X-Long: " + "a" * 70_000), 431),
        (head("Host: x", *[f"X-Header-{number}: {'a' * 10_000}" for number in range(8)]), 431),
        (head("Host: x", "Authorization: Bearer " + "a" * 300_000), 401),
        (b"GET /health?" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (head(), 400),
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
        (head("Host: x", "Host: x"), 400),
        (head("Host: x", "Authorization: Bearer a", "authorization: Bearer b"), 400),
        (b"GET /health\r\nnonsense\r\n\r\n", 400),
    ],
    ids=[
        "100 headers", "101 headers", "60 KB", "70 KB", "80 KB in all", "long token", "long address", "no host",
        "no host in HTTP/1.0", "two hosts", "two tokens", "no HTTP",
    ],
)  # fmt: skip
async def test_head_is_bounded_and_checked(server: RunningServer, request_head: bytes, expected: int) -> None:
    assert await status(server, request_head) == expected
    assert await status(server, head("Host: x")) == 200


async def send_for_ever(wire: Wire, piece: bytes) -> None:
    while True:
        wire.writer.write(piece)
        await wire.writer.drain()


@pytest.mark.parametrize("beginning", [b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ", b"GET /graphql?query="])
async def test_refused_head_of_many_megabytes_is_not_kept(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(protocol, "LINGER_S", 0.1)
    await wire.send(beginning)
    with pytest.raises(ConnectionError):
        await send_for_ever(wire, b"a" * 100_000)


async def test_trailers_are_dropped(server: RunningServer, user: SignedIn) -> None:
    body = b"%x\r\n%b\r\n" % (len(VIEWER), VIEWER)
    async with connected(server.url) as wire:
        trailers = f"0\r\nAuthorization: Bearer {user.token}\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n".encode()
        # In one piece, so that the request is complete before it is read.
        assert (await wire.ask(CHUNKED + body + trailers)).endswith(b'{"data":{"viewer":null}}')
        assert user.user.id.encode() in await wire.ask(post(VIEWER, f"Authorization: Bearer {user.token}"))


@pytest.mark.parametrize(
    ("begin", "more"),
    [(b"0\r\n", b"X-More: " + b"a" * 1_000 + b"\r\n"), (b"0\r\nX-More: ", b"a" * 1_000), (b"1;more=", b"a" * 1_000)],
    ids=["trailers", "one trailer", "extension of a chunk"],
)
async def test_what_comes_beside_a_body_is_bounded(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, begin: bytes, more: bytes
) -> None:
    monkeypatch.setattr(protocol, "LINGER_S", 0.1)
    async with connected(server.url) as wire:
        wire.writer.write(CHUNKED + b"%x\r\n%b\r\n" % (len(QUERY), QUERY) + begin)
        with pytest.raises(ConnectionError):
            await send_for_ever(wire, more)


async def test_connections_are_bounded_for_an_address_and_in_all(server: RunningServer) -> None:
    for limits in (ConnectionLimits(100, 3), ConnectionLimits(3, 100)):
        async with serve(create_app(server.runtime.settings), limits=limits) as limited:
            wires = [connected(limited.url) for _ in range(3)]
            opened = [await each.__aenter__() for each in wires]
            for wire in opened:
                assert b"200 OK" in await wire.ask(post(QUERY))
            assert await status(limited, post(QUERY)) == 503
            for each in wires:
                await each.__aexit__(None, None, None)
            await until_so(partial(answers, limited))


async def answers(server: RunningServer) -> bool:
    return await status(server, post(QUERY)) == 200


@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/8"])
async def test_proxy_may_open_as_many_as_it_needs(server: RunningServer, proxy: str) -> None:
    limits = ConnectionLimits(100, 1, frozenset({"10.0.0.0/8", proxy}))
    async with serve(create_app(server.runtime.settings), limits=limits) as limited, connected(limited.url) as first:
        assert b"200 OK" in await first.ask(post(QUERY))
        assert await status(limited, post(QUERY)) == 200


UPGRADE = head(
    "Host: x", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: graphql-transport-ws",
).replace(b"/health", b"/graphql")  # fmt: skip


async def test_closed_socket_is_counted_as_closed(server: RunningServer) -> None:
    limits = ConnectionLimits(1, 1)
    async with serve(create_app(server.runtime.settings), limits=limits) as limited:
        for _ in range(3):
            await until(lambda: limits.open == 0)
            async with connected(limited.url) as wire:
                await wire.send(UPGRADE)
                assert b"101 Switching Protocols" in await wire.reader.readline()
                assert await status(limited, post(QUERY)) == 503


async def test_socket_has_nothing_of_an_earlier_request_of_its_connection(
    server: RunningServer, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    async def serve(_self: object) -> None:
        workload = current_workload.get()
        found.extend([workload and workload.key, current_statements.get(), current_request_id.get()])

    monkeypatch.setattr(GraphQLWebSocket, "serve", serve)
    async with connected(server.url) as wire:
        # Reading is paused for a large body, and goes on in the request's context.
        assert b"200 OK" in await wire.ask(post(b" " * 300_000 + VIEWER, f"Authorization: Bearer {user.token}"))
        await wire.send(UPGRADE)
        await until(lambda: bool(found))
    assert found == ["127.0.0.1", None, None]


async def test_client_that_reads_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT_S", 0.2)
    app, limits = FastAPI(), ConnectionLimits(10, 10)
    app.add_route("/large", lambda _request: PlainTextResponse("a" * 20_000_000))
    request = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serve(app, limits=limits) as large, connected(large.url) as wire:
        wire.reader._transport.pause_reading()  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
        await wire.send(request)
        await until(lambda: limits.open == 1)
        await until(lambda: limits.open == 0)
        # Who reads slowly is left alone.
        monkeypatch.setattr(protocol, "WRITE_TIMEOUT_S", 5)
        async with connected(large.url, request) as slow:
            for _ in range(10):
                await asyncio.sleep(0.1)
                assert await slow.reader.readexactly(1_000_000)
            assert limits.open == 1


async def test_client_that_leaves_the_end_of_the_last_answer_unread_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "WRITE_TIMEOUT_S", 0.2)
    app, limits = FastAPI(), ConnectionLimits(10, 10)

    async def until_unsent(request: Request) -> AsyncIterator[bytes]:
        transport = protocol.get_abort(request.scope).__self__  # type: ignore[attr-defined]
        while not transport.get_write_buffer_size():
            yield b"a" * 10_000

    app.add_route("/large", lambda request: StreamingResponse(until_unsent(request)))
    async with serve(app, limits=limits) as large, connected(large.url) as wire:
        wire.reader._transport.pause_reading()  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
        await wire.send(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await until(lambda: limits.open == 1)
        await until(lambda: limits.open == 0)


@pytest.mark.parametrize("behind", [b"nonsense\r\n\r\n", head("X-Long: " + "a" * 70_000), UPGRADE])
async def test_request_is_answered_although_what_comes_behind_it_is_refused(behind: bytes) -> None:
    app, began, may_end = FastAPI(), asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> PlainTextResponse:
        began.set()
        await may_end.wait()
        return PlainTextResponse("first")

    app.add_route("/slow", slow)
    async with serve(app) as server, connected(server.url) as wire:
        await wire.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        await began.wait()
        await wire.send(behind)
        await asyncio.sleep(0.05)
        may_end.set()
        answer = await wire.reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\nfirst")


async def test_stream_ends_with_its_connection_whatever_comes_behind_it() -> None:
    app, ended = FastAPI(), asyncio.Event()

    async def stream(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await wait_for_disconnect(receive)
        ended.set()

    app.mount("/stream", stream)
    async with serve(app) as server:
        async with connected(server.url) as wire:
            await wire.send(b"GET /stream/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in await wire.reader.readline()
            await wire.send(UPGRADE)
        await asyncio.wait_for(ended.wait(), PATIENCE_S)


@pytest.mark.parametrize(
    "body",
    [b"[" + b"{}," * 60_000 + b"{}]", b'{"query": "{ a }", "variables": {"a": [' + b"0," * 60_000 + b"0]}}"],
    ids=["objects", "numbers"],
)
async def test_body_of_very_many_values_is_refused_before_it_is_built(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr("server.http.request_body.orjson.loads", None)
    async with connected(server.url) as wire:
        answer = await wire.ask(post(body))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"more than 50000 values" in answer


UNFINISHED = post(b"").replace(b"Content-Length: 0", b"Content-Length: 100000")


async def test_unfinished_bodies_of_one_client_leave_room_for_others(
    server: RunningServer, user: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_body, "MAX_OPEN_BYTES", 400_000)
    async with connected(server.url) as first, connected(server.url) as second:
        await first.send(UNFINISHED, b" " * 90_000)
        await until(lambda: request_body.OpenBodies.held_bytes == 90_000)
        assert b" 503 " in await second.ask(UNFINISHED, b" " * 90_000)
        authorization = f"Authorization: Bearer {user.token}"
        assert await status(server, post(b" " * 90_000 + QUERY, authorization)) == 200
        first.writer.transport.abort()
        await until(lambda: not request_body.OpenBodies.held_by)


async def test_unfinished_bodies_are_bounded_in_all(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_body, "MAX_OPEN_BYTES", 200_000)
    monkeypatch.setattr(request_body, "_MAX_SHARE", 1)
    async with connected(server.url) as first, connected(server.url) as second, connected(server.url) as third:
        await first.send(UNFINISHED, b" " * 90_000)
        await second.send(UNFINISHED, b" " * 90_000)
        await until(lambda: request_body.OpenBodies.held_bytes == 180_000)
        answer = await third.ask(UNFINISHED, b" " * 90_000)
        assert re.match(rb"HTTP/1.1 503 .*retry-after: ", answer, re.DOTALL)
        first.writer.transport.abort()
        await until(lambda: request_body.OpenBodies.held_bytes == 90_000)
        assert b"200 OK" in await second.ask(b" " * (10_000 - len(QUERY)) + QUERY)
