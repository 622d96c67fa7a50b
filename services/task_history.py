"""The history of tasks: what each change has changed, and who made it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from core.ids import new_ids
from models import Task, TaskChange, TaskChangeKind, TaskPriority
from services.accounts.caller import Caller
from services.query.ordering import OrderDirection, moment_key, order_by
from services.query.pagination import Listing
from services.query.sql import execute, table_of

# What can be changed of a task; the history names these alone.
FIELDS: Final = ("title", "description", "completed", "completed_at", "priority", "due_at", "tags", "parent_id")
_MOMENTS: Final = frozenset({"completed_at", "due_at", "created_at"})
_CHANGES: Final = table_of(TaskChange)
_ORDER: Final = order_by(_CHANGES, ((moment_key("created_at"), OrderDirection.ASC),))

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a task: how the fields were that it changed, and how they are, as JSON."""

    task_id: str
    kind: TaskChangeKind
    before: Values
    after: Values


def making(task: Any) -> Change:
    """Return the change that makes a task."""
    return Change(task.id, TaskChangeKind.CREATED, {}, snapshot(task))


def changing(task: Task, values: Mapping[str, Any]) -> Change:
    """Return the change that gives a task these values, which it does not have yet."""
    differing = [name for name in FIELDS if name in values and getattr(task, name) != values[name]]
    before = {name: _as_json(getattr(task, name)) for name in differing}
    return Change(task.id, TaskChangeKind.UPDATED, before, {name: _as_json(values[name]) for name in differing})


def deleting(row: Any) -> Change:
    """Return the change that deletes a task."""
    return Change(row.id, TaskChangeKind.DELETED, snapshot(row), {})


def snapshot(row: Any) -> Values:
    """Return a task as the history keeps it, all that it can be made again from."""
    return {name: _as_json(getattr(row, name)) for name in (*FIELDS, "created_at")}


def fields_of(values: Values) -> Values:
    """Return of a new task's values what the history keeps, all but its moment."""
    return {name: values[name] for name in FIELDS}


def read_values(values: Mapping[str, Any]) -> Values:
    """Return values of the history as tasks have them."""
    return {name: _from_json(name, value) for name, value in values.items()}


async def record(
    session: AsyncSession, caller: Caller, changes: Iterable[Change], revision: int, moment: datetime
) -> None:
    """Keep what a transaction has changed, by one statement."""
    kept = list(changes)
    same = {"user_id": caller.user_id, "revision": revision, "created_at": moment, **origin_of(caller)}
    rows = [
        {
            **same,
            "id": row_id,
            "task_id": change.task_id,
            "kind": change.kind,
            "before": change.before,
            "after": change.after,
        }
        for change, row_id in zip(kept, new_ids(len(kept)), strict=True)
    ]
    if rows:
        await execute(session, insert(_CHANGES), rows)


def origin_of(caller: Caller) -> Values:
    """Return what of a change's row tells who acts for the user."""
    actor = caller.actor
    return {
        "run_id": None if actor is None else actor.run_id,
        "tool_call_id": None if actor is None else actor.tool_call_id,
    }


def history_listing(caller: Caller, columns: frozenset[str] = frozenset()) -> Listing:
    """Return the list of what has changed of the caller's tasks, as it happened."""
    return Listing(table=_CHANGES, order=_ORDER, caller=caller, columns=columns)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _from_json(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _MOMENTS:
        return datetime.fromisoformat(value)
    return TaskPriority(value) if name == "priority" else value
