"""Connections before their request is read: how long its head may take, and how large it may be."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from server import connection
from server.app import create_app
from tests.server.sample import Happenings, sample_settings, schema
from tests.servers import serve
from tests.waiting import PATIENCE_S

HALF: bytes = b"GET /health HTTP/1.1\r\nHost: x\r\n"
LONG: bytes = b"a" * 100_000


@asynccontextmanager
async def connected(
    door: httpx.AsyncClient, beginning: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect; the beginning is there before the server takes the connection, however short the time it allows."""
    opened = socket.create_connection((door.base_url.host, door.base_url.port or 80))
    opened.sendall(beginning)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(sock=opened)
        yield reader, writer
        writer.transport.abort()


async def ends(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("beginning", [b"", b"GE", HALF, HALF + b"\r\n"])
async def test_who_leaves_a_head_unfinished_is_cut_off(
    door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    async with connected(door, beginning) as (reader, writer):
        if beginning.endswith(b"\r\n\r\n"):
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK\r\n")
            # Stray bytes between requests are the beginning of nothing.
            writer.write(b"\r\n")
        assert await ends(reader)


async def test_a_request_that_runs_longer_than_a_head_may_take(
    door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n"
    async with connected(door, head) as (reader, writer):
        await asyncio.sleep(0.5)
        writer.write(b'{"query":"{"}')
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("beginning", [HALF + b"X-Long: ", b"GET /graphql?query="])
async def test_a_head_is_bounded(door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    monkeypatch.setattr(connection, "MAX_HEAD_BYTES", 3 * len(LONG))
    async with connected(door, beginning) as (reader, writer):
        for _ in range(4):
            writer.write(LONG)
        assert await reader.readline() == b"HTTP/1.1 400 Bad Request\r\n"


def post(query: str) -> bytes:
    body = f'{{"query": "{query}"}}'.encode()
    head = "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head.encode() % len(body) + body


@pytest.fixture
async def brisk_door(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a server that keeps idle connections for no more than a second."""
    async with (
        serve(create_app(sample_settings(tmp_path), schema), keep_alive_s=1) as running,
        httpx.AsyncClient(base_url=running.url) as client,
    ):
        yield client


@pytest.mark.parametrize("request_", [post("{ hello }"), HALF + b"\r\n"], ids=["direct", "through the layers"])
async def test_who_leaves_a_connection_idle_is_hung_up_on(brisk_door: httpx.AsyncClient, request_: bytes) -> None:
    async with connected(brisk_door, request_) as (reader, writer):
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.write(request_)
        assert (await reader.read()).count(b"HTTP/1.1 200 OK\r\n") == 1


async def test_a_connection_in_use_is_kept(brisk_door: httpx.AsyncClient, happenings: Happenings) -> None:
    async with connected(brisk_door, post("{ hello }")) as (using, writer):
        await using.readuntil(b'world!"}}')
        writer.write(post("{ wait }"))
        await happenings.began.wait()
        async with connected(brisk_door, post("{ hello }")) as (idle, _):
            assert (await idle.read()).endswith(b'world!"}}')
        happenings.may_end.set()
        assert b'"done"' in await using.readuntil(b"}}")
        assert (await using.read()).count(b"HTTP/1.1") == 0


async def test_a_connection_that_is_used_again_and_again_is_kept(brisk_door: httpx.AsyncClient) -> None:
    async with (
        connected(brisk_door, post("{ hello }")) as (using, writer),
        connected(brisk_door, post("{ hello }")) as (idle, _),
    ):
        await idle.readuntil(b"world!")
        await using.readuntil(b'world!"}}')
        ended = asyncio.ensure_future(ends(idle))
        while not ended.done():
            writer.write(post("{ hello }"))
            await using.readuntil(b'world!"}}')
        assert await using.read() == b""


async def test_no_body_is_taken_for_a_request_behind_an_upgrade_that_is_not_made(door: httpx.AsyncClient) -> None:
    body = post("{ hello }")
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n"
    async with connected(door, head % len(body)) as (reader, writer):
        assert b"\r\nconnection: close\r\n" in await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        assert b"HTTP/1.1 " not in await reader.read()
