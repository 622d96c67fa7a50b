"""Requests whose head was sent before: they are answered as ever, and never read otherwise than by the parser."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from core.database import Database
from core.settings import Environment, Settings
from server import known_heads as module
from server.app import create_app
from server.connection import CONNECTION, Connection
from server.head import HEAD as HEAD_OF_SCOPE
from server.known_heads import KnownHeads, known_heads
from tests.clock import MovableClock
from tests.factories import sign_in
from tests.server import sample
from tests.server.wire import Wire, connected, is_known, post
from tests.servers import serve
from tests.waiting import until

BODY = b'{"query": "{ hello }"}'
REQUEST = post(BODY)
HEAD = REQUEST.removesuffix(BODY)
ANSWER = b'{"data":{"hello":"Hello, world!"}}'
CLOSING = post(BODY, "Connection: close")
WAITING = post(b'{"query": "{ wait }"}')


@pytest.fixture(autouse=True)
def _nothing_known() -> None:
    vars(known_heads).update(vars(KnownHeads()))


@pytest.fixture
async def wire(door: httpx.AsyncClient) -> AsyncIterator[Wire]:
    async with connected(str(door.base_url)) as wire:
        yield wire


def refuse_to_parse(_connection: Connection, data: bytes) -> None:
    raise AssertionError(data)


def lasting(answers: bytes) -> bytes:
    """Return what is the same each time."""
    return re.sub(rb"(date|x-request-id): .*\r\n", b"", answers)


async def make_known(wire: Wire, request: bytes) -> bytes:
    """Send it as often as it takes; return the last answer."""
    await wire.ask(request)
    answer = await wire.ask(request)
    assert is_known(request)
    return answer


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


def noting(app: FastAPI, seen: list[dict[str, Any]]) -> FastAPI:
    """Return the application, with a note of what it is given of each request."""

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(dict(scope))
        await app(scope, receive, send)

    return cast("FastAPI", note)


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
        (post(BODY, "Upgrade: h2c", "Connection: upgrade"), REQUEST, CLOSING),
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


async def test_the_id_that_is_sent_comes_back(wire: Wire) -> None:
    request = post(BODY, "X-Request-ID: mine")
    for _ in range(3):
        assert b"\r\nx-request-id: mine\r\n" in await wire.ask(request)
    ids = {re.search(rb"x-request-id: (\w+)", await wire.ask(REQUEST)) for _ in range(4)}
    assert len({found[1] for found in ids if found}) == 4


async def test_the_bounds_of_bodies_hold(tmp_path: Path) -> None:
    settings = sample.sample_settings(tmp_path, graphql_max_body_bytes=1000)
    small = post(b'{"query": "{ hello }"}' + b" " * 900)
    async with sample.open_door(settings) as door, connected(str(door.base_url)) as wire:
        assert (await make_known(wire, small)).endswith(ANSWER)
        large = post(b'{"query": "{ hello }"}' + b" " * 1000)
        assert (await make_known(wire, large)).startswith(b"HTTP/1.1 413 ")
        assert (await wire.ask(large)).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_token_that_is_no_longer_good(
    database: Database, settings: Settings, clock: MovableClock, how: str
) -> None:
    user = await sign_in(database, settings)
    request = post(b'{"query": "{ viewer { id } }"}', f"Authorization: Bearer {user.token}")
    async with serve(create_app(settings)) as running, connected(running.url) as wire:
        assert user.user.id.encode() in await make_known(wire, request)
        assert user.user.id.encode() in await wire.ask(request)
        if how == "expired":
            clock.move_on(user.caller.expires_at - clock.utc_now())
        else:
            sign_out = post(b'{"query": "mutation { signOut { errors { code } } }"}', *_credentials(user.token))
            assert b"errors" in await wire.ask(sign_out)
        refusal = await wire.ask(request)
        assert b'"UNAUTHENTICATED"' in refusal
        assert user.user.id.encode() not in refusal
        accepting = post(b'{"query": "{ viewer { id } }"}', *_credentials(user.token), _ACCEPT)
        for _ in range(3):
            assert (await wire.ask(accepting)).startswith(b"HTTP/1.1 401 ")


_ACCEPT = "Accept: application/graphql-response+json"


def _credentials(token: str) -> tuple[str]:
    return (f"Authorization: Bearer {token}",)


async def test_a_client_that_goes_while_its_request_runs(
    door: httpx.AsyncClient, happenings: sample.Happenings
) -> None:
    async with connected(str(door.base_url)) as wire:
        happenings.may_end.set()
        await make_known(wire, WAITING)
        again = sample.happenings = sample.Happenings()
        await wire.send(WAITING)
        await again.began.wait()
        wire.writer.transport.abort()
        await again.over.wait()
    assert again.ended == ["cancelled"]


async def test_what_is_sent_while_a_request_runs_waits_for_its_turn(wire: Wire, happenings: sample.Happenings) -> None:
    happenings.may_end.set()
    await make_known(wire, WAITING)
    await make_known(wire, REQUEST)
    again = sample.happenings = sample.Happenings()
    await wire.send(WAITING)
    await again.began.wait()
    await wire.send(REQUEST)
    again.may_end.set()
    assert b'"done"' in await wire.answer()
    assert (await wire.answer()).endswith(ANSWER)
    assert (await wire.ask(REQUEST)).endswith(ANSWER)


async def test_a_server_that_stops_while_a_request_runs(tmp_path: Path, happenings: sample.Happenings) -> None:
    happenings.may_end.set()
    seen: list[dict[str, Any]] = []
    app = noting(create_app(sample.sample_settings(tmp_path), sample.schema), seen)
    async with serve(app) as running:
        wire = Wire(*await asyncio.open_connection(*running.url.removeprefix("http://").split(":")))
        await make_known(wire, WAITING)
        again = sample.happenings = sample.Happenings()
        await wire.send(WAITING)
        await again.began.wait()
        connection = seen[-1][CONNECTION]
        ending = asyncio.create_task(until(lambda: not connection.cycle.keep_alive))
        ending.add_done_callback(lambda _task: again.may_end.set())
    assert ending.done()
    answer = await wire.reader.read()
    wire.writer.close()
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b'{"data":{"wait":"done"}}')


async def test_every_request_is_logged_and_counted(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(settings.model_copy(update={"environment": Environment.PRODUCTION}), sample.schema)
    async with serve(app) as running, connected(running.url) as wire:
        capsys.readouterr()
        for _ in range(5):
            await wire.ask(REQUEST)
        assert capsys.readouterr().out.count('"outcome":"ok"') == 5
        async with httpx.AsyncClient(base_url=running.url) as client:
            metrics = (await client.get("/metrics")).text
    assert 'tasktalk_http_requests_total{method="POST",path="/graphql",status="200"} 5.0' in metrics
    assert 'tasktalk_graphql_operations_total{name="anonymous",outcome="ok"} 5.0' in metrics
