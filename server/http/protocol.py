"""uvicorn's protocols with bounds: on connections, request heads, and answers that are not read."""

import socket
from asyncio import TimerHandle
from asyncio.transports import Transport
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import orjson
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from server.http.connection_limits import ConnectionLimits, address_of
from server.http.overload import BUSY
from server.http.socket_protocol import CountedWebSocketProtocol

HEAD_TIMEOUT_S: Final = 30.0
# How long a client may take to read some more of an answer, and a refused one to read its refusal.
WRITE_TIMEOUT_S: Final = 20.0
_LEAST_PROGRESS_BYTES: Final = 16 * 1024
LINGER_S: Final = 2.0
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 100
_MAX_TRAILER_BYTES: Final = 8 * 1024
_AUTHORIZATION: Final = b"authorization:"
_ABORT: Final = "tasktalk.abort"
_CLOSE: Final = "tasktalk.close"
_CONNECTION_CLOSE: Final = b"connection: close\r\n"
_IS_CLOSING: Final = "tasktalk.is_closing"
# A longer body of a request that is refused unread is not waited for; its connection closes.
_MAX_DROPPED_BYTES: Final = 64 * 1024
# The key of the lifespan's state of what refuses a request, by method, path and origin, while the server is too busy:
# it returns lines for the head of the answer, or None where the request is to be answered.
REFUSE: Final = "tasktalk.refuse"
Refuse = Callable[[str, str, bytes | None], bytes | None]


class _Refusal(Exception):  # noqa: N818 - it is raised out of the parser's callbacks and never seen
    """What the answer to a head that is refused says."""

    def __init__(self, status: str, message: str, code: str = "BAD_USER_INPUT", *more: str) -> None:
        super().__init__(message)
        body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]}).decode()
        lines = (f"HTTP/1.1 {status}", "content-type: application/json; charset=utf-8", *more)
        self.head = "\r\n".join((*lines, f"content-length: {len(body)}", "")).encode()
        self.body = b"\r\n" + body.encode()
        self.response = self.head + _CONNECTION_CLOSE + self.body


_TOO_LARGE: Final = _Refusal("431 Request Header Fields Too Large", "The request line and the headers are too large.")
_TOKEN_TOO_LARGE: Final = _Refusal(
    "401 Unauthorized",
    "The access token is not valid.",
    "UNAUTHENTICATED",
    'www-authenticate: Bearer error="invalid_token"',
)
_HOST: Final = _Refusal("400 Bad Request", "The request must have one Host header.")
_TWO_TOKENS: Final = _Refusal("400 Bad Request", "The request has more than one Authorization header.")
_MALFORMED: Final = _Refusal("400 Bad Request", "The request is no valid HTTP.")
_TOO_MANY: Final = _Refusal(
    "503 Service Unavailable", "Too many connections are open.", "SERVICE_UNAVAILABLE", "retry-after: 5"
)
_BUSY: Final = _Refusal(
    "503 Service Unavailable",
    BUSY,
    "SERVICE_UNAVAILABLE",
    "retry-after: 1",
    "x-content-type-options: nosniff",
)


def notice_lost_clients(listener: socket.socket) -> None:
    """Let connections end where a client acknowledges nothing for as long as it may not read; Linux can do it.

    By itself a system tries for a quarter of an hour to reach a client whose network is gone.
    """
    if (option := getattr(socket, "TCP_USER_TIMEOUT", None)) is not None:
        # Connections take it over from their listener.
        listener.setsockopt(socket.IPPROTO_TCP, option, round(WRITE_TIMEOUT_S * 1000))


