"""The assistant of one process: starts runs, executes them apart from requests, and ends those that have died."""

import asyncio
import gc
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from core.database import Database
from core.errors import TasktalkError
from core.settings import Settings
from core.tasks import run_to_completion, start_task
from live.live import Live
from models import Run, RunStatus
from services.accounts.caller import Caller
from services.query.lookup import require
from services.runs import run as runs
from services.runs.progress import RunKey, expired_runs, fail_expired, renew_leases
from services.runs.run import OFFLINE_MODEL, RunLimits, StartedRun, UserMessage

if TYPE_CHECKING:
    from assistant.execution import RunDependencies, RunExecution

DIED: Final = "The reply was cut off on our side. Ask again."
# How soon it is noticed that a run was cancelled in another process.
_RENEW_EVERY_S: Final = 0.5
_SWEEPS_PER_LEASE: Final = 4
_EXECUTION: Final = "assistant.execution"
_LOAD_AFTER_S: Final = 3.0
_MAX_STEP_S: Final = 5.0

_log = logging.getLogger(__name__)


class Assistant:
    """Answers messages; a run goes on when the client that started it has left."""

    def __init__(self, database: Database, settings: Settings, live: Live) -> None:
        self._database = database
        self._settings = settings
        self._live = live
        self._model_name = model_name(settings)
        self._lease = timedelta(seconds=settings.run_lease_s)
        self._slots = asyncio.Semaphore(settings.assistant_max_runs)
        self._dependencies: RunDependencies | None = None
        self._executions: dict[RunKey, RunExecution] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._jobs: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()

    def start(self) -> None:
        """Start renewing the leases of this process's runs, and ending runs whose lease has expired."""
        sweep_s = self._settings.run_lease_s / _SWEEPS_PER_LEASE
        self._jobs = [
            asyncio.create_task(_repeat(self._renew_leases, _RENEW_EVERY_S, self._closing)),
            asyncio.create_task(_repeat(self._fail_expired, sweep_s, self._closing)),
        ]
        start_task(_load_later(), self._tasks)

    async def close(self) -> None:
        """Stop; runs that are not over by now fail, and say so."""
        # A statement cut off in the middle could hold the lock that the runs' ends wait for.
        self._closing.set()
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=_MAX_STEP_S)
        ending = [*self._tasks, *self._jobs]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        if self._dependencies is not None:
            await self._dependencies.models.close()

    async def send_message(self, caller: Caller, message: UserMessage) -> StartedRun:
        """Store a message and start to answer it."""
        return await self._start(caller, partial(runs.start_run, caller=caller, new=message))

    async def regenerate_reply(self, caller: Caller, message_id: str, idempotency_key: str | None) -> StartedRun:
        """Start to answer a message anew."""
        work = partial(runs.regenerate_reply, caller=caller, message_id=message_id, idempotency_key=idempotency_key)
        return await self._start(caller, work)

    async def cancel(self, caller: Caller, run_id: str) -> Run:
        """End a run; in another process it stops within a second, and can change nothing from now on."""
        run = await self._database.write(partial(runs.cancel_run, caller=caller, run_id=run_id))
        if (execution := self._executions.get((caller.user_id, run.id))) is not None:
            execution.stop()
        return run

    async def resolve_tool_call(self, caller: Caller, tool_call_id: str, *, approve: bool) -> Run:
        """Approve or reject a tool call, and go on once all are decided."""
        work = partial(
            runs.resolve_tool_call, caller=caller, tool_call_id=tool_call_id, limits=self._limits(), approve=approve
        )

        async def resolve() -> Run:
            run = await self._database.write(work)
            if run.status is RunStatus.RUNNING:
                self._execute_in_background(caller.user_id, run.id)
            return run

        return await run_to_completion(resolve(), self._tasks)

    async def wait_for_run(self, caller: Caller, run_id: str) -> Run:
        """Return a run once it has ended or waits for approval, whichever process executes it."""
        with self._live.hub.waiting(caller.user_id) as waiter:
            while True:
                async with self._database.read() as session:
                    run = await require(session, caller, Run, run_id, ("input", "id"))
                if run.status not in {RunStatus.QUEUED, RunStatus.RUNNING}:
                    return run
                await waiter.wait()

    async def _start(self, caller: Caller, work: partial[Coroutine[Any, Any, StartedRun]]) -> StartedRun:
        work = partial(work, limits=self._limits())

        async def start() -> StartedRun:
            started = await self._database.write(work)
            if started.is_new:
                self._execute_in_background(caller.user_id, started.run.id)
            return started

        return await run_to_completion(start(), self._tasks)

    def _limits(self) -> RunLimits:
        return RunLimits(
            self._model_name,
            self._lease,
            self._settings.assistant_daily_tokens,
            self._settings.assistant_max_runs_per_user,
            starts_at_once=not self._slots.locked(),
        )

    def _execute_in_background(self, user_id: str, run_id: str) -> None:
        start_task(self._execute((user_id, run_id)), self._tasks)

    async def _execute(self, key: RunKey) -> None:
        user_id, run_id = key
        module = await _load()
        if self._dependencies is None:
            models = module.Models(self._settings, self._model_name)
            self._dependencies = module.RunDependencies(self._database, self._settings, self._live.replies, models)
        execution = module.RunExecution(self._dependencies, _owner(user_id), run_id)
        self._executions[key] = execution
        try:
            await execution.run(self._slots)
        finally:
            # A paused run may have gone on in the meantime, by another execution.
            if self._executions.get(key) is execution:
                del self._executions[key]

    async def _renew_leases(self) -> None:
        """Renew the leases of this process's runs, and stop those that have ended elsewhere."""
        if not self._executions:
            return
        executions = dict(self._executions)
        alive = await self._database.write(partial(renew_leases, runs=list(executions), lease=self._lease))
        for key, execution in executions.items():
            if key not in alive:
                execution.stop()

    async def _fail_expired(self) -> None:
        async with self._database.read() as session:
            expired = await expired_runs(session)
        for row in expired:
            # Where this process itself was held up, its runs go on.
            if (row.user_id, row.id) not in self._executions:
                work = partial(fail_expired, caller=_owner(row.user_id), run_id=row.id, error=DIED)
                await self._database.write(work)


