"""Gives each request its id, its line in the log and its place in the metrics; no failure leaves it unanswered."""

import time
from typing import Final

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.errors import masked_message
from server.logs import WriteLine
from server.metrics import Metrics
from server.request_record import RequestRecord, start_record

# What a probe asks every few seconds is worth no line as long as all is well.
_PROBES: Final = frozenset({"/health", "/ready", "/metrics"})
_CLIENT_CLOSED_REQUEST: Final = 499
_LONGEST_PATH: Final = 200


class RequestLog:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, metrics: Metrics, write_line: WriteLine) -> None:
        self._app = app
        self._metrics = metrics
        self._write_line = write_line
        self._log = structlog.stdlib.get_logger("request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and record how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        record = start_record(scope)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = int(message["status"])
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", record.request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            self._log.exception("request failed")
            if record.status:
                raise
            await _send_failure(send_with_id, record.request_id)
        finally:
            record.status = record.status or _CLIENT_CLOSED_REQUEST
            self._finish(scope, record, time.perf_counter() - began)

    def _finish(self, scope: Scope, record: RequestRecord, duration_s: float) -> None:
        statements = len(record.statements)
        self._metrics.observe(scope, record, duration_s, statements)
        path = scope["path"]
        if path in _PROBES and record.status < 400:  # noqa: PLR2004
            return
        self._write_line(
            {
                "method": scope["method"],
                "path": path[:_LONGEST_PATH],
                "status": record.status,
                "duration_ms": round(duration_s * 1000, 2),
                "user_id": record.user_id,
                "operation": record.operation,
                "outcome": record.outcome,
                "statements": statements,
            }
        )


async def _send_failure(send: Send, request_id: str) -> None:
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    body = orjson.dumps({"errors": [{"message": masked_message(request_id), "extensions": extensions}]})
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
