"""Structured logs: a line of JSON for each event in production, readable lines in development."""

import logging
import select
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from threading import RLock
from typing import Any, Final

import orjson
import structlog
from structlog.typing import EventDict, Processor

from core.settings import Settings
from server.observability.request_log import WriteLine, current_request_id

_LEVEL: Final = logging.INFO


def _add_request_id(_logger: Any, _name: str, event: EventDict) -> EventDict:
    if (request_id := current_request_id.get()) is not None:
        event.setdefault("request_id", request_id)
    return event


_SHARED: Final[tuple[Processor, ...]] = (
    _add_request_id,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logs(settings: Settings) -> None:
    """Set up our own loggers, for the whole process."""
    structlog.configure(
        processors=[*_SHARED, *_rendering(is_production=settings.is_production)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVEL),
        logger_factory=lambda *_names: _output,
        cache_logger_on_first_use=True,
    )


def request_lines(settings: Settings) -> WriteLine:
    """Return what writes the line of a request."""
    # structlog's processors would cost more than many a request.
    if settings.is_production:
        return _write_request
    # Bound now, to the configuration of this application.
    log = structlog.stdlib.get_logger("request").bind()
    return lambda fields: log.info("request", **fields)


def _write_request(fields: dict[str, Any]) -> None:
    fields |= {"event": "request", "level": "info", "timestamp": datetime.now(UTC)}
    _output.write(orjson.dumps(fields, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))


def log_config(settings: Settings) -> dict[str, Any]:
    """Return what `logging.config` needs so that the loggers of uvicorn and of the libraries write such lines too."""
    formatter = {"()": "server.observability.logs.make_formatter", "is_production": settings.is_production}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"structured": formatter},
        "filters": {"quiet": {"()": "server.observability.logs.make_filter"}},
        "handlers": {
            "output": {
                "class": "logging.StreamHandler",
                "formatter": "structured",
                "filters": ["quiet"],
                "stream": "ext://sys.stdout",
            }
        },
        # uvicorn's own line for a request would repeat ours, with the query string; it is off where uvicorn starts.
        "root": {"handlers": ["output"], "level": _LEVEL},
        "loggers": {
            # The SDK logs for each request that it ends a session, which there was none of.
            "mcp": {"level": logging.WARNING},
        },
    }


def make_filter() -> Callable[[logging.LogRecord], bool]:
    """Return the filter that leaves out uvicorn's line for a socket's handshake, which has its query string."""
    return lambda record: record.levelno > logging.INFO or record.module != "websockets_sansio_impl"


def make_formatter(*, is_production: bool) -> logging.Formatter:
    """Return the formatter of lines that do not come from structlog."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_rendering(is_production=is_production),
        ],
    )


class Output:
    """Writer of log lines to the current standard output, for structlog."""

    def __init__(self) -> None:
        self._lock = RLock()

    def msg(self, line: str) -> None:
        """Write a line of any level."""
        self.write(f"{line}\n".encode(errors="backslashreplace"))

    def write(self, line: bytes) -> None:
        """Write a line whole, from whichever thread."""
        rest = memoryview(line)
        with self._lock:
            while rest:
                rest = rest[_write(rest) :]

    debug = info = warning = error = critical = exception = msg


def _write(line: memoryview) -> int:
    """Write past the buffer, which would lose bytes where a pipe is full; return the number of bytes written."""
    try:
        sys.stdout.flush()
        written: int | None = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer).write(line)
    except BlockingIOError:
        written = None
    if written is None:
        # A non-blocking pipe that is full; wait until there is room.
        select.select([], [sys.stdout], [])
    return written or 0


_output: Final = Output()


def _rendering(*, is_production: bool) -> list[Processor]:
    if is_production:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_serialize)]
    plain = structlog.dev.plain_traceback
    console = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain, sort_keys=False)
    return [_drop_none, console]


def _drop_none(_logger: Any, _name: str, event: EventDict) -> EventDict:
    return {key: value for key, value in event.items() if value is not None}


def _serialize(event: dict[str, Any], **_options: Any) -> str:
    return orjson.dumps(event, default=str).decode()
