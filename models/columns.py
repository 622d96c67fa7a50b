"""The one description of a column: what a model's field says beyond its SQL type, read once for every API.

A field is an ordinary SQLModel field. Its annotation, default, description and bounds mean what they mean in Pydantic;
the markers below, given by `Annotated`, say what clients may do with the column. The table's checks and indexes, the
GraphQL types, the REST models, the arguments of tools, validation, history, filters and orders are made from this.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, Self, Union, get_args, get_origin

from pydantic.alias_generators import to_camel
from pydantic_core import PydanticUndefined
from sqlmodel import SQLModel


class Kind(StrEnum):
    """What a column holds, as far as validation, filters, orders and the APIs treat it differently."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    ENUM = "enum"
    TEXTS = "list of texts"
    REFERENCE = "reference"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class Writable:
    """Clients may set the column: when they create a row, when they update it, through the assistant's tools too."""

    create: bool = True
    update: bool = True
    tools: bool = True


@dataclass(frozen=True, slots=True)
class Filterable:
    """Lists can be filtered by the column."""


@dataclass(frozen=True, slots=True)
class Sortable:
    """Lists can be ordered by the column; `has_index`: by an index of its own."""

    has_index: bool = True


@dataclass(frozen=True, slots=True)
class Recorded:
    """The history keeps the column although clients cannot set it; it keeps all that they can set."""


@dataclass(frozen=True, slots=True)
class References:
    """The column holds the id of a row of the same owner.

    When that row is deleted, the referring row is deleted as well (`cascades`), or the column is cleared.
    """

    table: str
    cascades: bool = False