def model_name(settings: Settings) -> str:
    """Return which model answers: a provider's, or the offline model where none is set up."""
    return settings.assistant_model if settings.has_provider else OFFLINE_MODEL


def _owner(user_id: str) -> Caller:
    """Return the caller that a run acts for, even after the token that started it has expired."""
    return Caller(user_id, None, is_admin=False, expires_at=datetime.max.replace(tzinfo=UTC))


async def _repeat(step: Callable[[], Awaitable[None]], every_s: float, closing: asyncio.Event) -> None:
    """Repeat a step until closing, without interrupting it."""
    is_failing = False
    while not closing.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await closing.wait()
                return
        try:
            await step()
            is_failing = False
        except Exception as error:  # noqa: BLE001 - the next attempt may find the database again
            # Logged once, not twice a second.
            if not is_failing:
                is_expected = isinstance(error, TasktalkError)
                _log.warning("The runs cannot be looked after: %s", error, exc_info=not is_expected)
            is_failing = True


async def _load_later() -> None:
    """Load what the first run needs in advance, but not while the server starts."""
    await asyncio.sleep(_LOAD_AFTER_S)
    await _load()


async def _load() -> Any:
    """Load the SDK in a thread, since it takes a second or two."""
    is_new = _EXECUTION not in sys.modules
    # A module that another thread is loading is in sys.modules already: this waits for it.
    module = await asyncio.to_thread(importlib.import_module, _EXECUTION)
    if is_new:
        # What it brought stays for good: garbage collection would go through it again and again.
        gc.freeze()
    return module
