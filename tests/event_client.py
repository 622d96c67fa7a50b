"""A client of server-sent events that shows what came, keep-alives included."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.servers import RunningServer
from tests.waiting import PATIENCE_S


class EventClient:
    """One stream of events."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._blocks = blocks_of(response)

    async def block(self) -> list[str]:
        """Return the lines up to the next empty one; none where the stream has ended."""
        async with asyncio.timeout(PATIENCE_S):
            return await anext(self._blocks, [])

    async def next(self) -> dict[str, Any]:
        name, data = await self.block()
        assert name == "event: next"
        result: dict[str, Any] = json.loads(data.removeprefix("data: "))
        return result

    async def data(self) -> dict[str, Any]:
        """Return the data of the next result, which must have no errors."""
        result = await self.next()
        assert "errors" not in result, result
        data: dict[str, Any] = result["data"]
        return data

    async def codes(self) -> list[str]:
        """Return the codes of the next result, which must have errors alone."""
        result = await self.next()
        assert result.keys() == {"errors"}, result
        return [error["extensions"]["code"] for error in result["errors"]]

    async def complete(self) -> None:
        """Expect the word that there is no more, and the end."""
        assert await self.block() == ["event: complete", "data:"]
        await self.end()

    async def end(self) -> None:
        assert await self.block() == []


async def blocks_of(response: httpx2.Response) -> AsyncIterator[list[str]]:
    """Yield the lines of each event, and of each comment."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            yield block.decode().split("\n")
    assert rest == b"", "cut off in the middle of an event"


@asynccontextmanager
async def open_events(
    server: RunningServer,
    query: str,
    variables: dict[str, Any] | None = None,
    *,
    token: str | None = None,
    method: str = "POST",
    accept_encoding: str = "identity",
) -> AsyncIterator[EventClient]:
    """Send an operation whose results are to come as events."""
    headers = {"Accept": "text/event-stream", "Accept-Encoding": accept_encoding}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = {"query": query, "variables": variables}
    sent: dict[str, Any] = {"json": body}
    if method == "GET":
        sent = {"params": {"query": query, "variables": json.dumps(variables)}}
    async with (
        httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as client,
        client.stream(method, "/graphql", headers=headers, **sent) as response,
    ):
        events = EventClient(response)
        if response.status_code == httpx2.codes.OK:
            assert await events.block() == [":"], "an answer begins at once, whatever is to come"
        yield events
