"""Requests whose head was sent before: they are answered as ever, and never read otherwise than by the parser."""

from typing import Any

import httpx
import pytest

from core.settings import Settings
from server import known_heads as module
from server.app import create_app
from server.connection import CONNECTION, Connection
from server.head import HEAD as HEAD_OF_SCOPE
from server.known_heads import KnownHeads, known_heads
from tests.server import sample
from tests.server.wire import (
    ANSWER,
    BODY,
    CLOSING,
    HEAD,
    REQUEST,
    Wire,
    connected,
    is_known,
    lasting,
    make_known,
    noting,
    post,
)
from tests.servers import serve

pytestmark = pytest.mark.usefixtures("_nothing_known")


def refuse_to_parse(_connection: Connection, data: bytes) -> None:
    raise AssertionError(data)


async def test_a_head_that_is_sent_again_needs_no_parser(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await wire.ask(REQUEST)
    assert first.endswith(ANSWER)
    assert not is_known(REQUEST)
    assert await wire.ask(REQUEST)
    assert is_known(REQUEST)
    other = BODY.replace(b"hello", b"again")
    monkeypatch.setattr(Connection, "_parse", refuse_to_parse)
    assert lasting(await wire.ask(REQUEST)) == lasting(first)
    assert b"Cannot query field 'again'" in await wire.ask(HEAD + other)
    assert lasting(await wire.ask(REQUEST)) == lasting(first)


async def test_a_known_head_is_known_to_other_connections(
    door: httpx.AsyncClient, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_known(wire, REQUEST)
    monkeypatch.setattr(Connection, "_parse", refuse_to_parse)
    async with connected(str(door.base_url)) as other:
        assert (await other.ask(REQUEST)).endswith(ANSWER)


async def test_the_layers_are_given_what_they_are_given_by_the_parser(settings: Settings) -> None:
    seen: list[dict[str, Any]] = []
    async with serve(noting(create_app(settings, sample.schema), seen)) as running, connected(running.url) as wire:
        request = REQUEST.replace(b"/graphql", b"/graph%71l?a=%20b")
        await make_known(wire, request)
        await wire.ask(request)
    for scope in seen:
        del scope["state"], scope[CONNECTION]
    assert seen[2].pop(HEAD_OF_SCOPE)
    assert seen[0] == seen[2]
    assert type(seen[0]["headers"]) is type(seen[2]["headers"])


def in_pieces(data: bytes, size: int) -> tuple[bytes, ...]:
    return tuple(data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize(
    "pieces",
    [
        (REQUEST + REQUEST, CLOSING),
        (REQUEST, REQUEST + CLOSING),
        (REQUEST + HEAD, BODY, CLOSING),
        (HEAD + BODY[:5], BODY[5:] + CLOSING),
        (HEAD, BODY, CLOSING),
        (HEAD, REQUEST, CLOSING),
        (HEAD + BODY[:5], REQUEST, CLOSING),
        (HEAD[:10], REQUEST, CLOSING),
        (HEAD[:-2], REQUEST, CLOSING),
        (b"\r\n", REQUEST, CLOSING),
        (b"P", REQUEST[1:], CLOSING),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Y:", REQUEST, CLOSING),
        (REQUEST + b"x", CLOSING),
        (REQUEST + b"\r\n", REQUEST, CLOSING),
        (REQUEST[:-1], b"}", CLOSING),
        (REQUEST, CLOSING, REQUEST),
        (CLOSING + REQUEST, REQUEST),
        (HEAD + b"{" * (len(BODY) - 1), REQUEST, CLOSING),
        (post(BODY, "Transfer-Encoding: chunked"), REQUEST),
        (post(BODY, "Content-Length: 3"), REQUEST),
        (REQUEST, post(BODY, "Upgrade: h2c", "Connection: upgrade") + REQUEST),
        (REQUEST.replace(b"1.1", b"1.0"), REQUEST),
        (REQUEST.replace(b"POST", b"PUT"), REQUEST, CLOSING),
        (REQUEST, REQUEST.replace(b"\r\n", b"\n")),
        (REQUEST, REQUEST.replace(b"Host: x", b"Host: x\r\n y")),
        *(in_pieces(REQUEST + CLOSING, size) for size in (1, 7, 100)),
    ],
)
async def test_requests_are_read_as_by_the_parser(
    door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, pieces: tuple[bytes, ...]
) -> None:
    async def exchange() -> bytes:
        async with connected(str(door.base_url)) as wire:
            await wire.send(*pieces)
            return lasting(await wire.reader.read())

    async with connected(str(door.base_url)) as wire:
        await make_known(wire, REQUEST)
    known = await exchange()
    with monkeypatch.context() as parsing:
        parsing.setattr(known_heads, "recall", lambda _data: None)
        assert await exchange() == known
    assert {HEAD} == known_heads._known.keys()  # noqa: SLF001


@pytest.mark.parametrize(
    "request_",
    [
        post(BODY, "Expect: 100-continue"),
        post(BODY, f"X-Long: {'x' * 4096}"),
        post(BODY, *["X:"] * 64),
        post(b" " * 70_000 + BODY),
        post(b""),
        REQUEST.replace(b"/graphql", b"/api/tasks"),
        HEAD.replace(b"Content-Length: 22", b"Transfer-Encoding: chunked") + b"16\r\n" + BODY + b"\r\n0\r\n\r\n",
        b"GET /graphql?query={hello} HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_heads_that_do_not_become_known(wire: Wire, request_: bytes) -> None:
    answers = {lasting(await wire.ask(request_)) for _ in range(3)}
    assert len(answers) == 1
    assert not known_heads._known  # noqa: SLF001


async def test_who_sends_another_head_each_time_is_not_remembered(wire: Wire) -> None:
    for n in range(3):
        await wire.ask(post(BODY, f"X-Request-ID: {n}"))
    assert not known_heads._known  # noqa: SLF001


def test_the_heads_that_were_sent_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KEPT", 2)
    heads = KnownHeads()
    requests = [post(BODY, f"X-Request-ID: {n}") for n in range(3)]
    for n, request in enumerate(requests):
        headers = [(b"x-request-id", b"%d" % n), (b"host", b"x"), (b"content-type", b"application/json")]
        scope: dict[str, Any] = {
            "method": "POST",
            "path": "/graphql",
            "http_version": "1.1",
            "query_string": b"",
            "raw_path": b"",
        }
        scope["headers"] = [*headers, (b"content-length", b"%d" % len(BODY))]
        heads.learn(request, scope, BODY)
        heads.learn(request, scope, BODY)
        assert heads.recall(requests[0]) is not None
    assert [heads.recall(request) is not None for request in requests] == [True, False, True]
