"""The rules of tasks that there are: changing, completing and deleting them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import leave_unchanged
from core.errors import BadUserInputError
from models import Task, TaskPriority
from services.accounts.caller import Caller
from services.change import INPUT, check_revision
from services.query.lookup import require, require_all
from services.query.sql import fetch_all
from services.revision import next_revision
from services.task_making import check_description, check_tags, check_title, require_bulk
from services.task_store import apply_changes, branch_of, remove_tasks
from services.words import searchable


class TaskChanges(TypedDict, total=False):
    """What is to change of a task: what is absent stays, None clears."""

    title: str | None
    description: str | None
    completed: bool | None
    priority: TaskPriority | None
    due_at: datetime | None
    tags: Sequence[str] | None
    parent_id: str | None


async def update_task(
    session: AsyncSession, caller: Caller, task_id: str, changes: TaskChanges, expected_revision: int | None = None
) -> Task:
    """Change what is given of a task."""
    revision = await next_revision(session, caller.user_id)
    task = await require(session, caller, Task, task_id, (*INPUT, "id"))
    check_revision(task, expected_revision)
    values = _checked_changes(changes)
    if (parent_id := values.get("parent_id")) is not None:
        values["parent_id"] = await _checked_parent(session, caller, task, parent_id)
    if "completed" in values:
        values["completed_at"] = _completed_at(task, completed=values["completed"])
    if "title" in values or "description" in values:
        texts = values.get("title", task.title), values.get("description", task.description)
        values["words"] = searchable(*texts)
    await apply_changes(session, caller, [(task, values)], revision)
    return task


def _completed_at(task: Task, *, completed: bool) -> datetime | None:
    return (task.completed_at or utc_now()) if completed else None


async def toggle_task(
    session: AsyncSession, caller: Caller, task_id: str, expected_revision: int | None = None
) -> Task:
    """Complete an open task, reopen a completed one."""
    revision = await next_revision(session, caller.user_id)
    task = await require(session, caller, Task, task_id, (*INPUT, "id"))
    check_revision(task, expected_revision)
    completed = not task.completed
    values = {"completed": completed, "completed_at": _completed_at(task, completed=completed)}
    await apply_changes(session, caller, [(task, values)], revision)
    return task


async def set_tasks_completed(
    session: AsyncSession, caller: Caller, task_ids: Sequence[str], *, completed: bool
) -> list[Task]:
    """Complete or reopen several tasks, all or none."""
    require_bulk(len(task_ids), "ids")
    revision = await next_revision(session, caller.user_id)
    tasks = await require_all(session, caller, Task, task_ids, (*INPUT, "ids"))
    values = [{"completed": completed, "completed_at": _completed_at(task, completed=completed)} for task in tasks]
    await apply_changes(session, caller, list(zip(tasks, values, strict=True)), revision)
    return tasks


async def delete_task(
    session: AsyncSession, caller: Caller, task_id: str, expected_revision: int | None = None
) -> list[str]:
    """Delete a task and all below it; return their ids, its own first."""
    revision = await next_revision(session, caller.user_id)
    task = await require(session, caller, Task, task_id, (*INPUT, "id"))
    check_revision(task, expected_revision)
    return await remove_tasks(session, caller, [task.id], revision)


async def delete_tasks(session: AsyncSession, caller: Caller, task_ids: Sequence[str]) -> list[str]:
    """Delete several tasks and all below them, all or none; return their ids."""
    require_bulk(len(task_ids), "ids")
    revision = await next_revision(session, caller.user_id)
    tasks = await require_all(session, caller, Task, task_ids, (*INPUT, "ids"))
    if not tasks:
        leave_unchanged(session)
        return []
    return await remove_tasks(session, caller, [task.id for task in tasks], revision)


async def _checked_parent(session: AsyncSession, caller: Caller, task: Task, given_id: str) -> str:
    """Return the id of a parent that is the caller's own and not below the task."""
    path = (*INPUT, "parentId")
    parent = await require(session, caller, Task, given_id, path)
    branch = await fetch_all(session, branch_of(caller, [task.id]))
    if any(row.id == parent.id for row in branch):
        raise BadUserInputError("A task cannot be below itself; choose a parent outside its subtasks.", path=path)
    return parent.id


def _checked_changes(changes: TaskChanges) -> dict[str, Any]:
    values: dict[str, Any] = dict(changes)
    for name in ("title", "completed", "priority"):
        if name in values and values[name] is None:
            message = f"{name} cannot be cleared; leave it out to keep it as it is."
            raise BadUserInputError(message, path=(*INPUT, name))
    if "title" in values:
        values["title"] = check_title(values["title"], INPUT)
    if "description" in values:
        values["description"] = check_description(values["description"], INPUT)
    if "tags" in values:
        values["tags"] = check_tags(values["tags"] or (), INPUT)
    return values
