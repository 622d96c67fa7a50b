"""A table's type says what its columns say: type, nullability, description and scalar."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final, get_args

import pytest
from graphql import GraphQLEnumType, GraphQLObjectType
from sqlmodel import SQLModel

from graph.mapping import COLUMNS_BY_FIELD
from models import (
    Conversation,
    HistoryAction,
    HistoryEntry,
    Message,
    MessageRole,
    MessageStatus,
    Run,
    RunStatus,
    Task,
    TaskPriority,
    ToolCall,
    ToolCallStatus,
    User,
)
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
SHOWN: Final[dict[type[SQLModel], str]] = {
    User: "email name image email_verified is_active is_admin created_at updated_at",
    Task: "title description completed completed_at priority due_at tags revision created_at updated_at",
    HistoryEntry: "kind created_at",
    Conversation: "title revision created_at updated_at",
    Message: "role content status revision created_at",
    Run: "status model input_tokens output_tokens error revision created_at finished_at undone_at",
    ToolCall: "name arguments result status revision created_at",
}
HIDDEN: Final[dict[type[SQLModel], str]] = {
    User: "passwordHash password_hash issuer revision",
    Task: "words userId parentId user_id",
    HistoryEntry: "userId taskId runId toolCallId revision before after",
    Conversation: "userId",
    Message: "userId conversationId",
    Run: "userId conversationId messageId replyId state leaseUntil timeZone",
    ToolCall: "userId runId callId position",
}


def type_of(model: type[SQLModel]) -> GraphQLObjectType:
    named = SCHEMA.type_map[model.__name__]
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
    name: str = SCALARS.get(inner) or inner.__name__
    return name if optional else f"{name}!"


@pytest.mark.parametrize(("model", "column"), [(model, name) for model in SHOWN for name in SHOWN[model].split()])
def test_a_field_is_as_its_column(model: type[SQLModel], column: str) -> None:
    field, described = type_of(model).fields[camel(column)], model.model_fields[column]
    assert str(field.type) == expected_type(described.annotation)
    assert field.description == described.description
    assert COLUMNS_BY_FIELD[model][camel(column)] == {column}


@pytest.mark.parametrize(("model", "name"), [(model, name) for model in HIDDEN for name in HIDDEN[model].split()])
def test_a_type_shows_only_what_it_names(model: type[SQLModel], name: str) -> None:
    assert name not in type_of(model).fields


@pytest.mark.parametrize("enum", [TaskPriority, HistoryAction, MessageRole, MessageStatus, RunStatus, ToolCallStatus])
def test_an_enum_is_as_its_columns(enum: type[StrEnum]) -> None:
    named = SCHEMA.type_map[enum.__name__]
    assert isinstance(named, GraphQLEnumType)
    assert list(named.values) == [member.value for member in enum]
    assert named.description == enum.__doc__


@pytest.mark.parametrize("model", [model for model in SHOWN if model is not HistoryEntry])
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
