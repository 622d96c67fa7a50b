"""Maps SQLModel tables onto Strawberry types: a type names what it exposes, the table says what it is."""

import inspect
from collections.abc import Callable, Iterable
from enum import StrEnum
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_origin

import strawberry
from sqlmodel import SQLModel
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.utils.str_converters import to_camel_case

from graph.scalars import Json

Class = TypeVar("Class", bound=type)
NEEDS: Final = "needs"
# Which columns each field of a table's type reads; filled as the types are declared.
COLUMNS_BY_FIELD: Final[dict[type[SQLModel], dict[str, frozenset[str]]]] = {}


def table_type(model: type[SQLModel], *, name: str | None = None) -> Callable[[Class], Class]:
    """Make a Strawberry type of the class: fields annotated `strawberry.auto` are as the table's columns say."""

    def decorate(cls: Class) -> Class:
        for field_name in [key for key, value in inspect.get_annotations(cls).items() if value is strawberry.auto]:
            column = model.model_fields[field_name]
            cls.__annotations__[field_name] = _graphql_annotation(column.annotation)
            setattr(cls, field_name, strawberry.field(description=column.description))
        mapped: Class = strawberry.type(cls, name=name, description=_first_line(model))
        COLUMNS_BY_FIELD[model] = _columns_by_field(mapped, model)
        return mapped

    return decorate


def input_type(cls: Class, name: str | None = None) -> Class:
    """Make a Strawberry input of a dataclass of the services; what is in it must be made known before."""
    strawberry.input(cls, name=name, description=_first_line(cls))
    return cls


def enum_type(cls: type[StrEnum]) -> None:
    """Make the enum known to Strawberry, with its own description."""
    strawberry.enum(cls, description=_first_line(cls))


def needing(*columns: str, description: str, graphql_type: Any = None) -> Any:
    """Return a field whose resolver reads these columns of its parent's row."""
    return strawberry.field(metadata={NEEDS: columns}, description=description, graphql_type=graphql_type)


def _graphql_annotation(annotation: Any) -> Any:
    """Return the column's type; its enums become GraphQL's on the way, and what is kept as JSON is shown as such."""
    if annotation is Any:
        return Json | None
    if get_origin(annotation) is dict:
        return Json
    for part in get_args(annotation) if get_origin(annotation) in (UnionType, list) else (annotation,):
        if isinstance(part, type) and issubclass(part, StrEnum) and not _is_known(part):
            enum_type(part)
    return annotation


def _is_known(enum: type[StrEnum]) -> bool:
    return isinstance(getattr(enum, "__strawberry_definition__", None), StrawberryEnumDefinition)


def _columns_by_field(cls: Any, model: type[SQLModel]) -> dict[str, frozenset[str]]:
    definition: StrawberryObjectDefinition = cls.__strawberry_definition__
    return {
        field.graphql_name or to_camel_case(field.python_name): frozenset(_columns(field, model))
        for field in definition.fields
    }


def _columns(field: Any, model: type[SQLModel]) -> Iterable[str]:
    if (needed := field.metadata.get(NEEDS)) is not None:
        return tuple(needed)
    return (field.python_name,) if field.python_name in model.model_fields else ()


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]
