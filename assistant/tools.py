"""The tools of the assistant and of MCP clients: each a service bound to the caller, and what it takes."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property, partial
from typing import Annotated, Any, Final, Literal, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import read_moment
from core.errors import BadUserInputError
from core.text import is_storable
from models import Task, TaskPriority
from models.columns import Column, Kind, creatable_columns, public_columns, updatable_columns
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

Arguments = TypeVar("Arguments", bound=BaseModel)

MAX_LISTED: Final = 50
_MAX_BYTES: Final = 200_000
_MAX_NAMES: Final = 50
# What JSON writers can be relied on to write again is not much deeper.
_MAX_DEPTH: Final = 50
_UNSTORABLE: Final = "unstorable"


def _storable(text: str) -> str:
    if not is_storable(text):
        raise PydanticCustomError(
            _UNSTORABLE, "contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode."
        )
    return text


def _choice(members: type[StrEnum]) -> WithJsonSchema:
    """Return the schema of an enum where it stands, for some models follow no reference to another place."""
    return WithJsonSchema({"type": "string", "enum": [member.value for member in members]})


Text = Annotated[str, AfterValidator(_storable)]
Priority = Annotated[TaskPriority, _choice(TaskPriority)]
Order = Literal["CREATED_AT", "DUE_AT", "PRIORITY", "TITLE"]
Moment = Annotated[
    datetime, BeforeValidator(read_moment), WithJsonSchema({"type": "string", "format": "date-time"}, mode="validation")
]
Tags = Annotated[list[Text], Field(max_length=20)]
_MOMENT: Final = "RFC 3339 with an offset, such as 2026-01-31T18:00:00+01:00"


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListTasks(_Arguments):
    """Which tasks to list."""

    completed: bool | None = Field(None, description="true: those that are done; false: those that are open")
    priority: Priority | None = Field(None, description="those of this priority")
    tags: Tags | None = Field(None, description="those that have all of these tags")
    due_after: Moment | None = Field(None, description=f"those due at this moment or later; {_MOMENT}")
    due_before: Moment | None = Field(None, description=f"those due before this moment; {_MOMENT}")
    order: Order = Field(
        "CREATED_AT",
        description="the oldest, the soonest due, the highest priority or the first of the alphabet comes first",
    )
    limit: int = Field(20, ge=1, le=MAX_LISTED, description="how many at most")


class Search(_Arguments):
    """What to search for."""

    query: Text = Field(
        max_length=1_000, description="words of titles or descriptions, or their beginnings; all of them must be there"
    )
    limit: int = Field(20, ge=1, le=MAX_LISTED, description="how many at most")


_TYPES: Final[dict[Kind, Any]] = {Kind.TEXT: Text, Kind.TEXTS: list[Text], Kind.MOMENT: Moment, Kind.REFERENCE: str}


def _with_columns(
    columns: Iterable[Column], *, is_update: bool = False
) -> Callable[[type[Arguments]], type[Arguments]]:
    """Add to a tool's arguments the columns that tools may set; an update leaves what is left out."""

    def decorate(cls: type[Arguments]) -> type[Arguments]:
        settable = [column for column in columns if column.writable and column.writable.tools]
        fields: dict[str, Any] = {column.name: _argument(column, is_update=is_update) for column in settable}
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)

    return decorate


def _argument(column: Column, *, is_update: bool) -> tuple[Any, Any]:
    """Return the type and the field of an argument; what the services check with better words is not bounded here."""
    type_ = _TYPES.get(column.kind, column.type)
    if column.kind is Kind.ENUM:
        type_ = Annotated[column.type, _choice(column.type)]
    hints = [column.input_description.removesuffix(".")]
    if column.kind is Kind.MOMENT:
        hints.append(_MOMENT)
    if is_update and column.is_nullable:
        hints.append("null takes it away")
    options: dict[str, Any] = {"default": None} if is_update else column.default_argument
    if column.kind is Kind.TEXTS:
        options |= {"max_length": column.maximum}
    if column.kind is Kind.INTEGER:
        options |= {"ge": column.minimum, "le": column.maximum}
    return (type_ | None if column.is_nullable else type_), Field(description="; ".join(hints), **options)


@_with_columns(creatable_columns(Task))
class AddTask(_Arguments):
    """What a task is made from."""


@_with_columns(updatable_columns(Task), is_update=True)
class UpdateTask(_Arguments):
    """A task and its changes: what is left out stays."""

    task_id: str = Field(description="the id of the task to change")


