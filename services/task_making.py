"""The rules of making tasks."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import BadUserInputError
from core.ids import new_id, parse_id
from core.text import require_length, require_line
from models import Task, TaskPriority
from services.accounts.caller import Caller
from services.change import INPUT, Path, claim_ids
from services.idempotency import Request, once
from services.query.lookup import not_found, rows_by_id
from services.revision import next_revision
from services.task_history import Values
from services.task_insert import insert_task
from services.task_store import store_tasks
from services.words import searchable

MAX_BULK: Final = 100
_MAX_TAGS: Final = 20


class NewTask(NamedTuple):
    """What a task is made from."""

    title: str
    id: str | None = None
    description: str | None = None
    priority: TaskPriority = TaskPriority.MEDIUM
    due_at: datetime | None = None
    tags: Sequence[str] = ()
    parent_id: str | None = None
    idempotency_key: str | None = None

    @property
    def refers_to_nothing(self) -> bool:
        """Tell whether it can be made without a look at what there is."""
        return self.id is None and self.parent_id is None and self.idempotency_key is None


async def make_task(database: Database, caller: Caller, new: NewTask) -> Any:
    """Make a task in a transaction of its own, by a single statement where that is enough."""
    if database.has_statements_alone and new.refers_to_nothing:
        return await insert_task(database, caller, _values(caller, new, new_id(), INPUT))
    return await database.write(lambda session: create_task(session, caller, new))


async def create_task(session: AsyncSession, caller: Caller, new: NewTask) -> Task:
    """Make a task."""
    revision = await next_revision(session, caller.user_id)

    async def make() -> Sequence[Task]:
        return await _make(session, caller, [(new, INPUT)], revision)

    return (await once(session, caller, Request(new.idempotency_key, "createTask", new._asdict()), Task, make))[0]


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
        paths = [(*INPUT, "tasks", str(index)) for index in range(len(new))]
        return await _make(session, caller, list(zip(new, paths, strict=True)), revision)

    return await once(session, caller, Request(key, "createTasks", [task._asdict() for task in new]), Task, make)


def require_bulk(count: int, name: str) -> None:
    """Refuse more at once than one transaction should carry."""
    if count > MAX_BULK:
        raise BadUserInputError(f"{name} takes at most {MAX_BULK} at once; it has {count}.", path=(*INPUT, name))


def _require_one_key(new: Sequence[NewTask]) -> None:
    for index, task in enumerate(new):
        if task.idempotency_key is not None:
            message = "Tasks made together have one idempotencyKey, beside the tasks; leave it out here."
            raise BadUserInputError(message, path=(*INPUT, "tasks", str(index), "idempotencyKey"))


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
        values = _values(caller, task, row_id, path)
        tasks.append(Task(**values, revision=revision, created_at=moment, updated_at=moment))
    await store_tasks(session, caller, tasks, revision, moment)
    return tasks


def _values(caller: Caller, new: NewTask, row_id: str, path: Path) -> Values:
    """Return the checked values of a new row, all but its revision and its moments."""
    title, description = check_title(new.title, path), check_description(new.description, path)
    return {
        "user_id": caller.user_id,
        "id": row_id,
        "title": title,
        "description": description,
        "completed": False,
        "completed_at": None,
        "priority": new.priority,
        "due_at": new.due_at and new.due_at.astimezone(UTC),
        "tags": check_tags(new.tags, path),
        "parent_id": new.parent_id and new.parent_id.lower(),
        "words": searchable(title, description),
    }


async def _known_parents(
    session: AsyncSession, caller: Caller, given: Sequence[str | None], new_ids: Sequence[str]
) -> dict[str, int]:
    """Return the ids that may be parents: those of rows, and those of new tasks with their place in the list."""
    among_new = {row_id: index for index, row_id in enumerate(new_ids)}
    wanted = {row_id for text in given if text is not None and (row_id := parse_id(text)) is not None}
    stored = sorted(wanted - among_new.keys())
    rows = await rows_by_id(session, caller, Task, stored, ()) if stored else []
    return among_new | {row.id: -1 for row in rows if row is not None}


def check_title(text: str, path: Path) -> str:
    """Return a title, or refuse it."""
    return require_line(text, (*path, "title"), most=500)


def check_description(text: str | None, path: Path) -> str | None:
    """Return a description, or refuse it."""
    return None if text is None else require_length(text, (*path, "description"), least=0, most=10_000)


def check_tags(tags: Sequence[str], path: Path) -> list[str]:
    """Return tags, each once, or refuse them."""
    path = (*path, "tags")
    if len(tags) > _MAX_TAGS:
        raise BadUserInputError(f"A task has at most {_MAX_TAGS} tags; these are {len(tags)}.", path=path)
    return list(dict.fromkeys(require_line(tag, (*path, str(index)), most=50) for index, tag in enumerate(tags)))
