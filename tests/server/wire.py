"""Requests over a socket, byte for byte."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

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


class Wire:
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
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None, head
        return head + await self.reader.readexactly(int(length[1]))

    async def ask(self, *pieces: bytes) -> bytes:
        await self.send(*pieces)
        return await self.answer()


@asynccontextmanager
async def connected(url: str, beginning: bytes = b"") -> AsyncIterator[Wire]:
    """Connect to a server, which finds the beginning already sent when it accepts the connection."""
    where = urlsplit(url)
    opened = socket.create_connection((where.hostname, where.port))
    opened.sendall(beginning)
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(sock=opened)
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()