class BoundedHttpProtocol(HttpToolsProtocol):
    """HTTP protocol for uvicorn's `http` setting.

    By itself uvicorn waits for ever for a client that does not read, or that never ends its request line and headers,
    keeps as much of them as is sent, and takes the trailers of a chunked body for headers.
    """

    _head_bytes = 0
    _head_timer: TimerHandle | None = None
    _write_timer: TimerHandle | None = None
    _is_in_head = False
    # Whether a request was completed by the data that has come last.
    _has_completed = False
    _line_bytes = 0
    # What has come since the head, or since the last piece of the body.
    _bodiless_bytes = 0
    _line_start = b""
    _refusal: _Refusal | None = None
    # Whether the request was refused unread, so that its body is dropped, and whether the connection closes behind it.
    _is_dropped = False
    _closes = False
    _is_admitted = False
    _cycles: tuple[RequestResponseCycle, ...] = ()

    def __init__(self, *, limits: ConnectionLimits, **state: Any) -> None:
        super().__init__(**state)
        self._limits = limits

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Refuse a connection too many; put what ends the connection into the state of each request."""
        ends = {_ABORT: transport.abort, _CLOSE: transport.close, _IS_CLOSING: transport.is_closing}
        self.app_state = {**self.app_state, **ends}
        super().connection_made(transport)
        self._is_admitted = self._limits.admit(address_of(transport))
        if self._is_admitted:
            self._bound_head(0)
        else:
            self._refuse(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Mark each request as disconnected; uvicorn marks the last one, which may wait behind the one that runs."""
        self._stop_head_timer()
        self._stop_write_timer()
        if self._is_admitted:
            self._limits.release(address_of(self.transport))
        super().connection_lost(exc)
        for cycle in self._cycles:
            if not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse the data; refuse a head that is too large, and disconnect a client that leaves it unfinished."""
        if self._refusal is not None:
            # Read and dropped until the client has read why; bounded by the time that it has for that.
            return
        self._bodiless_bytes += len(data)
        self._has_completed = False
        super().data_received(data)
        if self._bodiless_bytes > MAX_HEAD_BYTES and not self._is_in_head:
            # Trailers, or extensions of a chunk, which come without an end.
            self.transport.abort()
            return
        if self._is_dropped:
            return
        cycle = cast("RequestResponseCycle | None", self.cycle)
        is_within_head = cycle is None or self._is_in_head
        if cycle is not None and not is_within_head and not cycle.response_complete:
            self._stop_head_timer()
        elif self.transport.get_protocol() is self and self._refusal is None:
            # What comes after a response may be the rest of a body that was refused.
            # What comes in one piece with the end of a request is mostly that request.
            self._bound_head(len(data) if is_within_head and not self._has_completed else 0)
            self._line_start = (self._line_start + data).rpartition(b"\n")[2][: len(_AUTHORIZATION)]
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_TOKEN_TOO_LARGE if self._line_start.lower() == _AUTHORIZATION else _TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin to read and to count a head; there is no scope before it is whole."""
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._is_in_head, self._line_bytes, self._is_dropped = True, 0, False

    def on_url(self, url: bytes) -> None:
        """Bound the request line."""
        if self._is_too_large(len(url)):
            raise self._note(_TOO_LARGE)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the headers; drop trailers, which nothing here asks for."""
        if self._is_too_large(len(name) + len(value)):
            raise self._note(_TOKEN_TOO_LARGE if name.lower() == b"authorization" else _TOO_LARGE)
        if self._is_in_head:
            super().on_header(name, value)
            if len(self.headers) > MAX_HEADERS:
                raise self._note(_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Check the head; close the connection after an upgrade that is not made: its body would be parsed as one."""
        self._is_in_head, self._line_bytes, self._bodiless_bytes = False, 0, 0
        names = [name for name, _ in self.headers]
        if names.count(b"host") != 1 and (b"host" in names or self.parser.get_http_version() != "1.0"):
            raise self._note(_HOST)
        if names.count(b"authorization") > 1:
            raise self._note(_TWO_TOKENS)
        previous = self.cycle
        if self.parser.should_upgrade() and self._should_upgrade() and self._unanswered():
            # Its protocol would take the connection from the requests that are in progress.
            raise self._note(_MALFORMED)
        if self._drop_if_busy():
            return
        self._make_scope()
        super().on_headers_complete()
        if self.cycle is not previous:
            self._cycles = (*self._unanswered(), self.cycle)
            if self.parser.should_upgrade():
                self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Note that the body goes on."""
        self._bodiless_bytes = 0
        if not self._is_dropped:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Go on with the next request after one that was refused unread."""
        self._has_completed = True
        if not self._is_dropped:
            super().on_message_complete()
            return
        self._stop_head_timer()
        if self._closes:
            self.transport.close()
        self.on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is replaced
        """Refuse what cannot be parsed, or what a callback has refused."""
        self._refuse(self._refusal or _MALFORMED)

    def handle_websocket_upgrade(self) -> None:
        """Make the connection a WebSocket, and refuse a handshake that is too large for one."""
        super().handle_websocket_upgrade()
        self._stop_head_timer()
        protocol = self.transport.get_protocol()
        if isinstance(protocol, CountedWebSocketProtocol) and not protocol.handshake_initiated:
            # uvicorn does not send the refusal, and leaves the client waiting for it.
            self.transport.write(b"".join(protocol.conn.data_to_send()) or _TOO_LARGE.response)
            self.transport.close()

    def pause_writing(self) -> None:
        """Disconnect a client that reads nothing for too long."""
        super().pause_writing()
        self._watch_writing(self._unsent_bytes())

    def resume_writing(self) -> None:
        """Go on, since the client reads."""
        if not self.transport.is_closing():
            self._stop_write_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Go on with the next request; where the connection closes, disconnect a client that does not read the rest."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch_closing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even if its last answer is not read."""
        super().timeout_keep_alive_handler()
        self._watch_closing()

    def _make_scope(self) -> None:
        url, headers, is_continued = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, is_continued
        self.headers += headers

    def _drop_if_busy(self) -> bool:
        """Refuse a request by its head alone, at a fraction of the cost of one, where the server is too busy for it.

        Behind requests that are in progress, or answers that are not read, it waits as others do.
        """
        if self._closes:
            # It has said so; what comes behind is read no more.
            self._is_dropped = True
            return True
        refuse: Refuse | None = self.app_state.get(REFUSE)
        if refuse is None or self.parser.should_upgrade() or self.flow.write_paused or self._unanswered():
            return False
        method, headers = self.parser.get_method(), dict(self.headers)
        path = self.url.partition(b"?")[0]
        more = refuse(method.decode("ascii"), path.decode("ascii"), headers.get(b"origin"))
        if more is None:
            return False
        is_short = b"transfer-encoding" not in headers and int(headers.get(b"content-length", 0)) <= _MAX_DROPPED_BYTES
        is_kept_alive = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        self._is_dropped = True
        self._closes = not (is_short and is_kept_alive) or self.expect_100_continue
        self._stop_head_timer()
        closing = _CONNECTION_CLOSE if self._closes else b""
        self.transport.write(_BUSY.head + more + closing + (b"\r\n" if method == b"HEAD" else _BUSY.body))
        self._head_timer = self.loop.call_later(LINGER_S if self._closes else HEAD_TIMEOUT_S, self.transport.abort)
        return True

    def _note(self, refusal: _Refusal) -> _Refusal:
        """Keep the refusal that a callback raises, for the parser raises an error of its own."""
        self._refusal = refusal
        return refusal

    def _is_too_large(self, length: int) -> bool:
        """Count a line, and tell whether it is too much of the head, or of the trailers."""
        self._line_bytes += length
        return self._line_bytes > (MAX_HEAD_BYTES if self._is_in_head else _MAX_TRAILER_BYTES)

    def _refuse(self, refusal: _Refusal) -> None:
        """Answer, and go on reading for a moment: closed with bytes unread, the client would not get the answer.

        Behind requests that are in progress there is no answer: the connection closes after theirs.
        """
        self._refusal = refusal
        self._stop_head_timer()
        if complete := [cycle for cycle in self._unanswered() if not cycle.more_body]:
            complete[-1].keep_alive = False
            return
        self.transport.write(refusal.response)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.abort)

    def _unanswered(self) -> tuple[RequestResponseCycle, ...]:
        return tuple(cycle for cycle in self._cycles if not cycle.response_complete)

    def _watch_closing(self) -> None:
        self._stop_write_timer()
        self._watch_writing(self._unsent_bytes())

    def _watch_writing(self, before_bytes: int) -> None:
        def check() -> None:
            now_bytes = self._unsent_bytes()
            if now_bytes > before_bytes - _LEAST_PROGRESS_BYTES:
                self.transport.abort()
            else:
                self._watch_writing(now_bytes)

        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, check)

    def _unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _bound_head(self, received_bytes: int) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self.transport.abort)
        self._head_bytes += received_bytes

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def bounded_protocols(limits: ConnectionLimits) -> dict[str, Any]:
    """Return uvicorn's settings `http` and `ws`."""
    return {
        "http": partial(BoundedHttpProtocol, limits=limits),
        "ws": partial(CountedWebSocketProtocol, limits=limits),
    }


def get_close(scope: Scope) -> Callable[[], None]:
    """Return what closes the connection once all is sent, so that the client's next request makes another."""
    close: Callable[[], None] = scope.get("state", {}).get(_CLOSE, lambda: None)
    return close


def get_abort(scope: Scope) -> Callable[[], None]:
    """Return what ends the connection at once, unsent bytes included; nothing under another server than uvicorn."""
    abort: Callable[[], None] = scope.get("state", {}).get(_ABORT, lambda: None)
    return abort


def get_is_closing(scope: Scope) -> Callable[[], bool]:
    """Return what tells whether the connection is closed, by its client or here."""
    is_closing: Callable[[], bool] = scope.get("state", {}).get(_IS_CLOSING, lambda: False)
    return is_closing
