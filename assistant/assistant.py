"""The assistant of one process: begins runs, executes them apart from requests, and notices which have died."""

import asyncio
import gc
import importlib
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from assistant.failures import DIED
from assistant.language_model import LanguageModel
from core.database import Database
from core.errors import TasktalkError
from core.settings import Settings
from live.live import Live
from models import Run, RunStatus
from services.accounts.caller import Caller
from services.query.lookup import require
from services.runs import run as runs
from services.runs.progress import RunKey, expired_runs, fail_expired, renew_leases
from services.runs.run import Answering, Question, Terms

if TYPE_CHECKING:
    from assistant.execution import Execution

Result = TypeVar("Result")

# How soon it is noticed that a run was cancelled in another process.
_LOOK_EVERY_S: Final = 0.5
_SWEEPS_PER_LEASE: Final = 4
_EXECUTION: Final = "assistant.execution"
_LOAD_AFTER_S: Final = 3.0
_LONGEST_STEP_S: Final = 5.0

_log = logging.getLogger(__name__)


class Assistant:
    """Answers messages; a run goes on when whoever began it has left."""

    def __init__(self, database: Database, settings: Settings, live: Live) -> None:
        self._database = database
        self._settings = settings
        self._live = live
        self._model = LanguageModel(settings)
        self._lease = timedelta(seconds=settings.run_lease_s)
        self._slots = asyncio.Semaphore(settings.assistant_max_runs)
        self._executions: dict[RunKey, Execution] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watches: list[asyncio.Task[None]] = []
        self._closing = asyncio.Event()

    def load(self) -> None:
        """Load what runs need, which takes a second or two; where that is left out, it comes later by itself."""
        importlib.import_module(_EXECUTION)

    def start(self) -> None:
        """Begin to give signs of life for this process's runs, and to look for those that have died."""
        sweep_s = self._settings.run_lease_s / _SWEEPS_PER_LEASE
        self._watches = [
            asyncio.create_task(_until(self._closing, self._look, _LOOK_EVERY_S)),
            asyncio.create_task(_until(self._closing, self._sweep, sweep_s)),
        ]
        self._spawn(_load_later())

    async def close(self) -> None:
        """Stop; runs that are not over by now fail, and say so."""
        # Cut off in the middle of a statement, these could hold the lock that the runs' ends wait for.
        self._closing.set()
        if self._watches:
            await asyncio.wait(self._watches, timeout=_LONGEST_STEP_S)
        ending = [*self._tasks, *self._watches]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await self._model.close()

    async def ask(self, caller: Caller, question: Question) -> Answering:
        """Store a message and begin to answer it."""
        return await self._begin(caller, partial(runs.begin_run, caller=caller, question=question))

    async def ask_again(self, caller: Caller, message_id: str) -> Answering:
        """Begin to answer a message anew."""
        return await self._begin(caller, partial(runs.begin_again, caller=caller, message_id=message_id))

    async def cancel(self, caller: Caller, run_id: str) -> Run:
        """End a run; in another process it stops within a second, and can change nothing from now on."""
        run = await self._database.write(partial(runs.cancel_run, caller=caller, run_id=run_id))
        if (execution := self._executions.get((caller.user_id, run.id))) is not None:
            execution.stop()
        return run

    async def resolve(self, caller: Caller, tool_call_id: str, *, approve: bool) -> Run:
        """Approve or reject a tool call, and go on where none is left to decide on."""
        deciding = partial(
            runs.resolve_tool_call, caller=caller, tool_call_id=tool_call_id, terms=self._terms(), approve=approve
        )

        async def resolve() -> Run:
            run = await self._database.write(deciding)
            if run.status is RunStatus.RUNNING:
                self._launch(caller.user_id, run.id)
            return run

        return await self._whatever_happens(resolve())

    async def settled(self, caller: Caller, run_id: str) -> Run:
        """Return a run once it has ended or waits for approval, whichever process executes it."""
        with self._live.hub.waiting(caller.user_id) as waiter:
            while True:
                async with self._database.read() as session:
                    run = await require(session, caller, Run, run_id, ("input", "id"))
                if run.status not in {RunStatus.QUEUED, RunStatus.RUNNING}:
                    return run
                await waiter.wait()

    async def _begin(self, caller: Caller, begin: partial[Coroutine[Any, Any, Answering]]) -> Answering:
        beginning = partial(begin, terms=self._terms())

        async def begin_and_launch() -> Answering:
            answering = await self._database.write(beginning)
            if answering.is_new:
                self._launch(caller.user_id, answering.run.id)
            return answering

        return await self._whatever_happens(begin_and_launch())

    def _terms(self) -> Terms:
        return Terms(
            self._model.name,
            self._lease,
            self._settings.assistant_daily_tokens,
            self._settings.assistant_max_runs_per_user,
            begins_at_once=not self._slots.locked(),
        )

    async def _whatever_happens(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do what must not stop half-way when the client leaves."""
        return await asyncio.shield(self._spawn(work))

    def _launch(self, user_id: str, run_id: str) -> None:
        self._spawn(self._execute((user_id, run_id)))

    async def _execute(self, key: RunKey) -> None:
        user_id, run_id = key
        execution_module = await _load()
        around = execution_module.Surroundings(self._database, self._settings, self._live.replies, self._model)
        execution = execution_module.Execution(around, _owner(user_id), run_id)
        self._executions[key] = execution
        try:
            await execution.run(self._slots)
        finally:
            # One that was paused may have gone on in the meantime.
            if self._executions.get(key) is execution:
                del self._executions[key]

    async def _look(self) -> None:
        """Give a sign of life for the runs, and stop those that have ended elsewhere."""
        if not self._executions:
            return
        looked_for = dict(self._executions)
        alive = await self._database.write(partial(renew_leases, runs=list(looked_for), lease=self._lease))
        for key, execution in looked_for.items():
            if key not in alive:
                execution.stop()

    async def _sweep(self) -> None:
        async with self._database.read() as session:
            expired = await expired_runs(session)
        for row in expired:
            # Where this process itself was held up, its runs go on.
            if (row.user_id, row.id) in self._executions:
                continue
            failing = partial(fail_expired, caller=_owner(row.user_id), run_id=row.id, error=DIED)
            await self._database.write(failing)

    def _spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _owner(user_id: str) -> Caller:
    """Return for whom a run goes on, when the token of whoever began it has expired too."""
    return Caller(user_id, None, is_admin=False, expires_at=datetime.max.replace(tzinfo=UTC))


async def _until(closing: asyncio.Event, step: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Do something again and again, and never leave off in the middle of it."""
    is_failing = False
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await closing.wait()
        if closing.is_set():
            return
        try:
            await step()
            is_failing = False
        except Exception as error:  # noqa: BLE001 - the next look may find the database again
            # Told once, not twice a second.
            if not is_failing:
                _log.warning(
                    "The runs cannot be looked after: %s", error, exc_info=not isinstance(error, TasktalkError)
                )
            is_failing = True


async def _load_later() -> None:
    """Load what the first run needs before anyone asks, but not while the server starts."""
    await asyncio.sleep(_LOAD_AFTER_S)
    await _load()


async def _load() -> Any:
    """Load the SDK, which takes a second or two, beside everything else."""
    is_new = _EXECUTION not in sys.modules
    # What another thread has begun to load is there already, but not whole: this waits for it.
    module = await asyncio.to_thread(importlib.import_module, _EXECUTION)
    if is_new:
        # What it brought stays for good: to look through it again and again would hold requests up.
        gc.freeze()
    return module
