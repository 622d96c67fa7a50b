"""Strawberry types made of SQLModel tables: object types, inputs to create and update a row, filters, orders, enums."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

import strawberry
from sqlmodel import SQLModel
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from graph.scalars import Json
from models.base import Editable, noun_of
from models.columns import Column, Kind, columns_of, creatable_columns, public_columns, updatable_columns
from services.entities.lists import EntityFilter, EntityOrder
from services.entities.service import NewRow

Class = TypeVar("Class", bound=type)
UNSET: Final[Any] = strawberry.UNSET
_READS: Final = "reads"
_REFERS_BY: Final = "refers by"
_EXPECTED_REVISION: Final = "The revision that the client has seen; another one gets CONFLICT."
IDEMPOTENCY_KEY: Final = "Sent again with the same input, it gives the first answer again."
# Which columns each field of a table's type reads; filled as the types are declared.
COLUMNS_BY_FIELD: Final[dict[type[SQLModel], dict[str, frozenset[str]]]] = {}


@strawberry.interface(description="A thing with an id that is its own everywhere and for ever.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque, unique and stable; the same in every API.")

    @classmethod
    def resolve_type(cls, source: "TypedRow", *_: Any) -> str:
        """Return the name of the row's type."""
        return source.type_name


class TypedRow:
    """A row with the name of its GraphQL type, for fields that return any Node."""

    __slots__ = ("_row", "type_name")

    def __init__(self, type_name: str, row: Any) -> None:
        self.type_name = type_name
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def table_type(model: type[SQLModel], *, name: str | None = None) -> Callable[[Class], Class]:
    """Make a Strawberry type that shows the table's public columns; of a class with fields that are `auto`, just those.

    References are fields of their own, which load what they refer to; beside each stands its id.
    """

    def decorate(cls: Class) -> Class:
        annotations = inspect.get_annotations(cls)
        chosen = [key for key, value in annotations.items() if value is strawberry.auto]
        shown = [columns_of(model)[key] for key in chosen] or [
            column
            for column in public_columns(model)
            if column.kind is not Kind.REFERENCE and column.name not in annotations and column.name not in vars(cls)
        ]
        for column in shown:
            annotations[column.name] = _output_type(column)
            setattr(cls, column.name, strawberry.field(description=column.description))
        for reference, field in list(vars(cls).items()):
            if isinstance(field, StrawberryField) and (key := field.metadata.get(_REFERS_BY)):
                annotations[key] = strawberry.ID | None if columns_of(model)[key].is_nullable else strawberry.ID
                setattr(cls, key, strawberry.field(description=f"The id of its {reference.replace('_', ' ')}."))
        cls.__annotations__ = annotations
        mapped: Class = strawberry.type(cls, name=name, description=_first_line(model))
        COLUMNS_BY_FIELD[model] = _columns_by_field(mapped, model)
        return mapped

    return decorate


def given(value: object) -> dict[str, Any]:
    """Return the fields of an input that are given."""
    return {key: value for key, value in vars(value).items() if value is not UNSET}


class CreateInput:
    """The base of inputs that create a row: `create_input` adds a field for each column that clients may set."""

    def to_new(self) -> NewRow:
        """Return what the service takes."""
        values = given(self)
        row_id, idempotency_key = values.pop("id", None), values.pop("idempotency_key", None)
        return NewRow(values, row_id, idempotency_key)


class UpdateInput:
    """The base of inputs that update a row: what is left out stays, null clears."""

    id: strawberry.ID
    expected_revision: int | None

    def to_changes(self) -> Mapping[str, Any]:
        """Return what is given."""
        return {key: value for key, value in given(self).items() if key not in ("id", "expected_revision")}


@strawberry.input
class RefInput:
    """The base of inputs that name one row."""

    id: strawberry.ID
    expected_revision: int | None = strawberry.field(default=None, description=_EXPECTED_REVISION)


def create_input(model: type[Editable]) -> Callable[[Class], Class]:
    """Add to a class the columns that clients set when they create a row, an id of their own and an idempotency key."""

    def decorate(cls: Class) -> Class:
        own = dict(inspect.get_annotations(cls))
        columns = [column for column in creatable_columns(model) if column.name not in own]
        _add_fields(cls, [column for column in columns if column.is_required])
        _add_field(cls, "id", strawberry.ID | None, "A UUID that the client made, or ours.", default=None)
        _add_fields(cls, [column for column in columns if not column.is_required])
        description = f"{IDEMPOTENCY_KEY.removesuffix('.')}; not in a list."
        _add_field(cls, "idempotency_key", str | None, description, default=None)
        return strawberry.input(cls, description=f"A {noun_of(model)} to make.")

    return decorate


