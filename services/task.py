"""The rules of tasks: making, changing, completing and deleting them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, TypedDict

from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import leave_unchanged
from core.errors import BadUserInputError
from core.ids import parse_id
from core.text import require_length, require_line
from models import Task, TaskPriority
from services.caller import Caller
from services.change import Path, check_revision, claim_ids
from services.idempotency import Request, once
from services.lookup import not_found, require, require_all, rows_by_id
from services.revision import next_revision
from services.sql import fetch_all
from services.task_store import apply_changes, branch_of, remove_tasks, store_tasks
from services.words import searchable

MAX_BULK: Final = 100
_MAX_TAGS: Final = 20
_INPUT: Final[Path] = ("input",)


@dataclass(frozen=True, slots=True)
class NewTask:
    """What a task is made from."""

    title: str
    id: str | None = None
    description: str | None = None
    priority: TaskPriority = TaskPriority.MEDIUM
    due_at: datetime | None = None
    tags: Sequence[str] = field(default_factory=tuple)
    parent_id: str | None = None
    idempotency_key: str | None = None


class TaskChanges(TypedDict, total=False):
    """What is to change of a task: what is absent stays, None clears."""

    title: str | None
    description: str | None
    completed: bool | None
    priority: TaskPriority | None
    due_at: datetime | None
    tags: Sequence[str] | None
    parent_id: str | None


async def create_task(session: AsyncSession, caller: Caller, new: NewTask) -> Task:
    """Make a task."""
    revision = await next_revision(session, caller.user_id)

    async def make() -> Sequence[Task]:
        return await _make(session, caller, [(new, _INPUT)], revision)

    return (await once(session, caller, Request(new.idempotency_key, "createTask", asdict(new)), Task, make))[0]


async def create_tasks(
    session: AsyncSession, caller: Caller, new: Sequence[NewTask], key: str | None = None
) -> Sequence[Task]:
    """Make several tasks, all or none."""
    require_bulk(len(new), "tasks")
    _require_one_key(new)
    if not new:
        return []
    revision = await next_revision(session, caller.user_id)

    async def make() -> Sequence[Task]:
        paths = [(*_INPUT, "tasks", str(index)) for index in range(len(new))]
        return await _make(session, caller, list(zip(new, paths, strict=True)), revision)

    return await once(session, caller, Request(key, "createTasks", [asdict(task) for task in new]), Task, make)


def require_bulk(count: int, name: str) -> None:
    """Refuse more at once than one transaction should carry."""
    if count > MAX_BULK:
        raise BadUserInputError(f"{name} takes at most {MAX_BULK} at once; it has {count}.", path=(*_INPUT, name))


def _require_one_key(new: Sequence[NewTask]) -> None:
    for index, task in enumerate(new):
        if task.idempotency_key is not None:
            message = "Tasks made together have one idempotencyKey, beside the tasks; leave it out here."
            raise BadUserInputError(message, path=(*_INPUT, "tasks", str(index), "idempotencyKey"))


async def _make(
    session: AsyncSession, caller: Caller, new: Sequence[tuple[NewTask, Path]], revision: int
) -> list[Task]:
    ids = await claim_ids(session, caller, [(task.id, (*path, "id")) for task, path in new])
    parents = await _known_parents(session, caller, [task.parent_id for task, _ in new], ids)
    moment = utc_now()
    tasks = []
    for index, ((task, path), row_id) in enumerate(zip(new, ids, strict=True)):
        if task.parent_id is not None and parents.get(task.parent_id.lower(), index) >= index:
            raise not_found(Task, (*path, "parentId"))
        title, description = _title(task.title, path), _description(task.description, path)
        tasks.append(
            Task(
                user_id=caller.user_id,
                id=row_id,
                title=title,
                description=description,
                priority=task.priority,
                due_at=task.due_at,
                tags=_tags(task.tags, path),
                parent_id=task.parent_id and task.parent_id.lower(),
                words=searchable(title, description),
                revision=revision,
                created_at=moment,
                updated_at=moment,
            )
        )
    await store_tasks(session, caller, tasks, revision, moment)
    return tasks


async def _known_parents(
    session: AsyncSession, caller: Caller, given: Sequence[str | None], new_ids: Sequence[str]
) -> dict[str, int]:
    """Return the ids that may be parents: those of rows, and those of new tasks with their place in the list."""
    among_new = {row_id: index for index, row_id in enumerate(new_ids)}
    wanted = {row_id for text in given if text is not None and (row_id := parse_id(text)) is not None}
    stored = sorted(wanted - among_new.keys())
    rows = await rows_by_id(session, caller, Task, stored, ()) if stored else []
    return among_new | {row.id: -1 for row in rows if row is not None}


async def update_task(
    session: AsyncSession, caller: Caller, task_id: str, changes: TaskChanges, expected_revision: int | None = None
) -> Task:
    """Change what is given of a task."""
    revision = await next_revision(session, caller.user_id)
    task = await require(session, caller, Task, task_id, (*_INPUT, "id"))
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
    task = await require(session, caller, Task, task_id, (*_INPUT, "id"))
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
    tasks = await require_all(session, caller, Task, task_ids, (*_INPUT, "ids"))
    values = [{"completed": completed, "completed_at": _completed_at(task, completed=completed)} for task in tasks]
    await apply_changes(session, caller, list(zip(tasks, values, strict=True)), revision)
    return tasks


async def delete_task(
    session: AsyncSession, caller: Caller, task_id: str, expected_revision: int | None = None
) -> list[str]:
    """Delete a task and all below it; return their ids, its own first."""
    revision = await next_revision(session, caller.user_id)
    task = await require(session, caller, Task, task_id, (*_INPUT, "id"))
    check_revision(task, expected_revision)
    return await remove_tasks(session, caller, [task.id], revision)


async def delete_tasks(session: AsyncSession, caller: Caller, task_ids: Sequence[str]) -> list[str]:
    """Delete several tasks and all below them, all or none; return their ids."""
    require_bulk(len(task_ids), "ids")
    revision = await next_revision(session, caller.user_id)
    tasks = await require_all(session, caller, Task, task_ids, (*_INPUT, "ids"))
    if not tasks:
        leave_unchanged(session)
        return []
    return await remove_tasks(session, caller, [task.id for task in tasks], revision)


async def _checked_parent(session: AsyncSession, caller: Caller, task: Task, given_id: str) -> str:
    """Return the id of a parent that is the caller's own and not below the task."""
    path = (*_INPUT, "parentId")
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
            raise BadUserInputError(message, path=(*_INPUT, name))
    if "title" in values:
        values["title"] = _title(values["title"], _INPUT)
    if "description" in values:
        values["description"] = _description(values["description"], _INPUT)
    if "tags" in values:
        values["tags"] = _tags(values["tags"] or (), _INPUT)
    return values


def _title(text: str, path: Path) -> str:
    return require_line(text, (*path, "title"), most=500)


def _description(text: str | None, path: Path) -> str | None:
    return None if text is None else require_length(text, (*path, "description"), least=0, most=10_000)


def _tags(tags: Sequence[str], path: Path) -> list[str]:
    path = (*path, "tags")
    if len(tags) > _MAX_TAGS:
        raise BadUserInputError(f"A task has at most {_MAX_TAGS} tags; these are {len(tags)}.", path=path)
    return list(dict.fromkeys(require_line(tag, (*path, str(index)), most=50) for index, tag in enumerate(tags)))
