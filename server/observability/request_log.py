"""The request log: an id for each request, its line in the log and its place in the metrics, answers to failures."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Final

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.query_runner import current_statements
from core.workload import start_workload
from server.http.errors import masked
from server.http.headers import RequestHeaders, get_request_headers

_KEY: Final = "tasktalk.record"
_ID_LENGTH: Final = 32
_IDS_AT_ONCE: Final = 64


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
        self.began_s = time.perf_counter()


# What is logged on the way of a request carries its id.
current_request_id: ContextVar[str | None] = ContextVar("current_request_id", default=None)


def start_request_record(scope: Scope, headers: RequestHeaders) -> RequestRecord:
    """Begin the record of a request, under the id that its sender gave it where that is a sane one."""
    record = scope[_KEY] = RequestRecord(headers.sent_id or next(_random_ids))
    current_request_id.set(record.request_id)
    current_statements.set(record.statements)
    # Until it is known who sent it.
    start_workload(address=(scope.get("client") or ("",))[0])
    return record


def get_request_record(scope: Scope) -> RequestRecord:
    """Return the record that was begun for the request."""
    record: RequestRecord = scope[_KEY]
    return record


def _make_random_ids() -> Iterator[str]:
    """Give one id after the other; asking the kernel for each would cost more than the rest of its record."""
    while True:
        digits = secrets.token_hex(_IDS_AT_ONCE * _ID_LENGTH // 2)
        for start in range(0, len(digits), _ID_LENGTH):
            yield digits[start : start + _ID_LENGTH]


_random_ids: Final = _make_random_ids()


# What a probe asks every few seconds is worth no line as long as all is well.
_PROBES: Final = frozenset({"/health", "/ready", "/metrics"})
_CLIENT_CLOSED_REQUEST: Final = 499
_MAX_PATH_LENGTH: Final = 200
# They keep browsers from guessing types, from framing and from telling others where a person comes from.
SECURITY_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


Observe = Callable[[Scope, RequestRecord, int, float], None]
WriteLine = Callable[[dict[str, Any]], None]


class RequestLog:
    """Where requests are recorded when they end."""

    def __init__(self, observe: Observe, write_line: WriteLine) -> None:
        self._observe = observe
        self._write_line = write_line
        self._log = structlog.stdlib.get_logger("request")

    def finish(self, scope: Scope, record: RequestRecord) -> None:
        """Record how a request went that has ended."""
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

    async def answer_failure(self, error: Exception, record: RequestRecord, send: Send) -> None:
        """Log an unexpected error and answer with status 500; raise it if a response has begun."""
        self._log.error("request failed", exc_info=error)
        if record.status:
            raise error
        await _send_failure(_with_headers(record, send), record.request_id)


class RequestLogMiddleware:
    """Outermost middleware: gives each response its request's id and the security headers, and logs the request."""

    def __init__(self, app: ASGIApp, log: RequestLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and record how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = start_request_record(scope, get_request_headers(scope))
        try:
            await self._app(scope, receive, _with_headers(record, send))
        except Exception as error:  # noqa: BLE001 - any error is answered
            await self._log.answer_failure(error, record, send)
        finally:
            self._log.finish(scope, record)


def _with_headers(record: RequestRecord, send: Send) -> Send:
    """Return what sends a response with the request's id and the security headers, and notes its status."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            record.status = int(message["status"])
            headers = message["headers"] = list(message.get("headers", ()))
            present = {name for name, _ in headers}
            headers += [header for header in SECURITY_HEADERS if header[0] not in present]
            headers.append((b"x-request-id", record.request_id.encode()))
        await send(message)

    return send_with_headers


async def _send_failure(send: Send, request_id: str) -> None:
    body = orjson.dumps({"errors": masked(request_id).errors})
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