def update_input(model: type[Editable]) -> Callable[[Class], Class]:
    """Add to a class the columns that clients may update, each absent where it is left out."""

    def decorate(cls: Class) -> Class:
        own = dict(inspect.get_annotations(cls))
        _add_field(cls, "id", strawberry.ID, f"The {noun_of(model)} to change.")
        for column in updatable_columns(model):
            if column.name not in own:
                null = "" if column.is_nullable or column.kind is Kind.TEXTS else "; not null"
                description = f"{column.input_description.removesuffix('.')}{null}."
                _add_field(cls, column.name, _input_type(column) | None, description, default=UNSET)
        _add_field(cls, "expected_revision", int | None, _EXPECTED_REVISION, default=None)
        description = f"What is to change of a {noun_of(model)}: what is left out stays, null clears."
        return strawberry.input(cls, description=description)

    return decorate


def filter_input(cls: type[EntityFilter]) -> None:
    """Make a Strawberry input of a filter, each of whose conditions is described as its column is."""
    columns = columns_of(cls.model)
    for name, column in columns.items():
        if column.is_filterable and column.kind is Kind.REFERENCE:
            cls.__annotations__[name] = strawberry.ID | None
        elif column.is_filterable and column.kind is Kind.ENUM:
            enum_type(column.type)
    input_type(cls)
    definition: StrawberryObjectDefinition = cls.__strawberry_definition__  # type: ignore[attr-defined]  # set above
    for field in definition.fields:
        if field.python_name in columns:
            field.description = columns[field.python_name].description


def order_input(cls: type[EntityOrder]) -> None:
    """Make a Strawberry input of an order, whose fields are described as their columns are."""
    columns = columns_of(cls.model)

    def describe(member: StrEnum) -> str:
        column = columns[member.lower()]
        note = ", without regard to the case of ASCII letters" if column.kind is Kind.TEXT else ""
        note += "; rows without it come last in either direction" if column.is_nullable else ""
        return f"{column.description.removesuffix('.')}{note}."

    enum_type(cls.fields, describe)
    input_type(cls)


def input_type(cls: Class, name: str | None = None) -> Class:
    """Make a Strawberry input of a dataclass of the services; what is in it must be made known before."""
    strawberry.input(cls, name=name, description=_first_line(cls))
    return cls


def enum_type(cls: type[StrEnum], describe: Callable[[Any], str] | None = None, *, name: str | None = None) -> None:
    """Make an enum known to Strawberry, with the descriptions of its members; once only."""
    if isinstance(getattr(cls, "__strawberry_definition__", None), StrawberryEnumDefinition):
        return
    strawberry.enum(cls, name=name, description=_first_line(cls))
    definition: StrawberryEnumDefinition = cls.__strawberry_definition__  # type: ignore[attr-defined]  # set above
    for value in definition.values:
        member = cls[value.name]
        value.description = describe(member) if describe else getattr(member, "description", None)


def reads_columns(*columns: str, description: str, graphql_type: Any = None) -> Any:
    """Return a field whose resolver reads these columns of its parent's row."""
    return strawberry.field(metadata={_READS: columns}, description=description, graphql_type=graphql_type)


def refers_by(column: str, *, description: str, graphql_type: Any) -> Any:
    """Return a field whose resolver loads what a column of its parent's row refers to."""
    metadata = {_READS: (column,), _REFERS_BY: column}
    return strawberry.field(metadata=metadata, description=description, graphql_type=graphql_type)


def _add_fields(cls: type, columns: Iterable[Column]) -> None:
    for column in columns:
        annotation = _input_type(column) | None if column.is_nullable else _input_type(column)
        _add_field(cls, column.name, annotation, column.input_description, **column.default_argument)


def _add_field(cls: type, name: str, annotation: Any, description: str, **default: Any) -> None:
    cls.__annotations__ = {key: value for key, value in inspect.get_annotations(cls).items() if key != name}
    cls.__annotations__[name] = annotation
    setattr(cls, name, strawberry.field(description=description, **default))


def _output_type(column: Column) -> Any:
    if column.kind is Kind.JSON:
        shown: Any = Json
    else:
        shown = _input_type(column)
    is_nullable = column.is_nullable or column.model.model_fields[column.name].annotation is Any
    return shown | None if is_nullable else shown


def _input_type(column: Column) -> Any:
    """Return the type of a column that clients send, null aside; its enums become GraphQL's on the way."""
    if column.kind is Kind.ENUM:
        enum_type(column.type)
    if column.kind is Kind.TEXTS:
        return list[str]
    return strawberry.ID if column.kind is Kind.REFERENCE else column.type


def _columns_by_field(cls: Any, model: type[SQLModel]) -> dict[str, frozenset[str]]:
    """Return the columns that each field reads: those that it names, or the one of its name."""
    definition: StrawberryObjectDefinition = cls.__strawberry_definition__
    return {
        field.graphql_name or to_camel_case(field.python_name): frozenset(
            field.metadata.get(_READS, {field.python_name} & model.model_fields.keys())
        )
        for field in definition.fields
    }


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]
