"""Health endpoints: whether the process is alive, and whether it can serve."""

import asyncio
import time
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import migrations
from core.database import Database
from core.settings import Settings
from core.workload import current_workload
from migrations.followed_table import is_as_set

_TIMEOUT_S: Final = 3.0
_KEPT_S: Final = 1.0

_log = structlog.stdlib.get_logger("health")


async def health(_request: Request) -> Response:
    """Answer /health: the process lives."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """Answer /ready: the database answers, takes writes, and its migrations are current."""
    state = request.app.state
    is_stopping = state.connections.is_shutting_down
    problem = "The server is shutting down." if is_stopping else await state.readiness.problem()
    if problem is None:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "not ready", "reason": problem}, status_code=503)


class Readiness:
    """Whether the database can serve; looked up at most once a second, however many ask."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._lock = asyncio.Lock()
        self._looked_s = float("-inf")
        self._problem: str | None = None

    async def problem(self) -> str | None:
        """Return why it cannot, or None."""
        async with self._lock:
            if time.monotonic() - self._looked_s >= _KEPT_S:
                self._problem = await self._look()
                self._looked_s = time.monotonic()
            return self._problem

    async def warn(self) -> None:
        """Log the reason why /ready would fail, if there is one."""
        if (problem := await self.problem()) is not None:
            _log.warning("not ready", reason=problem)

    async def _look(self) -> str | None:
        # It waits behind no user's work.
        current_workload.set(None)
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._database.pool.permit():
                current = await migrations.current_revision(self._database.engine)
                is_following = await is_as_set(self._database.engine, self._settings)
        except Exception as error:  # noqa: BLE001 - any failure means that the database does not answer
            _log.warning("database does not answer", error=type(error).__name__)
            return "The database does not answer."
        expected = migrations.head_revision()
        # A newer database is one that the next release, which is being deployed, has migrated: this one runs on it.
        if current is None or current < expected:
            found = current or "none"
            return f"The database is at migration {found}, the code expects {expected}; run `tasktalk migrate`."
        if not is_following:
            return "Users do not follow the table in BETTER_AUTH_TABLE yet; run `tasktalk migrate`."
        return self._database.write_problem
