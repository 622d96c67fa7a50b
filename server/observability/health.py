"""Health endpoints: whether the process is alive, and whether it can serve."""

import asyncio
from functools import cache
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import migrations
from core.database import Database

_TIMEOUT_S: Final = 3.0

# Alembic reads every migration's file for it, and probes come every few seconds.
_expected_revision: Final = cache(migrations.head_revision)

_log = structlog.stdlib.get_logger("health")


async def health(_request: Request) -> Response:
    """Answer /health: the process lives."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Answer /ready: the database answers and its migrations are current."""
    state = request.app.state
    is_stopping = state.connections.is_shutting_down
    problem = "The server is shutting down." if is_stopping else await _problem(state.runtime.database)
    if problem is None:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "not ready", "reason": problem}, status_code=503)


async def warn_where_not_ready(database: Database) -> None:
    """Log the reason why /ready would fail, at the start."""
    if (problem := await _problem(database)) is not None:
        _log.warning("not ready", reason=problem)


async def _problem(database: Database) -> str | None:
    try:
        async with asyncio.timeout(_TIMEOUT_S), database.pool.permit():
            current = await migrations.current_revision(database.engine)
    except Exception as error:  # noqa: BLE001 - any failure means that the database does not answer
        _log.warning("database does not answer", error=type(error).__name__)
        return "The database does not answer."
    expected = _expected_revision()
    if current == expected:
        return None
    return f"The database is at migration {current or 'none'}, the code expects {expected}; run `tasktalk migrate`."
