"""Refusals under overload: answered by the head alone, whatever the request is, and behind those before it."""

import asyncio
import socket

import httpx2
import pytest
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.http import protocol
from server.http.overload import Overload
from tests.server.wire import CLOSING, Wire, connected, post
from tests.servers import METRICS_HEADERS, RunningServer
from tests.waiting import until

QUERY = b'{"query": "{ __typename }"}'
REQUEST = post(QUERY)
CHUNKED = post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")


@pytest.fixture
def busy(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Overload:
    """Let the server refuse what it can, and fail where it makes anything for a request."""
    monkeypatch.setattr(Overload, "admit", lambda _: False)
    monkeypatch.setattr(HttpToolsProtocol, "on_message_begin", None)
    monkeypatch.setattr(httptools_impl, "RequestResponseCycle", None)
    overload: Overload = server.app.state.overload
    return overload


@pytest.mark.usefixtures("busy")
async def test_refused_request_is_told_when_to_come_back(http: httpx2.AsyncClient) -> None:
    for path in ("/graphql", "/api/tasks", "/nothing"):
        response = await http.post(path, json={"query": "{ __typename }"})
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["errors"][0]["extensions"] == {"code": "SERVICE_UNAVAILABLE"}


async def test_probes_are_answered_and_refusals_counted(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Overload, "admit", lambda _: False)
    series = 'tasktalk_http_requests_total{method="PUT",path="other",status="503"}'
    for _ in range(2):
        assert (await http.put("/busy", content=b"{}")).status_code == 503
    metrics = (await http.get("/metrics", headers=METRICS_HEADERS)).text
    assert f"{series} 2\n" in metrics
    assert 'duration_seconds_count{path="other"}' not in metrics
    for path in ("/health", "/ready"):
        assert (await http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("request_bytes", "stays"),
    [
        (REQUEST, True),
        (b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (CLOSING, False),
        (CLOSING + REQUEST, False),
        (CHUNKED + b"1\r\na\r\n0\r\nX: trailer\r\n\r\n", False),
        (post(QUERY, "Expect: 100-continue"), False),
        (post(b" " * 60_000), True),
        (post(b" " * 70_000), False),
    ],
    ids=[
        "post",
        "head",
        "http 1.0",
        "closing",
        "behind a closing one",
        "chunked",
        "expects 100",
        "short body",
        "long body",
    ],
)
@pytest.mark.usefixtures("busy")
async def test_connection_stays_open_where_a_short_body_is_all_that_comes(
    server: RunningServer, request_bytes: bytes, *, stays: bool
) -> None:
    async with connected(server.url) as wire:
        await wire.send(request_bytes[:-1], request_bytes[-1:])
        answer = await _answer(wire, has_body=not request_bytes.startswith(b"HEAD"))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert (b"connection: close" in answer) is not stays
        if stays:
            # Both are read at once, and nothing is left of the first.
            assert b" 503 " in await wire.ask(REQUEST + REQUEST)
            assert b" 503 " in await wire.answer()
        else:
            assert await wire.reader.read() == b""


async def _answer(wire: Wire, *, has_body: bool) -> bytes:
    return await (wire.answer() if has_body else wire.reader.readuntil(b"\r\n\r\n"))


@pytest.mark.usefixtures("busy")
async def test_body_of_a_refused_request_that_does_not_end_is_cut(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT_S", 0.1)
    async with connected(server.url) as wire:
        assert b" 503 " in await wire.ask(REQUEST[:-1])
        assert await wire.reader.read() == b""


@pytest.mark.parametrize(
    ("origin", "is_allowed"), [("http://localhost:5173", True), ("https://evil.example.com", False)]
)
@pytest.mark.usefixtures("busy")
async def test_page_of_an_allowed_origin_may_read_the_refusal(
    http: httpx2.AsyncClient, origin: str, *, is_allowed: bool
) -> None:
    headers = (await http.post("/graphql", headers={"origin": origin})).headers
    assert headers.get("access-control-allow-origin") == (origin if is_allowed else None)
    assert headers.get("access-control-expose-headers") == ("Retry-After" if is_allowed else None)


async def test_refusal_does_not_overtake_the_answer_before_it(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    overload: Overload = server.app.state.overload
    monkeypatch.setattr(overload, "limit", 0)
    admitted = iter([True])
    monkeypatch.setattr(Overload, "admit", lambda _: next(admitted, False))
    async with connected(server.url) as wire:
        await wire.send(REQUEST * 3)
        await until(lambda: overload.waiting)
        monkeypatch.setattr(overload, "limit", 100)
        overload.sample(0, 0, [])
        # What waits behind it is answered too.
        for _ in range(3):
            assert b" 200 OK" in await wire.answer()
        assert b" 503 " in await wire.ask(REQUEST)


async def test_refusals_that_are_not_read_are_not_kept(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Overload, "admit", lambda _: False)
    unsent: list[int] = []
    begin, connect = HttpToolsProtocol.on_message_begin, HttpToolsProtocol.connection_made

    def note(self: HttpToolsProtocol) -> None:
        unsent.append(self.transport.get_write_buffer_size())
        begin(self)

    def connect_narrowly(self: HttpToolsProtocol, transport: asyncio.Transport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        connect(self, transport)

    monkeypatch.setattr(HttpToolsProtocol, "on_message_begin", note)
    monkeypatch.setattr(HttpToolsProtocol, "connection_made", connect_narrowly)
    async with connected(server.url) as wire:
        wire.reader._transport.pause_reading()  # type: ignore[attr-defined] # noqa: SLF001 - there is no other way
        wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        wire.writer.write(REQUEST * 2_000)
        # What does not fit waits as other requests do.
        await until(lambda: unsent)
    assert unsent[0] < 2 * 64 * 1024
