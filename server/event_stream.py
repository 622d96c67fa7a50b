"""Server-sent events: one operation a request, its results as they come (graphql-sse, distinct connections)."""

import asyncio
from contextlib import aclosing, suppress
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send

from core.clock import utc_now
from core.statements import current_statements
from graph.context import Context
from server.connection import cut_of, hang_up_of
from server.errors import FormattedError, RefusedError, session_over, token_expired
from server.request_body import GraphQLRequest
from server.streaming import Streaming
from services.caller import Caller

KEEP_ALIVE_EVERY_S: Final = 12.0
_KEEP_ALIVE: Final = b":\n\n"
_COMPLETE: Final = b"event: complete\ndata:\n\n"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class EventStream:
    """One open answer."""

    def __init__(
        self, context: Context, request: GraphQLRequest, streaming: Streaming, scope: Scope, send: Send
    ) -> None:
        self._context = context
        self._request = request
        self._streaming = streaming
        self._asgi_send = send
        self._cut, self._hang_up = cut_of(scope), hang_up_of(scope)
        self._is_leaving = False
        self._ended = asyncio.Event()
        self._last_words = b""

    @property
    def caller(self) -> Caller | None:
        """Return whose stream it is."""
        return self._context.caller

    def sign_out(self) -> None:
        """End it: the session is over."""
        self._end_with(session_over())

    def _end_with(self, error: FormattedError) -> None:
        self._last_words = _event({"errors": [error]}) + _COMPLETE
        self._ended.set()

    def go_away(self) -> None:
        """End it without a word of completion, and its connection, so that the client makes another elsewhere."""
        self._is_leaving = True
        self._ended.set()

    async def serve(self, receive: Receive) -> None:
        """Send the results until they, the client, the session or the server come to an end."""
        # Made anew for each: the layers around the application add headers of their own to it.
        await self._asgi_send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        # A proxy may hold the answer back until there is something of it.
        await self._asgi_send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})
        ends = [self._send_results(), self._keep_alive(), _until_gone(receive), self._until_ended()]
        tasks = [asyncio.create_task(end) for end in ends]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(OSError, RuntimeError):
            await self._send(self._last_words, more=False)
        if self._is_leaving:
            self._hang_up()

    async def _send_results(self) -> None:
        # A stream's statements have no end, and need not be counted for its line in the log.
        current_statements.set(None)
        try:
            async with aclosing(self._streaming.results(self._request, self._context)) as results:
                async for result in results:
                    await self._send(_event(result))
        except RefusedError as refusal:
            await self._send(_event({"errors": list(refusal.errors)}))
        self._last_words = _COMPLETE

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_EVERY_S)
            await self._send(_KEEP_ALIVE)

    async def _until_ended(self) -> None:
        if self.caller is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout((self.caller.expires_at - utc_now()).total_seconds()):
                    await self._ended.wait()
                return
            self._end_with(token_expired())
        await self._ended.wait()

    async def _send(self, body: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(self._streaming.settings.socket_send_timeout_s):
                await self._asgi_send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            # It does not read; it may come back and go on by its last cursor.
            self._cut()
            raise


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(result: dict[str, Any]) -> bytes:
    return b"event: next\ndata: " + orjson.dumps(result) + b"\n\n"
