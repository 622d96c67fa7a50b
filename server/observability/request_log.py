"""The request log: an id for each request, its line in the log and its place in the metrics, answers to failures."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from enum import StrEnum
from random import getrandbits
from typing import Any, Final

import orjson
import structlog
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import UnavailableError
from core.query_runner import current_statements
from core.workload import Workload, current_workload
from server.http.authentication import client_address
from server.http.errors import Header, masked, refuse_for
from server.http.headers import get_request_headers
from server.http.overload import BUSY, Overload, Progress, current_progress
from server.http.protocol import Refuse, get_is_closing
from server.http.rate_limit import current_headers

_KEY: Final = "tasktalk.record"
# What a probe asks every few seconds is worth no line as long as all is well.
_PROBES: Final = frozenset({"/health", "/ready", "/metrics"})
_WITHOUT_BODY: Final = frozenset({"GET", "HEAD"})
_CLIENT_CLOSED_REQUEST: Final = 499
_UNAVAILABLE: Final = 503
_MAX_PATH_LENGTH: Final = 200
# They keep browsers from guessing types, from framing and from telling others where a person comes from.
SECURITY_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


_EVENT_STREAM: Final = (b"content-type", b"text/event-stream; charset=utf-8")
_BUSY: Final = refuse_for(UnavailableError(BUSY))
_TRY_LATER: Final = JSONResponse({"errors": _BUSY.errors}, _BUSY.status, {"retry-after": "1"})


class OperationOutcome(StrEnum):
    """How a GraphQL operation ended."""

    OK = "ok"
    ERRORS = "errors"
    REFUSED = "refused"


class RequestRecord:
    """One request; its status is 0 until it is answered."""

    status = 0
    user_id: str | None = None
    operation: str | None = None
    outcome: OperationOutcome | None = None

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.statements: list[str] = []
        self.headers: list[Header] = []
        self.began_s = time.perf_counter()


# What is logged on the way of a request carries its id.
current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)


def get_request_record(scope: Scope) -> RequestRecord:
    """Return the record that was begun for the request."""
    record: RequestRecord = scope[_KEY]
    return record


Observe = Callable[[Scope, RequestRecord, int, float], None]
WriteLine = Callable[[dict[str, Any]], None]


def refusing(
    overload: Overload, count: Callable[[str, str, int], None], cross_origin: Callable[[bytes | None], bytes]
) -> Refuse:
    """Return what refuses a request while there are too many, and counts it; there is no line in the log for each."""

    def refuse(method: str, path: str, origin: bytes | None) -> bytes | None:
        if path in _PROBES or overload.admit():
            return None
        count(method, path, _UNAVAILABLE)
        return cross_origin(origin)

    return refuse


class RequestLogMiddleware:
    """Outermost middleware: gives each response its request's id and the security headers, and logs the request."""

    def __init__(self, app: ASGIApp, observe: Observe, write_line: WriteLine, overload: Overload) -> None:
        self._app = app
        self._overload = overload
        self._observe = observe
        self._write_line = write_line
        self._log = structlog.stdlib.get_logger("request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and record how it went; answer an unexpected error with status 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = get_request_headers(scope).sent_id or f"{getrandbits(128):032x}"
        record = scope[_KEY] = RequestRecord(request_id)
        current_request_id.set(request_id)
        current_statements.set(record.statements)
        current_headers.set(record.headers)
        # Until it is known who sent it.
        is_gone, progress = get_is_closing(scope), Progress(self._overload)
        current_progress.set(progress)
        workload = Workload(address=client_address(scope), is_abandoned=is_gone, on_wait=progress.end)
        current_workload.set(workload)
        send = _with_headers(record, send, progress)
        try:
            if scope["method"] in _WITHOUT_BODY and scope["path"] not in _PROBES:
                await progress.turn()
            if not is_gone():
                await self._app(scope, progress.in_turn(receive, is_gone), send)
        except UnavailableError:
            await _TRY_LATER(scope, receive, send)
        except Exception:
            self._log.exception("request failed")
            if record.status:
                raise
            body = orjson.dumps({"errors": masked(request_id).errors})
            await Response(body, 500, media_type="application/json; charset=utf-8")(scope, receive, send)
        finally:
            progress.end()
            self._finish(scope, record)

    def _finish(self, scope: Scope, record: RequestRecord) -> None:
        status = record.status or _CLIENT_CLOSED_REQUEST
        path = scope["path"]
        duration_s = time.perf_counter() - record.began_s
        self._observe(scope, record, status, duration_s)
        if path in _PROBES and status < 400:  # noqa: PLR2004
            return
        self._write_line(
            {
                "method": scope["method"],
                "path": path[:_MAX_PATH_LENGTH],
                "status": status,
                "duration_ms": round(duration_s * 1000, 2),
                "user_id": record.user_id,
                "operation": record.operation,
                "outcome": record.outcome,
                "statements": len(record.statements),
                "request_id": record.request_id,
            }
        )


def _with_headers(record: RequestRecord, send: Send, progress: Progress | None = None) -> Send:
    """Return what sends a response with the request's id and the security headers, and notes its status."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            record.status = int(message["status"])
            headers = message["headers"] = list(message.get("headers", ()))
            if progress is not None and _EVENT_STREAM in headers:
                # It waits for events from now on.
                progress.end()
            present = {name for name, _ in headers}
            headers += [header for header in SECURITY_HEADERS if header[0] not in present]
            headers += record.headers
            headers.append((b"x-request-id", record.request_id.encode()))
        await send(message)

    return send_with_headers
