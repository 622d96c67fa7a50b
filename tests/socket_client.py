"""A client of graphql-transport-ws that sends whatever a test wants to see answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from tests.servers import RunningServer
from tests.waiting import PATIENCE_S

PROTOCOL: Final = "graphql-transport-ws"


class SocketClient:
    """One socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: object) -> None:
        """Send a message as JSON, or any text or bytes just as they are."""
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def init(self, token: str | None = None) -> None:
        """Initialise the connection, which must be acknowledged."""
        payload = None if token is None else {"Authorization": f"Bearer {token}"}
        await self.send({"type": "connection_init", "payload": payload})
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, variables: dict[str, Any] | None = None, operation_id: str = "1") -> None:
        payload = {"query": query, "variables": variables}
        await self.send({"type": "subscribe", "id": operation_id, "payload": payload})

    async def complete(self, operation_id: str = "1") -> None:
        await self.send({"type": "complete", "id": operation_id})

    async def next(self, operation_id: str = "1") -> dict[str, Any]:
        message = await self.receive()
        assert (message["type"], message["id"]) == ("next", operation_id), message
        payload: dict[str, Any] = message["payload"]
        return payload

    async def data(self, operation_id: str = "1") -> dict[str, Any]:
        """Return the data of the next result, which must have no errors."""
        payload = await self.next(operation_id)
        assert "errors" not in payload, payload
        data: dict[str, Any] = payload["data"]
        return data

    async def result(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what an operation that has one result gives."""
        await self.subscribe(query, variables, "once")
        payload = await self.next("once")
        assert await self.receive() == {"type": "complete", "id": "once"}
        return payload

    async def codes(self, operation_id: str = "1") -> list[str]:
        """Return the codes of the errors that an operation ends with."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("error", operation_id), message
        return [error["extensions"]["code"] for error in message["payload"]]

    async def round_trip(self) -> None:
        """Return when everything sent before has been read, and nothing has been answered."""
        await self.send({"type": "ping"})
        assert await self.receive() == {"type": "pong"}

    async def closing(self) -> tuple[int, str]:
        """Return the code and the reason of the server's closing, before which there must be nothing."""
        with pytest.raises(ConnectionClosed) as raised:
            async with asyncio.timeout(PATIENCE_S):
                await self.connection.recv()
        assert raised.value.rcvd is not None, "the connection was cut"
        return raised.value.rcvd.code, raised.value.rcvd.reason


@asynccontextmanager
async def open_socket(
    server: RunningServer | str,
    *,
    headers: Mapping[str, str] | None = None,
    origin: str | None = None,
    subprotocols: Sequence[str] = (PROTOCOL,),
    **options: Any,
) -> AsyncIterator[SocketClient]:
    """Open a socket to the server, or to that of the URL; nothing is sent on it yet."""
    url = server if isinstance(server, str) else server.url
    async with connect(
        url.replace("http", "ws", 1) + "/graphql",
        subprotocols=[Subprotocol(each) for each in subprotocols] or None,
        additional_headers=headers,
        origin=None if origin is None else Origin(origin),
        proxy=None,
        open_timeout=PATIENCE_S,
        close_timeout=PATIENCE_S,
        max_size=None,
        **options,
    ) as connection:
        yield SocketClient(connection)


@asynccontextmanager
async def signed_in_socket(server: RunningServer | str, token: str | None) -> AsyncIterator[SocketClient]:
    async with open_socket(server) as socket:
        await socket.init(token)
        yield socket
