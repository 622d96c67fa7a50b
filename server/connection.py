"""uvicorn's connections, mended: heads are bounded, they can be cut off, and no socket's handshake stays unanswered."""

from asyncio import TimerHandle
from asyncio.transports import Transport
from collections.abc import Callable
from typing import Final, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_TIMEOUT_S: Final = 30.0
# So large that a token of a megabyte is still told that it is none.
MOST_HEAD_BYTES: Final = 4 * 1024 * 1024
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_CUT: Final = "cut"
_HANG_UP: Final = "hang_up"


class Connection(HttpToolsProtocol):
    """A connection that lets the application cut it off, as long as it speaks HTTP and when it has become a socket.

    By itself uvicorn would wait for ever for a client that does not read, or that never ends its request line and
    headers, and would keep as much of them as is sent.
    """

    _head_bytes = 0
    _head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Keep in the state of each request how to end its connection."""
        self.app_state = {**self.app_state, _CUT: transport.abort, _HANG_UP: transport.close}
        super().connection_made(transport)
        self._bound_head(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; refuse a head that grows beyond its bound, and cut off a client that leaves it unfinished."""
        super().data_received(data)
        if self.transport.get_protocol() is self:
            self._bound_head(len(data))

    def _bound_head(self, received_bytes: int) -> None:
        # uvicorn's annotation leaves out that there is none before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_begun = cycle is None or cycle.scope is not self.scope
        if cycle is not None and not is_begun and not cycle.response_complete:
            self._stop_head_timer()
            return
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)
        # What comes after an answer may be the rest of a body that was refused.
        self._head_bytes += received_bytes if is_begun else 0
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request line and the headers are too large.")

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def handle_websocket_upgrade(self) -> None:
        """Make the connection a socket, and answer a handshake that is too large to be one."""
        super().handle_websocket_upgrade()
        self._stop_head_timer()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, WebSocketsSansIOProtocol) and not protocol.handshake_initiated:
            # Where the refusal is ready, uvicorn would leave the client waiting for it.
            self.transport.write(b"".join(protocol.conn.data_to_send()) or _TOO_LARGE)
            self.transport.close()


def hang_up_of(scope: Scope) -> Callable[[], None]:
    """Return what ends the connection once all is sent, so that the client's next request makes another."""
    hang_up: Callable[[], None] = scope.get("state", {}).get(_HANG_UP, lambda: None)
    return hang_up


def cut_of(scope: Scope) -> Callable[[], None]:
    """Return what ends the connection at once, whatever is still to be sent; nothing where another server runs us."""
    cut: Callable[[], None] = scope.get("state", {}).get(_CUT, lambda: None)
    return cut
