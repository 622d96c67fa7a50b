"""uvicorn's HTTP protocol with bounded request heads, on connections that the application can end."""

from asyncio import TimerHandle
from asyncio.transports import Transport
from collections.abc import Callable
from typing import Final, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_TIMEOUT_S: Final = 30.0
# So large that a token of a megabyte is still answered with 401.
MAX_HEAD_BYTES: Final = 4 * 1024 * 1024
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_ABORT: Final = "tasktalk.abort"
_CLOSE: Final = "tasktalk.close"


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP protocol for uvicorn's `http` setting.

    By itself uvicorn waits for ever for a client that does not read, or that never ends its request line and headers,
    and keeps as much of them as is sent.
    """

    _head_bytes = 0
    _head_timer: TimerHandle | None = None
    _cycles: tuple[RequestResponseCycle, ...] = ()

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Put what ends the connection into the state of each request."""
        self.app_state = {**self.app_state, _ABORT: transport.abort, _CLOSE: transport.close}
        super().connection_made(transport)
        self._bound_head(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Mark each request as disconnected; uvicorn marks the last one, which may wait behind the one that runs."""
        self._stop_head_timer()
        super().connection_lost(exc)
        for cycle in self._cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse the data; refuse a head that is too large, and disconnect a client that leaves it unfinished."""
        super().data_received(data)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_within_head = cycle is None or cycle.scope is not self.scope
        if cycle is not None and not is_within_head and not cycle.response_complete:
            self._stop_head_timer()
        elif self.transport.get_protocol() is self:
            # What comes after a response may be the rest of a body that was refused.
            self._bound_head(len(data) if is_within_head else 0)

    def on_headers_complete(self) -> None:
        """Close the connection after an upgrade that is not made: its body would be parsed as another request."""
        previous = self.cycle
        super().on_headers_complete()
        if self.cycle is not previous:
            self._cycles = (*(cycle for cycle in self._cycles if not cycle.response_complete), self.cycle)
            if self.parser.should_upgrade():
                self.cycle.keep_alive = False

    def handle_websocket_upgrade(self) -> None:
        """Make the connection a WebSocket, and refuse a handshake that is too large for one."""
        super().handle_websocket_upgrade()
        self._stop_head_timer()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, WebSocketsSansIOProtocol) and not protocol.handshake_initiated:
            # uvicorn does not send the refusal, and leaves the client waiting for it.
            self.transport.write(b"".join(protocol.conn.data_to_send()) or _TOO_LARGE)
            self.transport.close()

    def _bound_head(self, received_bytes: int) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)
        self._head_bytes += received_bytes
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request line and the headers are too large.")

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def get_close(scope: Scope) -> Callable[[], None]:
    """Return what closes the connection once all is sent, so that the client's next request makes another."""
    close: Callable[[], None] = scope.get("state", {}).get(_CLOSE, lambda: None)
    return close


def get_abort(scope: Scope) -> Callable[[], None]:
    """Return what ends the connection at once, unsent bytes included; nothing under another server than uvicorn."""
    abort: Callable[[], None] = scope.get("state", {}).get(_ABORT, lambda: None)
    return abort
