"""Connections before their request is read: how long its head may take, and how large it may be."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from server import connection
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
    monkeypatch.setattr(connection, "MOST_HEAD_BYTES", 3 * len(LONG))
    async with connected(door, beginning) as (reader, writer):
        for _ in range(4):
            writer.write(LONG)
        assert await reader.readline() == b"HTTP/1.1 400 Bad Request\r\n"