class OneTask(_Arguments):
    """Names one task."""

    task_id: str = Field(description="the id of the task, as list_tasks or search returned it")


def read_object(raw: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arguments as a model writes them, or refuse what is no object; nothing at all is an empty one."""
    if isinstance(raw, Mapping):
        return raw
    if len(raw) > _MAX_BYTES:
        raise BadUserInputError(f"The arguments are longer than {_MAX_BYTES:,} bytes; send less.")
    try:
        value = orjson.loads(raw or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadUserInputError(f"The arguments are not valid JSON ({error.msg}); send one JSON object.") from None
    if not isinstance(value, dict):
        raise BadUserInputError("The arguments must be one JSON object.")
    if _is_deep(value):
        raise BadUserInputError("The arguments are nested too deep; send a flat JSON object.")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        containers = [inner for inner in level if isinstance(inner, dict | list)]
        level = [part for each in containers for part in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return False
    return True


@dataclass(frozen=True)
class Tool:
    """Something that a language model may do for a caller; `run` is given a transaction where it `writes`.

    One that `adds` does more the second time that it is called with the same arguments.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[AsyncSession, Caller, Any], Awaitable[Result]]
    writes: bool
    needs_approval: bool = False
    adds: bool = False

    @cached_property
    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of the arguments, without titles, which repeat the names, and empty defaults."""
        schema = self.arguments.model_json_schema()
        properties = {
            name: {key: value for key, value in given.items() if key != "title" and (key != "default" or value)}
            for name, given in schema["properties"].items()
        }
        required = schema.get("required", [])
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def read_arguments(tool: Tool, raw: str | bytes | Mapping[str, Any]) -> BaseModel:
    """Return the arguments as the tool takes them; raise BadUserInputError, saying how to mend it, for any other."""
    given = read_object(raw)
    known = f"its arguments are {', '.join(tool.arguments.model_fields)}."
    if len(given) > _MAX_NAMES:
        raise BadUserInputError(f"{tool.name} does not take {len(given)} arguments; {known}")
    try:
        return tool.arguments.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    except RecursionError:
        raise BadUserInputError(f"The arguments of {tool.name} are nested too deep; {known}") from None
    argument = str(first["loc"][0]) if first["loc"] else tool.name
    if first["type"] == "extra_forbidden":
        message = f"{tool.name} has no argument {argument[:60]!r}; {known}"
    elif first["type"] == "missing":
        message = f"{tool.name} needs the argument {argument}."
    elif first["input"] is None:
        message = f"{argument} cannot be null; leave it out."
    else:
        message = _wrong_value(argument, first)
    raise BadUserInputError(message, path=(argument,) if argument in tool.arguments.model_fields else None)


def _wrong_value(argument: str, error: ErrorDetails) -> str:
    """Return what is said of a value, in the words of the services where they check the same."""
    if error["type"] == _UNSTORABLE:
        place = "".join(f"[{index}]" for index in error["loc"][1:])
        return f"{argument}{place} {error['msg']}"
    if argument == "tags" and error["type"] == "too_long":
        return f"A task has at most {error['ctx']['max_length']} tags; these are {error['ctx']['actual_length']}."
    return f"{argument} is wrong: {error['msg'].removeprefix('Value error, ').rstrip('.')}."


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
    direction = OrderDirection.DESC if given.order == "PRIORITY" else OrderDirection.ASC
    return await find_tasks(session, caller, wanted, given.limit, TaskOrder.by(given.order, direction))


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


async def _set_completed(session: AsyncSession, caller: Caller, given: OneTask, *, completed: bool) -> Result:
    return {"task": task_as_json(await tasks.update(session, caller, given.task_id, {"completed": completed}))}


async def _delete_task(session: AsyncSession, caller: Caller, given: OneTask) -> Result:
    return {"deleted_ids": await tasks.delete(session, caller, given.task_id)}


TOOLS: Final = (
    Tool("list_tasks", "List the person's tasks, filtered and ordered.", ListTasks, _list_tasks, writes=False),
    Tool("search", "Find the person's tasks, open or done, by words.", Search, _search, writes=False),
    Tool("add_task", "Add a task.", AddTask, _add_task, writes=True, adds=True),
    Tool(
        "update_task", "Change what is given of a task; the rest stays as it is.", UpdateTask, _update_task, writes=True
    ),
    Tool("complete_task", "Mark a task as done.", OneTask, partial(_set_completed, completed=True), writes=True),
    Tool("reopen_task", "Mark a task as not done.", OneTask, partial(_set_completed, completed=False), writes=True),
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
