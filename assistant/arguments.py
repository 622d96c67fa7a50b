"""What the tools take: the models that read it say to a language model what it means."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

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
from sqlmodel import SQLModel

from core.clock import read_moment
from core.errors import BadUserInputError
from core.text import is_storable
from models import Task, TaskPriority
from models.columns import Column, Kind, creatable_columns, updatable_columns

Arguments = TypeVar("Arguments", bound=BaseModel)

MOST_LISTED: Final = 50
_MOST_BYTES: Final = 200_000
_MOST_NAMES: Final = 50
# What JSON writers can be relied on to write again is not much deeper.
_MOST_DEPTH: Final = 50
_UNSTORABLE: Final = "unstorable"


class ListOrder(StrEnum):
    """What a list of tasks can be ordered by."""

    CREATED_AT = "CREATED_AT"
    DUE_AT = "DUE_AT"
    PRIORITY = "PRIORITY"
    TITLE = "TITLE"


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
Order = Annotated[ListOrder, _choice(ListOrder)]
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
        ListOrder.CREATED_AT,
        description="the oldest, the soonest due, the highest priority or the first of the alphabet comes first",
    )
    limit: int = Field(20, ge=1, le=MOST_LISTED, description="how many at most")


class Search(_Arguments):
    """What to search for."""

    query: Text = Field(
        max_length=1_000, description="words of titles or descriptions, or their beginnings; all of them must be there"
    )
    limit: int = Field(20, ge=1, le=MOST_LISTED, description="how many at most")


def arguments_to_create(model: type[SQLModel]) -> Callable[[type[Arguments]], type[Arguments]]:
    """Add to a tool's arguments the columns that tools set when they create a row."""

    def decorate(cls: type[Arguments]) -> type[Arguments]:
        fields: dict[str, Any] = {}
        for column in _tool_columns(creatable_columns(model)):
            default = (
                {"default_factory": column.default_factory} if column.default_factory else {"default": column.default}
            )
            fields[column.name] = _argument(column, {} if column.is_required else default)
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)

    return decorate


def arguments_to_update(model: type[SQLModel]) -> Callable[[type[Arguments]], type[Arguments]]:
    """Add to a tool's arguments the columns that tools may update: what is left out stays."""

    def decorate(cls: type[Arguments]) -> type[Arguments]:
        fields: dict[str, Any] = {
            column.name: _argument(column, {"default": None}, "; null takes it away" if column.is_nullable else "")
            for column in _tool_columns(updatable_columns(model))
        }
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)

    return decorate


def _tool_columns(columns: Iterable[Column]) -> list[Column]:
    return [column for column in columns if column.writable and column.writable.tools]


def _argument(column: Column, default: dict[str, Any], hint: str = "") -> tuple[Any, Any]:
    """Return the type and the field of an argument; what the services check with better words is not bounded here."""
    if column.kind is Kind.MOMENT:
        hint = f"; {_MOMENT}{hint}"
    description = column.input_description.removesuffix(".") + hint
    bounds: dict[str, Any] = {"max_length": column.maximum} if column.kind is Kind.TEXTS else {}
    if column.kind is Kind.INTEGER:
        bounds = {"ge": column.minimum, "le": column.maximum}
    types: dict[Kind, Any] = {
        Kind.TEXT: Text,
        Kind.TEXTS: list[Text],
        Kind.MOMENT: Moment,
        Kind.REFERENCE: str,
    }
    shown = (
        Annotated[column.type, _choice(column.type)]
        if column.kind is Kind.ENUM
        else types.get(column.kind, column.type)
    )
    return (shown | None if column.is_nullable else shown), Field(description=description, **bounds, **default)


@arguments_to_create(Task)
class AddTask(_Arguments):
    """What a task is made from."""


@arguments_to_update(Task)
class UpdateTask(_Arguments):
    """A task and its changes: what is left out stays."""

    task_id: str = Field(description="the id of the task to change")


class OneTask(_Arguments):
    """Names one task."""

    task_id: str = Field(description="the id of the task, as list_tasks or search returned it")


def json_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """Return what is told to a language model: no titles, which repeat the names, and no defaults that say nothing."""
    schema = arguments.model_json_schema()
    properties = {
        name: {key: value for key, value in given.items() if key != "title" and not (key == "default" and not value)}
        for name, given in schema["properties"].items()
    }
    return {
        "type": "object",
        "properties": properties,
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def read_object(raw: str | bytes | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return arguments as a model writes them, or refuse what is no object; nothing at all is an empty one."""
    if isinstance(raw, Mapping):
        return raw
    if len(raw) > _MOST_BYTES:
        raise BadUserInputError(f"The arguments are longer than {_MOST_BYTES:,} bytes; send less.")
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
    for _ in range(_MOST_DEPTH):
        containers = [inner for inner in level if isinstance(inner, dict | list)]
        level = [part for each in containers for part in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return False
    return True


def read_model(name: str, arguments: type[Arguments], raw: str | bytes | Mapping[str, Any]) -> Arguments:
    """Return the arguments of a tool, or say in a sentence what is wrong with the first that is wrong."""
    given = read_object(raw)
    if len(given) > _MOST_NAMES:
        raise BadUserInputError(f"{name} does not take {len(given)} arguments; {_known(arguments)}")
    try:
        return arguments.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    except RecursionError:
        raise BadUserInputError(f"The arguments of {name} are nested too deep; {_known(arguments)}") from None
    argument = str(first["loc"][0]) if first["loc"] else name
    if first["type"] == "extra_forbidden":
        message = f"{name} has no argument {argument[:60]!r}; {_known(arguments)}"
    elif first["type"] == "missing":
        message = f"{name} needs the argument {argument}."
    elif first["input"] is None:
        message = f"{argument} cannot be null; leave it out."
    else:
        message = _wrong_value(argument, first)
    raise BadUserInputError(message, path=(argument,) if argument in arguments.model_fields else None)


def _wrong_value(argument: str, error: ErrorDetails) -> str:
    """Return what is said of a value, in the words of the services where they check the same."""
    if error["type"] == _UNSTORABLE:
        place = "".join(f"[{index}]" for index in error["loc"][1:])
        return f"{argument}{place} {error['msg']}"
    if argument == "tags" and error["type"] == "too_long":
        return f"A task has at most {error['ctx']['max_length']} tags; these are {error['ctx']['actual_length']}."
    return f"{argument} is wrong: {error['msg'].removeprefix('Value error, ').rstrip('.')}."


def _known(arguments: type[BaseModel]) -> str:
    return f"its arguments are {', '.join(arguments.model_fields)}."
