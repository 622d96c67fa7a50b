"""uvicorn's connections, mended: heads are bounded, they can be cut off, and no socket's handshake stays unanswered."""

from asyncio import TimerHandle
from asyncio.transports import Transport
from collections.abc import Callable
from typing import Final, cast

from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HEAD_TIMEOUT_S: Final = 30.0
# So large that a token of a megabyte is still told that it is none.
MOST_HEAD_BYTES: Final = 4 * 1024 * 1024
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_CUT: Final = "cut"
_HANG_UP: Final = "hang_up"
# Where a request keeps its connection.
CONNECTION: Final = "tasktalk.connection"


class Connection(HttpToolsProtocol):
    """A connection that lets the application cut it off, as long as it speaks HTTP and when it has become a socket.

    By itself uvicorn would wait for ever for a client that does not read, or that never ends its request line and
    headers, and would keep as much of them as is sent.
    """

    _head_bytes = 0
    _head_timer: TimerHandle | None = None
    _idle_since_s: float | None = None
    _idle_timer: TimerHandle | None = None
    _default_headers: list[tuple[bytes, bytes]] | None = None
    _lines = b""
    _running: RequestResponseCycle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Keep in the state of each request how to end its connection."""
        self.app_state = {**self.app_state, _CUT: transport.abort, _HANG_UP: transport.close}
        super().connection_made(transport)
        self._bound_head(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._stop_head_timer()
        self._stop_idle_timer()
        super().connection_lost(exc)
        # uvicorn tells only the request that was sent last, which may still wait for its turn.
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Read on; refuse a head that grows beyond its bound, and cut off a client that leaves it unfinished."""
        self._idle_since_s = None
        super().data_received(data)
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_begun = cycle is None or cycle.scope is not self.scope
        if cycle is not None and not is_begun and not cycle.response_complete:
            self._stop_head_timer()
        elif self.transport.get_protocol() is self:
            # What comes after an answer may be the rest of a body that was refused.
            self._bound_head(len(data) if is_begun else 0)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        """Keep the connection in the request's scope."""
        super().on_message_begin()
        cast("Scope", self.scope)[CONNECTION] = self

    def _unsupported_upgrade_warning(self) -> None:
        """End the connection with the answer: the parser would take the request's body for another request."""
        super()._unsupported_upgrade_warning()
        self.cycle.keep_alive = False

    def _bound_head(self, received_bytes: int) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)
        self._head_bytes += received_bytes
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request line and the headers are too large.")

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_response_complete(self) -> None:
        """Begin with the request that came meanwhile, or wait for one, but not longer than clients may be idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since_s = self.loop.time()
        # uvicorn would set a timer after each answer, and cancel it at the next request.
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since_s is None:
            return
        left_s = self._idle_since_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._idle_timer = self.loop.call_later(left_s, self._end_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def take_body(self, scope: Scope) -> bytes | None:
        """Return the request's body where all of it is there; None where it has to be waited for."""
        cycle = self.cycle
        if cycle.scope is not scope or cycle.more_body or cycle.disconnected:
            return None
        # Whoever receives is told of an empty rest.
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def write_answer(self, scope: Scope, status: int, headers: bytes, body: bytes) -> bool:
        """Write a whole answer at once; return whether that was possible, otherwise it is still to be sent."""
        cycle = self.cycle
        is_next = cycle.scope is scope and cycle.keep_alive and not cycle.response_started and not cycle.disconnected
        if not is_next or self.flow.write_paused:
            return False
        # uvicorn makes the list anew each second, for the date.
        if self._default_headers is not self.server_state.default_headers:
            self._default_headers = self.server_state.default_headers
            self._lines = b"".join(b"%b: %b\r\n" % header for header in self._default_headers)
        self.transport.write(b"".join((STATUS_LINE[status], self._lines, headers, body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        cycle.on_response()
        return True

    def handle_websocket_upgrade(self) -> None:
        """Make the connection a socket, and answer a handshake that is too large to be one."""
        super().handle_websocket_upgrade()
        self._stop_head_timer()
        self._stop_idle_timer()
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


def take_body(scope: Scope) -> bytes | None:
    """Return the request's body where all of it is there; None where it has to be received."""
    connection: Connection | None = scope.get(CONNECTION)
    return None if connection is None else connection.take_body(scope)


def write_answer(scope: Scope, status: int, headers: bytes, body: bytes) -> bool:
    """Write a whole answer at once, `headers` as they go over the wire; return whether that was possible."""
    connection: Connection | None = scope.get(CONNECTION)
    return connection is not None and connection.write_answer(scope, status, headers, body)
