"""A table's type says what its columns say: type, nullability, description and scalar."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, get_args, get_origin

import pytest
from graphql import GraphQLEnumType, GraphQLObjectType
from sqlmodel import SQLModel

from graph.mapping import COLUMNS_BY_FIELD
from models import (
    ENTITIES,
    HistoryAction,
    HistoryEntry,
    MessageRole,
    MessageStatus,
    RunStatus,
    TaskPriority,
    ToolCallStatus,
    User,
)
from models.columns import Kind, public_columns
from server.graphql.schema import core_schema, schema

SCHEMA: Final = core_schema(schema)
SCALARS: Final = {
    str: "String",
    bool: "Boolean",
    int: "Int",
    datetime: "DateTime",
    list[str]: "[String!]",
    dict[str, Any]: "JSON",
}
# The models whose types show all their public columns; a reference is a field of its own, which loads the row.
MODELS: Final[tuple[type[SQLModel], ...]] = (User, *ENTITIES)
SHOWN: Final[list[tuple[type[SQLModel], str]]] = [
    (model, column.name)
    for model in MODELS
    for column in public_columns(model)
    if column.kind is not Kind.REFERENCE and (model, column.name) != (User, "revision")
] + [(HistoryEntry, "kind"), (HistoryEntry, "created_at")]
NAMES: Final[dict[type, str]] = {HistoryEntry: "TaskChange", HistoryAction: "TaskChangeKind"}
# Whatever the models say of them.
SECRET: Final = {
    *("passwordHash", "issuer", "words", "state", "leaseUntil", "timeZone", "callId", "position", "before", "after"),
    *("userId", "parentId", "rowId", "conversationId", "messageId", "replyId", "runId", "toolCallId"),
}


def type_of(model: type[SQLModel]) -> GraphQLObjectType:
    named = SCHEMA.type_map[NAMES.get(model, model.__name__)]
    assert isinstance(named, GraphQLObjectType)
    return named


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)


def expected_type(annotation: Any) -> str:
    if annotation is Any:
        return "JSON"
    optional = type(None) in get_args(annotation)
    inner: Any = get_args(annotation)[0] if optional else annotation
    if get_origin(inner) is list:
        inner = list[str]
    name: str = SCALARS.get(inner) or NAMES.get(inner, inner.__name__)
    return name if optional else f"{name}!"


@pytest.mark.parametrize(("model", "column"), SHOWN)
def test_a_field_is_as_its_column(model: type[SQLModel], column: str) -> None:
    field, described = type_of(model).fields[camel(column)], model.model_fields[column]
    assert str(field.type) == expected_type(described.annotation)
    assert field.description == described.description
    assert COLUMNS_BY_FIELD[model][camel(column)] == {column}


@pytest.mark.parametrize("model", [*MODELS, HistoryEntry])
def test_type_shows_no_other_column_than_public_ones(model: type[SQLModel]) -> None:
    names = {name for name in model.model_fields if name != "id" and (model, name) not in SHOWN}
    assert names
    assert not SECRET & set(type_of(model).fields)
    assert not {spelled for name in names for spelled in (name, camel(name))} & set(type_of(model).fields)


@pytest.mark.parametrize("enum", [TaskPriority, HistoryAction, MessageRole, MessageStatus, RunStatus, ToolCallStatus])
def test_an_enum_is_as_its_columns(enum: type[StrEnum]) -> None:
    named = SCHEMA.type_map[NAMES.get(enum, enum.__name__)]
    assert isinstance(named, GraphQLEnumType)
    assert list(named.values) == [member.value for member in enum]
    assert named.description == enum.__doc__


@pytest.mark.parametrize("model", MODELS)
def test_a_type_is_a_described_node(model: type[SQLModel]) -> None:
    named = type_of(model)
    assert [interface.name for interface in named.interfaces] == ["Node"]
    assert named.description
    assert str(named.fields["id"].type) == "ID!"
    assert all(field.description for field in named.fields.values())


def test_every_type_of_the_schema_is_described() -> None:
    roots = {SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type}
    own = [named for name, named in SCHEMA.type_map.items() if not name.startswith("__") and named not in roots]
    assert [named.name for named in own if not named.description] == []
