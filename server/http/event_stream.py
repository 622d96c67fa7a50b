"""Server-sent events: a response that stays open, with keep-alives, expiry and a send timeout."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.clock import call_at
from core.query_runner import current_statements
from core.settings import Settings
from server.http.connections import ConnectionRegistry
from server.http.disconnect import wait_for_disconnect
from server.http.errors import REPLACED_BY_NEWER, SESSION_OVER, TOKEN_EXPIRED, FormattedError
from server.http.protocol import get_abort, get_close
from services.accounts.caller import Caller

KEEP_ALIVE_EVERY_S: Final = 12.0
_KEEP_ALIVE: Final = b":\n\n"
# So that clients which connect again by themselves do not end each other's streams without end.
_RETRY_LATER: Final = b"retry: 60000\n"
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class EventStream(Response, ABC):
    """A response that stays open, registered from the start; subclasses produce its events."""

    def __init__(self, caller: Caller | None, settings: Settings, connections: ConnectionRegistry) -> None:
        super().__init__()
        self.caller = caller
        self._settings = settings
        self._connections = connections
        self._is_shutting_down = False
        self._ended = asyncio.Event()
        self.final_bytes = b""
        connections.add(self)

    @abstractmethod
    async def send_events(self) -> None:
        """Send the events until there are no more."""

    @abstractmethod
    def format_final_error(self, error: FormattedError) -> bytes:
        """Return the event that ends the stream with an error."""

    def end_session(self) -> None:
        """End it: the session is over."""
        self._end_with(SESSION_OVER)

    def close_for_newer(self) -> bool:
        """End it: nothing that a client does shows that it still reads."""
        self._end_with(REPLACED_BY_NEWER)
        self.final_bytes = _RETRY_LATER + self.final_bytes
        return True

    def _end_with(self, error: FormattedError) -> None:
        self.final_bytes = self.format_final_error(error)
        self._ended.set()

    def close_for_shutdown(self) -> None:
        """End it without a completion event, and its connection, so that the client connects to another process."""
        self._is_shutting_down = True
        self._ended.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream to its end, and unregister it."""
        try:
            await self._serve(scope, receive, send)
        finally:
            self._connections.remove(self)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the last one, a disconnect, the end of the session or a shutdown."""
        self._asgi_send, self._cut = send, get_abort(scope)
        # A new list for each: middleware appends to it.
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        # A proxy may hold the response back until it has a first byte.
        await send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})
        # The statements of a stream are unbounded and are not counted for its log line.
        current_statements.set(None)
        ends = [self.send_events(), self._keep_alive(), wait_for_disconnect(receive), self._until_ended()]
        tasks = [asyncio.create_task(end) for end in ends]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(OSError, RuntimeError):
            await self.send(self.final_bytes, more=False)
        if self._is_shutting_down:
            get_close(scope)()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_EVERY_S)
            await self.send(_KEEP_ALIVE)

    async def _until_ended(self) -> None:
        if self.caller is None:
            await self._ended.wait()
            return
        timer = call_at(self.caller.expires_at, lambda: self._end_with(TOKEN_EXPIRED))
        try:
            await self._ended.wait()
        finally:
            timer.cancel()

    async def send(self, body: bytes, *, more: bool = True) -> None:
        """Send a piece; cut off a client that does not read it in time."""
        try:
            async with asyncio.timeout(self._settings.socket_send_timeout_s):
                await self._asgi_send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError:
            # The client may resume by its last cursor.
            self._cut()
            raise
