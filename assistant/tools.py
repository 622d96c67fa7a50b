"""The tools: each a service, bound to the caller, for the assistant and for MCP clients alike."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.arguments import (
    AddTask,
    ListOrder,
    ListTasks,
    OneTask,
    Search,
    UpdateTask,
    json_schema,
    read_model,
)
from core.errors import BadUserInputError
from models import Task
from models.columns import public_columns
from services.accounts.caller import Caller
from services.entities.history import to_json
from services.entities.lists import DateTimeFilter
from services.entities.service import NewRow
from services.query.ordering import OrderDirection
from services.query.pagination import PageArguments, count_rows, fetch_page, read_window
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing
from services.tasks.tasks import tasks
from services.tasks.words import words_of

Result = dict[str, Any]

_MAX_DESCRIPTION_LENGTH: Final = 200
# What tools tell of a task besides its id: what they can set, and whether it is done.
_SHOWN: Final = [
    column
    for column in public_columns(Task)
    if column.name == "completed" or (column.writable is not None and column.writable.tools)
]
_COLUMNS: Final = frozenset({"id", *(column.name for column in _SHOWN)})
_ORDERS: Final = {
    ListOrder.CREATED_AT: TaskOrder.by("created_at"),
    ListOrder.DUE_AT: TaskOrder.by("due_at"),
    ListOrder.PRIORITY: TaskOrder.by("priority", OrderDirection.DESC),
    ListOrder.TITLE: TaskOrder.by("title"),
}


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that a language model may do for a caller; `run` is given a transaction where it `writes`."""

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[AsyncSession, Caller, Any], Awaitable[Result]]
    writes: bool
    needs_approval: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the arguments."""
        return json_schema(self.arguments)


def read_arguments(tool: Tool, raw: str | bytes | Mapping[str, Any]) -> BaseModel:
    """Return the arguments as the tool takes them; raise BadUserInputError, saying how to mend it, for any other."""
    return read_model(tool.name, tool.arguments, raw)


def task_as_json(task: Any) -> Result:
    """Return what tools and resources tell of a task: little, for models pay by the word."""
    result: Result = {"id": task.id}
    for column in _SHOWN:
        value = to_json(column, getattr(task, column.name))
        if column.name == "description":
            value = (value or "")[:_MAX_DESCRIPTION_LENGTH] or None
        if value is not None or column.name == "due_at":
            result[column.name] = value
    return result


async def find_tasks(
    session: AsyncSession, caller: Caller, wanted: TaskFilter, limit: int, order: TaskOrder | None = None
) -> Result:
    """Return the first of the caller's tasks that are wanted, and how many there are in all."""
    listing = task_listing(caller, _COLUMNS, wanted, None if order is None else [order])
    page = await fetch_page(session, listing, read_window(listing.order, PageArguments(first=limit)))
    total = await count_rows(session, listing) if page.has_next_page else len(page.rows)
    return {"tasks": [task_as_json(row) for row in page.rows], "total": total}


async def _list_tasks(session: AsyncSession, caller: Caller, given: ListTasks) -> Result:
    is_bounded = given.due_after is not None or given.due_before is not None
    wanted = TaskFilter(
        completed=given.completed,
        priority=None if given.priority is None else [given.priority],
        tags=given.tags,
        due_at=DateTimeFilter(gte=given.due_after, lt=given.due_before) if is_bounded else None,
    )
    return await find_tasks(session, caller, wanted, given.limit, _ORDERS[given.order])


async def _search(session: AsyncSession, caller: Caller, given: Search) -> Result:
    # It would find everything.
    if not words_of(given.query):
        raise BadUserInputError("query has no words; write some, or call list_tasks.", path=("query",))
    return await find_tasks(session, caller, TaskFilter(search=given.query), given.limit)


async def _add_task(session: AsyncSession, caller: Caller, given: AddTask) -> Result:
    return {"task": task_as_json(await tasks.create(session, caller, NewRow(dict(given))))}


async def _update_task(session: AsyncSession, caller: Caller, given: UpdateTask) -> Result:
    changes = {name: value for name, value in given if name in given.model_fields_set and name != "task_id"}
    if not changes:
        raise BadUserInputError("There is nothing to change; send at least one argument besides task_id.")
    task = await tasks.update(session, caller, given.task_id, changes)
    return {"task": task_as_json(task)}


async def _complete_task(session: AsyncSession, caller: Caller, given: OneTask) -> Result:
    return {"task": task_as_json(await tasks.update(session, caller, given.task_id, {"completed": True}))}


async def _reopen_task(session: AsyncSession, caller: Caller, given: OneTask) -> Result:
    return {"task": task_as_json(await tasks.update(session, caller, given.task_id, {"completed": False}))}


async def _delete_task(session: AsyncSession, caller: Caller, given: OneTask) -> Result:
    return {"deleted_ids": await tasks.delete(session, caller, given.task_id)}


TOOLS: Final = (
    Tool("list_tasks", "List the person's tasks, filtered and ordered.", ListTasks, _list_tasks, writes=False),
    Tool("search", "Find the person's tasks, open or done, by words.", Search, _search, writes=False),
    Tool("add_task", "Add a task.", AddTask, _add_task, writes=True),
    Tool(
        "update_task", "Change what is given of a task; the rest stays as it is.", UpdateTask, _update_task, writes=True
    ),
    Tool("complete_task", "Mark a task as done.", OneTask, _complete_task, writes=True),
    Tool("reopen_task", "Mark a task as not done.", OneTask, _reopen_task, writes=True),
    Tool(
        "delete_task",
        "Delete a task and all its subtasks, for good.",
        OneTask,
        _delete_task,
        writes=True,
        needs_approval=True,
    ),
)
TOOLS_BY_NAME: Final = {tool.name: tool for tool in TOOLS}
