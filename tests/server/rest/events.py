"""A client of the answers that come as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx2

from tests.event_client import blocks_of
from tests.server.rest.client import RestClient
from tests.waiting import PATIENCE_S


@dataclass
class ChatEvents:
    status: int
    blocks: AsyncIterator[list[str]]
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def first(self) -> dict[str, Any]:
        return self.seen[0]

    @property
    def last(self) -> dict[str, Any]:
        return self.seen[-1]

    @property
    def text(self) -> str:
        """Return the pieces that have come, which must follow each other."""
        pieces = [event["data"] for event in self.seen if event["event"] == "text"]
        for piece, following in pairwise(pieces):
            assert following["offset"] == piece["offset"] + len(piece["delta"])
        return "".join(piece["delta"] for piece in pieces)

    async def next(self) -> dict[str, Any] | None:
        async with asyncio.timeout(PATIENCE_S):
            async for lines in self.blocks:
                parts = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
                if parts:
                    event: dict[str, Any] = parts | {"data": json.loads(parts["data"])}
                    self.seen.append(event)
                    return event
        return None

    async def until(self, name: str) -> None:
        """Read up to the first event of a name; an answer without events has none."""
        while (event := await self.next()) is not None:
            if event["event"] == name:
                return
        assert self.status == httpx2.codes.NO_CONTENT, f"the stream ended before {name}: {self.seen}"


@asynccontextmanager
async def events_of(
    client: RestClient, path: str = "", *, body: Any = None, last: str | None = None
) -> AsyncIterator[ChatEvents]:
    """Ask, or follow the answer that the path names, from the last event that came on."""
    headers = {**(client.user.headers if client.user else {})} | ({} if last is None else {"Last-Event-ID": last})
    method = "GET" if body is None else "POST"
    async with client.http.stream(method, f"/api/chat/stream{path}", json=body, headers=headers) as response:
        yield ChatEvents(response.status_code, blocks_of(response))