class DescribedEnum(StrEnum):
    """A StrEnum whose members are described: `LOW = "LOW", "It can wait."`."""

    description: str

    def __new__(cls, value: str, description: str = "") -> Self:
        """Return a member with its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


@dataclass(frozen=True, slots=True)
class Column:
    """The description of one column."""

    model: type[SQLModel]
    name: str
    # The name in GraphQL.
    api_name: str
    kind: Kind
    # The Python type without None; of a list, that of its elements.
    type: type
    is_nullable: bool
    default: Any
    default_factory: Callable[[], Any] | None
    description: str
    # Of a text's characters, an integer's value, a list's length.
    minimum: int | None
    maximum: int | None
    # Of the characters of a list's elements.
    max_element_length: int | None
    writable: Writable | None
    references: References | None
    is_filterable: bool
    sortable: Sortable | None
    is_recorded: bool

    @property
    def is_public(self) -> bool:
        """Tell whether the APIs show the column: what is described is public."""
        return bool(self.description)

    @property
    def is_required(self) -> bool:
        """Tell whether there is no default."""
        return self.default is PydanticUndefined and self.default_factory is None

    @property
    def default_argument(self) -> dict[str, Any]:
        """Return the default as the argument that fields of Pydantic and Strawberry take; empty without one."""
        if self.is_required:
            return {}
        return {"default_factory": self.default_factory} if self.default_factory else {"default": self.default}

    def make_default(self) -> Any:
        """Return the default value."""
        return self.default if self.default_factory is None else self.default_factory()

    @property
    def input_description(self) -> str:
        """Describe the column to those who set it: what it is, and its bounds."""
        bounds = self.bounds
        return f"{self.description.removesuffix('.')}; {bounds}." if bounds else self.description

    @property
    def bounds(self) -> str:
        """Describe the bounds in words; empty where there are none."""
        if self.maximum is None:
            return ""
        if self.kind is Kind.TEXT:
            return f"{f'{self.minimum} to' if self.minimum else 'up to'} {self.maximum:,} characters"
        if self.kind is Kind.TEXTS:
            return f"up to {self.maximum}, of up to {self.max_element_length} characters each"
        return f"{self.minimum:,} to {self.maximum:,}"


@cache
def columns_of(model: type[SQLModel]) -> Mapping[str, Column]:
    """Return the descriptions of a model's columns by name, its own first, then those that it shares with others.

    Raise TypeError, naming the column, where a description is wrong.
    """
    shared = {name for base in model.__mro__[1:] for name in getattr(base, "model_fields", ())}
    names = sorted(model.model_fields, key=lambda name: name in shared)
    return MappingProxyType({name: _describe(model, name) for name in names})


@cache
def public_columns(model: type[SQLModel]) -> tuple[Column, ...]:
    """Return the columns that the APIs show."""
    return tuple(column for column in columns_of(model).values() if column.is_public)


@cache
def creatable_columns(model: type[SQLModel]) -> tuple[Column, ...]:
    """Return the columns that clients may set when they create a row; required ones first."""
    columns = [column for column in columns_of(model).values() if column.writable and column.writable.create]
    return tuple(sorted(columns, key=lambda column: not column.is_required))


@cache
def updatable_columns(model: type[SQLModel]) -> tuple[Column, ...]:
    """Return the columns that clients may set when they update a row."""
    return tuple(column for column in columns_of(model).values() if column.writable and column.writable.update)


@cache
def recorded_columns(model: type[SQLModel]) -> tuple[Column, ...]:
    """Return the columns that the history keeps."""
    return tuple(column for column in columns_of(model).values() if column.is_recorded)


_KINDS: Final = {str: Kind.TEXT, int: Kind.INTEGER, bool: Kind.BOOLEAN, datetime: Kind.MOMENT}


def _describe(model: type[SQLModel], name: str) -> Column:
    field = model.model_fields[name]
    markers = {type(marker): marker for marker in field.metadata}
    inner, is_nullable = _without_none(field.annotation)
    kind, element, element_metadata = _kind_of(inner, is_reference=References in markers)
    column = Column(
        model=model,
        name=name,
        api_name=to_camel(name),
        kind=kind,
        type=element,
        is_nullable=is_nullable,
        default=field.default,
        default_factory=field.default_factory,  # type: ignore[arg-type]  # none of ours takes the validated data
        description=field.description or "",
        minimum=_bound(field.metadata, "min_length", "ge"),
        maximum=_bound(field.metadata, "max_length", "le"),
        max_element_length=_bound(element_metadata, "max_length"),
        writable=markers.get(Writable),
        references=markers.get(References),
        is_filterable=Filterable in markers,
        sortable=markers.get(Sortable),
        is_recorded=Writable in markers or Recorded in markers,
    )
    if (problem := _problem_of(column)) is not None:
        raise TypeError(f"{model.__name__}.{name} {problem}")
    return column


def _problem_of(column: Column) -> str | None:
    bounded = (Kind.TEXT, Kind.TEXTS, Kind.INTEGER)
    problems = {
        "has no description; describe it, for every API shows the description": not column.is_public,
        f"is of a type that clients cannot set: {column.type!r}": column.kind is Kind.JSON,
        "has no upper bound; give max_length, or ge and le": column.kind in bounded and column.maximum is None,
        "has no lower bound; give ge": column.kind is Kind.INTEGER and column.minimum is None,
        "has elements without an upper bound; annotate them with StringConstraints(max_length=...)": (
            column.kind is Kind.TEXTS and column.max_element_length is None
        ),
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    if column.references and not (column.references.cascades or column.is_nullable):
        return "refers to a row whose deletion clears it; make it nullable, or let it cascade"
    return f"is Writable but {found[0]}" if column.writable and found else None


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (UnionType, Union):
        return annotation, False
    others = [each for each in get_args(annotation) if each is not NoneType]
    return (others[0] if len(others) == 1 else Any), len(others) < len(get_args(annotation))


def _kind_of(annotation: Any, *, is_reference: bool) -> tuple[Kind, type, tuple[Any, ...]]:
    if is_reference:
        return Kind.REFERENCE, str, ()
    if get_origin(annotation) is list:
        element, *metadata = get_args(get_args(annotation)[0]) or get_args(annotation)
        return (Kind.TEXTS, str, tuple(metadata)) if element is str else (Kind.JSON, object, ())
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Kind.ENUM, annotation, ()
    if annotation in _KINDS:
        return _KINDS[annotation], annotation, ()
    return Kind.JSON, object, ()


def _bound(metadata: Any, *names: str) -> int | None:
    values = [getattr(each, name, None) for each in metadata for name in names]
    return next((value for value in values if value is not None), None)
