"""Writes tasks: what is changed of them is stamped, and kept in their history, in the same transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, delete, literal, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import leave_unchanged
from models import EntityKind, Task
from services.accounts.caller import Caller
from services.change import bury
from services.query.filters import IsAnyOf, id_list
from services.query.sql import execute, fetch_all, table_of
from services.task_history import changing, deleting, making, record

_TASKS: Final = table_of(Task)


async def store_tasks(
    session: AsyncSession, caller: Caller, tasks: Sequence[Task], revision: int, moment: datetime
) -> None:
    """Store new tasks; a parent stands before its subtasks."""
    session.add_all(tasks)
    await session.flush()
    await record(session, caller, map(making, tasks), revision, moment)


async def apply_changes(
    session: AsyncSession,
    caller: Caller,
    changed: Sequence[tuple[Task, dict[str, Any]]],
    revision: int,
    moment: datetime | None = None,
) -> None:
    """Set the values that differ and stamp the rows; where none differs, nothing happened."""
    touched = {
        task.id: (task, values)
        for task, values in changed
        if any(getattr(task, name) != value for name, value in values.items())
    }
    if not touched:
        leave_unchanged(session)
    moment = _moment_after([task for task, _ in touched.values()], moment)
    changes = [changing(task, values) for task, values in touched.values()]
    for task, values in touched.values():
        for name, value in values.items():
            setattr(task, name, value)
        task.revision, task.updated_at = revision, moment
    await session.flush()
    # What only brings up to date what is derived from the fields is no change that anybody made.
    await record(session, caller, [change for change in changes if change.after], revision, moment)


async def remove_tasks(
    session: AsyncSession, caller: Caller, ids: Sequence[str], revision: int, moment: datetime | None = None
) -> list[str]:
    """Delete tasks and all below them; return their ids, those that were named first."""
    buried = await bury(session, caller, branch_of(caller, ids), revision)
    # Read by itself: of rows that go with their parent, SQLite's DELETE returns none.
    gone = caller.owns(_TASKS), IsAnyOf(_TASKS.c.id, id_list(buried))
    rows = await fetch_all(session, select(_TASKS).where(*gone))
    await execute(session, delete(_TASKS).where(*gone))
    await record(session, caller, map(deleting, rows), revision, _moment_after(rows, moment))
    named = dict.fromkeys(ids)
    return [*named, *sorted(set(buried) - named.keys())]


def _moment_after(rows: Sequence[Any], moment: datetime | None) -> datetime:
    """Return a moment no earlier than the rows were changed: by the clock of another server, or the database's."""
    latest: datetime = max([moment or utc_now(), *(row.updated_at for row in rows)])
    return latest


def branch_of(caller: Caller, ids: Sequence[str]) -> Select[tuple[str, str]]:
    """Return the statement that names the tasks and all below them."""
    top = select(_TASKS.c.id).where(caller.owns(_TASKS), IsAnyOf(_TASKS.c.id, id_list(ids)))
    branch = top.cte("branch", recursive=True)
    below = select(_TASKS.c.id).where(caller.owns(_TASKS), _TASKS.c.parent_id == branch.c.id)
    branch = branch.union(below)
    return select(branch.c.id, literal(EntityKind.TASK.value).label("kind"))
