"""A way to the server that can be cut and mended, as networks are."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from tests.ports import free_port
from tests.waiting import until


class Cuttable:
    """Forwards connections from a port of its own to the server."""

    def __init__(self, server_url: str) -> None:
        self._target = urlsplit(server_url)
        self._port = free_port()
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def turn_to(self, server_url: str) -> None:
        self._target = urlsplit(server_url)

    async def mend(self) -> None:
        """Let connections through, at the same port as before."""
        self._listener = await asyncio.start_server(self._forward, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """End every connection without a word, and refuse new ones."""
        if self._listener is not None:
            self._listener.close()
        for end in self._ends:
            end.transport.abort()
        await until(lambda: not self._ends)

    async def _forward(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(self._target.hostname, self._target.port)
        ends = {to_client, to_server}
        self._ends |= ends
        await asyncio.gather(_copy(from_client, to_server), _copy(from_server, to_client))
        self._ends -= ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    # Whoever hangs up hangs up on the other as well.
    writer.transport.abort()
