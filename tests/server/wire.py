"""Requests over a socket, byte for byte."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from server.known_heads import known_heads
from tests.waiting import PATIENCE_S


def post(body: bytes, *lines: str) -> bytes:
    """Return a request of the endpoint, with more lines in its head."""
    more = "".join(f"{line}\r\n" for line in lines)
    head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{more}Content-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


BODY = b'{"query": "{ hello }"}'
REQUEST = post(BODY)
HEAD = REQUEST.removesuffix(BODY)
ANSWER = b'{"data":{"hello":"Hello, world!"}}'
CLOSING = post(BODY, "Connection: close")
WAITING = post(b'{"query": "{ wait }"}')


def is_known(request: bytes) -> bool:
    """Tell whether the process knows the request's head."""
    return request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" in known_heads._known  # noqa: SLF001


class Wire:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send the pieces so that the server reads them one by one."""
        for piece in pieces:
            self.writer.write(piece)
            for _ in range(4):
                await asyncio.sleep(0)

    async def answer(self) -> bytes:
        """Return the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        return head + await self.reader.readexactly(int(length[1]))

    async def ask(self, *pieces: bytes) -> bytes:
        """Return the answer to one request."""
        await self.send(*pieces)
        return await self.answer()


def noting(app: FastAPI, seen: list[dict[str, Any]]) -> FastAPI:
    """Return the application, with a note of what it is given of each request."""

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(dict(scope))
        await app(scope, receive, send)

    return cast("FastAPI", note)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Wire]:
    """Connect to a server."""
    where = urlsplit(url)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()


def lasting(answers: bytes) -> bytes:
    """Return what is the same each time."""
    return re.sub(rb"(date|x-request-id): .*\r\n", b"", answers)


async def make_known(wire: Wire, request: bytes) -> bytes:
    """Send it as often as it takes; return the last answer."""
    await wire.ask(request)
    answer = await wire.ask(request)
    assert is_known(request)
    return answer
