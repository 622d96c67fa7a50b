"""A client that follows a subscription over sockets, and goes on by its last cursor wherever it is cut off."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.factories import SignedIn

MESSAGES: Final = """
subscription ($conversation: ID!, $cursor: String) {
  messageAdded(conversationId: $conversation, after: $cursor) { message { id content createdAt } cursor }
}
"""
CHANGES: Final = """
subscription ($cursor: String) {
  changes(since: $cursor) { changed { id ... on Task { title } ... on Message { content } } deletedIds cursor hasMore }
}
"""
_PROTOCOL: Final = Subprotocol("graphql-transport-ws")
_RETRY_S: Final = 0.05
PATIENCE_S: Final = 60


class OperationEndedError(Exception):
    """The server has ended a subscription; the message is the code of its error."""


@asynccontextmanager
async def opened_socket(
    url: str, user: SignedIn, connection: socket.socket | None = None
) -> AsyncIterator[ClientConnection]:
    """Open a socket as the user, over a connection that there is already, or over one of its own."""
    address = f"ws{url.removeprefix('http')}/graphql"
    options: dict[str, Any] = {} if connection is None else {"sock": connection}
    opening = connect(address, subprotocols=[_PROTOCOL], compression=None, open_timeout=PATIENCE_S, **options)
    async with opening as opened:
        await opened.send(json.dumps({"type": "connection_init", "payload": user.headers}))
        assert json.loads(await opened.recv()) == {"type": "connection_ack"}
        yield opened


async def execute(opened: ClientConnection, document: str, variables: dict[str, Any]) -> Any:
    """Run a query or mutation over a socket on which nothing else runs."""
    await subscribe(opened, document, variables)
    result, end = json.loads(await opened.recv()), json.loads(await opened.recv())
    assert (result["type"], end["type"]) == ("next", "complete")
    assert "errors" not in result["payload"], result
    return result["payload"]["data"]


async def subscribe(opened: ClientConnection, document: str, variables: dict[str, Any]) -> None:
    """Begin an operation."""
    payload = {"query": document, "variables": variables}
    await opened.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))


async def events_of(
    url: str, user: SignedIn, document: str, variables: dict[str, Any], connection: socket.socket | None
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what one subscription over one socket brings, until the socket is closed."""
    async with opened_socket(url, user, connection) as opened:
        await subscribe(opened, document, variables)
        while True:
            message = json.loads(await opened.recv())
            if message["type"] == "error":
                raise OperationEndedError(message["payload"][0]["extensions"]["code"])
            assert message["type"] == "next", message
            assert "errors" not in message["payload"], message
            ((event),) = message["payload"]["data"].values()
            yield event


@dataclass(slots=True)
class Follower:
    """Follows one subscription at the addresses in turn; each cut takes it to the next."""

    urls: Sequence[str]
    user: SignedIn
    document: str
    variables: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    cuts: list[int | str | None] = field(default_factory=list)
    first_connection: socket.socket | None = None
    _failure: Exception | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            for url in itertools.cycle(self.urls):
                await self._stay_while_open(url)
        except Exception as error:
            self._failure = error
            await self._tell()
            raise

    async def _stay_while_open(self, url: str) -> None:
        try:
            await self._stay(url)
        except ConnectionClosed as closed:
            self.cuts.append(closed.rcvd.code if closed.rcvd else None)
            await self._tell()
        except OperationEndedError as ended:
            self.cuts.append(str(ended))
            await self._tell()
        except (OSError, InvalidHandshake):
            await asyncio.sleep(_RETRY_S)

    async def _stay(self, url: str) -> None:
        connection, self.first_connection = self.first_connection, None
        async with aclosing(events_of(url, self.user, self.document, self.variables, connection)) as events:
            async for event in events:
                self.events.append(event)
                self.variables["cursor"] = event["cursor"]
                await self._tell()

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, is_enough: Callable[["Follower"], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait until what has come is enough."""
        async with asyncio.timeout(patience_s), self._news:
            await self._news.wait_for(lambda: self._failure or is_enough(self))
        if self._failure is not None:
            raise self._failure

    @property
    def contents(self) -> list[str]:
        """Return what the messages say, as they came."""
        if self.document == MESSAGES:
            return [event["message"]["content"] for event in self.events]
        return [row["content"] for event in self.events for row in event["changed"] if "content" in row]

    async def until_count(self, count: int, patience_s: float = PATIENCE_S) -> None:
        """Wait until that many messages have come."""
        await self.until(lambda follower: len(follower.contents) >= count, patience_s)


@asynccontextmanager
async def following(
    urls: Sequence[str],
    user: SignedIn,
    document: str,
    variables: dict[str, Any],
    connection: socket.socket | None = None,
) -> AsyncIterator[Follower]:
    """Follow a subscription while the block runs."""
    follower = Follower(urls, user, document, variables, first_connection=connection)
    running = asyncio.create_task(follower.run())
    try:
        yield follower
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
