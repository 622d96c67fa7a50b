"""Undo of what a run has changed of tasks, as far as nothing else has changed it since."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from typing import Any, Final

from sqlalchemy import CompoundSelect, Row, select, union
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import ConflictError, ErrorReason
from models import HistoryEntry, Run, RunStatus, Task
from services.accounts.caller import Caller
from services.entities.history import read_values, snapshot
from services.entities.revision import next_revision
from services.entities.tombstones import delete_tombstones
from services.query.filters import IsAnyOf, id_list
from services.query.lookup import kinds_by_id, require, rows_by_id
from services.query.sql import fetch_all, table_of
from services.runs.run import ACTIVE
from services.tasks.tasks import tasks as task_service
from services.tasks.undo_plan import UndoPlan, plan_undo, resolve_conflicts

_PATH: Final = ("input", "id")
_TASKS: Final = table_of(Task)
_HISTORY: Final = table_of(HistoryEntry)

Tasks = dict[str, Task]


@dataclass(frozen=True, slots=True)
class KeptChange:
    """A field of a task that was not undone, and why; without a field, the whole task."""

    task_id: str
    field: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Undone:
    """The result of undoing a run: the tasks restored or changed, the ids of those deleted, and what was not undone."""

    run: Run
    tasks: Sequence[Task]
    deleted_ids: Sequence[str]
    kept: Sequence[KeptChange]


async def undo_run(session: AsyncSession, caller: Caller, run_id: str) -> Undone:
    """Undo what a run has changed, and name what could not be undone."""
    revision = await next_revision(session, caller.user_id)
    run = await require(session, caller, Run, run_id, _PATH)
    _require_undoable(run)
    changes = await _changes_since(session, caller, run)
    known = IsAnyOf(_TASKS.c.id, id_list(sorted({change.row_id for change in changes})))
    tasks = {task.id: task for task in await session.exec(select_model(Task).where(caller.owns(_TASKS), known))}
    plans = _plans(run, changes, tasks)
    restored = [plan.task_id for plan in plans if plan.is_restoration]
    used_ids = await kinds_by_id(session, caller, restored) if restored else {}
    related = await fetch_all(session, _related(caller, plans))
    resolve_conflicts(plans, used_ids, {row.id: row.parent_id for row in related})
    # The database may have stamped what it takes back by a clock that is ahead.
    moment = max([utc_now(), *(change.created_at for change in changes)])
    deleted_ids = await _execute(session, caller, plans, tasks, moment)
    run.undone_at, run.revision = moment, revision
    return Undone(
        run=run,
        tasks=[tasks[plan.task_id] for plan in plans if plan.is_restoration or plan.changes],
        deleted_ids=deleted_ids,
        kept=[KeptChange(plan.task_id, *reason) for plan in plans for reason in plan.kept.items()],
    )


def _require_undoable(run: Run) -> None:
    reason = ErrorReason.NOT_UNDOABLE
    if run.status is RunStatus.AWAITING_APPROVAL:
        reason = ErrorReason.PENDING_APPROVAL
        message = "This run waits for your approval; decide on it, or cancel the run, first."
    elif run.status in ACTIVE:
        reason = ErrorReason.RUN_ACTIVE
        message = "This run is still at work; wait for its end, or cancel it, first."
    elif run.undone_at is not None:
        message = f"This run was undone already, at {run.undone_at.isoformat()}; it cannot be undone twice."
    elif run.is_history_cut:
        message = "This run cannot be undone: some of what it changed was changed so often since that the history ends."
    else:
        return
    raise ConflictError(reason, message, path=_PATH, current=run)


async def _changes_since(session: AsyncSession, caller: Caller, run: Run) -> list[Row[Any]]:
    """Return all changes of the tasks that the run has changed, in their order.

    Other runs that were undone, and what their undoing has changed, are left out: together they come to nothing.
    """
    of_run = _HISTORY.alias("of_run")
    touched = select(of_run.c.row_id).where(caller.owns(of_run), of_run.c.run_id == run.id)
    of_tasks = select(_HISTORY).where(caller.owns(_HISTORY), _HISTORY.c.row_id.in_(touched))
    changes = await fetch_all(session, of_tasks.order_by(_HISTORY.c.revision, _HISTORY.c.id))
    others = sorted({change.run_id for change in changes if change.run_id is not None} - {run.id})
    rows = await rows_by_id(session, caller, Run, others, ("undone_at", "revision")) if others else []
    # A run does not change once it is undone, so its revision is that of the undoing.
    undone = {row.id: row.revision for row in rows if row is not None and row.undone_at is not None}
    revisions = set(undone.values())
    return [
        change
        for change in changes
        if change.run_id not in undone and not (change.run_id is None and change.revision in revisions)
    ]


def _plans(run: Run, changes: Sequence[Row[Any]], tasks: Tasks) -> list[UndoPlan]:
    """Return the plans of the tasks that the run has changed, the one that it changed last first."""
    by_task: dict[str, list[Row[Any]]] = {change.row_id: [] for change in reversed(changes) if change.run_id == run.id}
    for change in changes:
        by_task[change.row_id].append(change)
    return [
        plan_undo(task_id, of_task, run.id, snapshot(Task, tasks[task_id]) if task_id in tasks else None)
        for task_id, of_task in by_task.items()
    ]


def _related(caller: Caller, plans: Sequence[UndoPlan]) -> CompoundSelect[tuple[str, str | None]]:
    """Return the statement of the tasks and target parents, all tasks above them, and those below deleted ones."""
    columns = _TASKS.c.id, _TASKS.c.parent_id
    tasks = select(*columns).where(caller.owns(_TASKS))
    ids = {task_id for plan in plans for task_id in (plan.task_id, plan.parent_id) if task_id is not None}
    above = tasks.where(IsAnyOf(_TASKS.c.id, id_list(sorted(ids)))).cte("above", recursive=True)
    above = above.union(tasks.where(_TASKS.c.id == above.c.parent_id))
    deleted = id_list([plan.task_id for plan in plans if plan.is_deletion])
    return union(select(above.c.id, above.c.parent_id), tasks.where(IsAnyOf(_TASKS.c.parent_id, deleted)))


async def _execute(
    session: AsyncSession, caller: Caller, plans: Sequence[UndoPlan], tasks: Tasks, moment: datetime
) -> list[str]:
    """Restore, change and then delete tasks, so that subtasks which stay have moved; return the deleted ids."""
    revision = await next_revision(session, caller.user_id)
    restored = [(plan.task_id, read_values(Task, plan.target or {})) for plan in _parents_first(plans)]
    changed = [(tasks[plan.task_id], read_values(Task, plan.changes)) for plan in plans if plan.changes]
    await task_service.clear_missing_references(session, caller, [values for _, values in (*restored, *changed)])
    if restored:
        await delete_tombstones(session, caller, [task_id for task_id, _ in restored])
        created = [{"id": task_id} | _derived(values, None) for task_id, values in restored]
        rows = await task_service.insert(session, caller, created, revision, moment)
        tasks |= {row.id: row for row in rows}
    if changed:
        differing = [(task, _derived(values, task)) for task, values in changed]
        await task_service.apply(session, caller, differing, revision, moment)
    deleted = [plan.task_id for plan in plans if plan.is_deletion]
    return await task_service.remove(session, caller, deleted, revision, moment) if deleted else []


def _parents_first(plans: Iterable[UndoPlan]) -> list[UndoPlan]:
    restored = {plan.task_id: plan for plan in plans if plan.is_restoration}
    needs = {task_id: {str(plan.parent_id)} & restored.keys() for task_id, plan in restored.items()}
    return [restored[task_id] for task_id in TopologicalSorter(needs).static_order()]


def _derived(values: dict[str, Any], task: Task | None) -> dict[str, Any]:
    """Return values of the history with those derived from them; the history takes precedence."""
    return task_service.derive(dict(values), task) | values
