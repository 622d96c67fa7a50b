"""A client that follows a subscription over sockets, and goes on by its last cursor wherever it is cut off."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.factories import SignedIn
from tests.socket_client import signed_in_socket
from tests.waiting import until

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
_RETRY_S: Final = 0.05
PATIENCE_S: Final = 60


@dataclass(slots=True)
class Follower:
    """Follows one subscription at the addresses in turn; each cut takes it to the next."""

    urls: Sequence[str]
    user: SignedIn
    document: str
    variables: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    # The code with which a socket was closed, if any, or of the error that ended the subscription.
    cuts: list[int | str | None] = field(default_factory=list)
    failure: Exception | None = None

    async def run(self) -> None:
        for url in itertools.cycle(self.urls):
            try:
                self.cuts.append(await self._follow(url))
            except ConnectionClosed as closed:
                self.cuts.append(closed.rcvd.code if closed.rcvd else None)
            except (OSError, InvalidHandshake):
                await asyncio.sleep(_RETRY_S)
            except Exception as error:
                self.failure = error
                raise

    async def _follow(self, url: str) -> str:
        """Take the events of one subscription; return the code of the error that it ends with."""
        async with signed_in_socket(url, self.user.token) as opened:
            await opened.subscribe(self.document, self.variables)
            while True:
                message = json.loads(await opened.connection.recv())
                if message["type"] == "error":
                    code: str = message["payload"][0]["extensions"]["code"]
                    return code
                assert message["type"] == "next", message
                assert "errors" not in message["payload"], message
                (event,) = message["payload"]["data"].values()
                self.events.append(event)
                self.variables["cursor"] = event["cursor"]

    async def until(self, is_enough: Callable[["Follower"], bool]) -> None:
        await until(lambda: self.failure or is_enough(self), PATIENCE_S)
        if self.failure is not None:
            raise self.failure

    async def until_count(self, count: int) -> None:
        await self.until(lambda follower: len(follower.contents) >= count)

    @property
    def contents(self) -> list[str]:
        if self.document == MESSAGES:
            return [event["message"]["content"] for event in self.events]
        return [row["content"] for event in self.events for row in event["changed"] if "content" in row]


@asynccontextmanager
async def following(
    urls: Sequence[str], user: SignedIn, document: str, variables: dict[str, Any]
) -> AsyncIterator[Follower]:
    follower = Follower(urls, user, document, variables)
    running = asyncio.create_task(follower.run())
    try:
        yield follower
        assert not running.done(), running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
