"""A small server that speaks the provider's streaming protocol from a script."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.servers import serve


class Text(NamedTuple):
    pieces: Sequence[str]


class UseTool(NamedTuple):
    name: str
    arguments: dict[str, Any] | str
    call_id: str


class Refuse(NamedTuple):
    status: int


class Stall:
    """Says nothing more, until the test lets it go on."""


class Cut:
    """Breaks the connection off."""


class Raw(NamedTuple):
    """Sends something just as it is, and nothing else."""

    pieces: Iterable[str]


Step = Text | UseTool | Refuse | Stall | Cut | Raw


@dataclass
class Provider:
    """What the script says, one answer for each request, and what was asked."""

    url: str = ""
    answers: list[Sequence[Step]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    open_streams: int = 0

    def reset(self) -> None:
        self.answers, self.requests, self.go_on = [], [], asyncio.Event()

    def end(self) -> None:
        """Let stalled answers go on, and give no further one."""
        self.answers = []
        self.go_on.set()

    def script(self, *answers: Sequence[Step]) -> None:
        self.answers += answers

    async def complete(self, request: Request) -> Response:
        self.requests.append(json.loads(await request.body()))
        steps = self.answers.pop(0) if self.answers else [Refuse(401)]
        if isinstance(steps[0], Refuse):
            return JSONResponse({"error": {"message": "scripted", "type": "scripted"}}, steps[0].status)
        return StreamingResponse(self._counted(steps), media_type="text/event-stream")

    async def _counted(self, steps: Sequence[Step]) -> AsyncIterator[str]:
        self.open_streams += 1
        try:
            stream = _as_it_is(steps[0]) if isinstance(steps[0], Raw) else self._stream(steps)
            async for sent in stream:
                yield sent
        finally:
            self.open_streams -= 1

    async def _stream(self, steps: Sequence[Step]) -> AsyncIterator[str]:
        calls = 0
        for step in steps:
            match step:
                case Text(pieces):
                    for piece in pieces:
                        yield chunk({"content": piece})
                case UseTool(name, arguments, call_id):
                    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
                    call = {"index": calls, "id": call_id, "type": "function"}
                    yield chunk({"tool_calls": [call | {"function": {"name": name, "arguments": ""}}]})
                    # In two halves, as providers send them.
                    for half in (text[: len(text) // 2], text[len(text) // 2 :]):
                        yield chunk({"tool_calls": [{"index": calls, "function": {"arguments": half}}]})
                    calls += 1
                case Stall():
                    await self.go_on.wait()
                case Cut():
                    raise ConnectionResetError("scripted")
                case Refuse() | Raw():
                    raise AssertionError("an answer that has begun cannot be another")
        yield chunk({}, finish_reason="tool_calls" if calls else "stop")
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        yield event({"choices": [], "usage": usage})
        yield "data: [DONE]\n\n"


async def _as_it_is(raw: Raw) -> AsyncIterator[str]:
    for piece in raw.pieces:
        yield piece
        await asyncio.sleep(0)


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> str:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})


def event(content: dict[str, Any]) -> str:
    whole = {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "scripted"} | content
    return f"data: {json.dumps(whole)}\n\n"


@asynccontextmanager
async def serve_provider() -> AsyncIterator[Provider]:
    provider = Provider()
    app = FastAPI()
    app.router.routes.append(Route("/v1/chat/completions", provider.complete, methods=["POST"]))
    async with serve(app) as server:
        provider.url = f"{server.url}/v1"
        try:
            yield provider
        finally:
            provider.end()
