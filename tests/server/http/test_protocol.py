"""HTTP connections: bounds on request heads, pipelining, upgrades that are not made."""

import asyncio
from contextlib import suppress

import pytest
from httpx2 import AsyncClient

from server.http import protocol as connection
from tests.server.sample import Happenings
from tests.server.wire import ANSWER, BODY, CLOSING, HEAD, REQUEST, WAITING, Wire, connected, post

HALF: bytes = b"GET /health HTTP/1.1\r\nHost: x\r\n"
LONG: bytes = b"a" * 100_000


@pytest.mark.parametrize("beginning", [b"", b"GE", HALF, HALF + b"\r\n"])
async def test_unfinished_head_is_disconnected_after_the_timeout(
    api: AsyncClient, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    async with connected(str(api.base_url), beginning) as wire:
        if beginning.endswith(b"\r\n\r\n"):
            assert (await wire.reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK\r\n")
            # Stray bytes between requests are the beginning of nothing.
            await wire.send(b"\r\n")
        with suppress(ConnectionResetError):
            assert await wire.reader.read(1) == b""


async def test_request_may_run_longer_than_the_head_timeout(api: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    async with connected(str(api.base_url), HEAD) as wire:
        await asyncio.sleep(0.5)
        assert (await wire.ask(BODY)).endswith(ANSWER)


@pytest.mark.parametrize("beginning", [HALF + b"X-Long: ", b"GET /graphql?query="])
async def test_large_head_is_refused(api: AsyncClient, monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    monkeypatch.setattr(connection, "MAX_HEAD_BYTES", 3 * len(LONG))
    async with connected(str(api.base_url), beginning) as wire:
        await wire.send(*[LONG] * 4)
        assert await wire.reader.readline() == b"HTTP/1.1 400 Bad Request\r\n"


async def test_body_behind_an_unsupported_upgrade_is_not_parsed_as_a_request(wire: Wire) -> None:
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n"
    await wire.send(head % len(REQUEST))
    assert b"\r\nconnection: close\r\n" in await wire.reader.readuntil(b"\r\n\r\n")
    await wire.send(REQUEST)
    assert b"HTTP/1.1 " not in await wire.reader.read()


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    requests = [post(f'{{"query": "{{ hello(name: \\"{n}\\") }}"}}'.encode()) for n in range(3)]
    await wire.send(b"".join(requests) + CLOSING)
    answers = await wire.reader.read()
    places = [answers.index(f"Hello, {n}!".encode()) for n in range(3)]
    assert places == sorted(places)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert answers.endswith(ANSWER)


@pytest.mark.parametrize("behind", [b"", REQUEST, REQUEST + REQUEST])
async def test_disconnect_cancels_the_running_query(wire: Wire, happenings: Happenings, behind: bytes) -> None:
    await wire.send(WAITING + behind)
    await happenings.began.wait()
    wire.writer.transport.abort()
    await happenings.over.wait()
    assert happenings.ended == ["cancelled"]


@pytest.mark.parametrize("size", [1, 7, 100])
async def test_requests_may_arrive_in_pieces(wire: Wire, size: int) -> None:
    sent = REQUEST + CLOSING
    await wire.send(*(sent[start : start + size] for start in range(0, len(sent), size)))
    assert (await wire.reader.read()).count(ANSWER) == 2


async def test_expect_100_continue_is_answered_before_the_body(wire: Wire) -> None:
    head, _, body = CLOSING.partition(b"\r\n\r\n")
    await wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(body)
    assert (await wire.reader.read()).endswith(ANSWER)
