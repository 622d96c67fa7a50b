"""A table's GraphQL type says what its columns say: type, nullability, description; and everything is described."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import pytest
from graphql import GraphQLEnumType, GraphQLObjectType, is_introspection_type, is_specified_scalar_type
from pydantic.alias_generators import to_camel
from sqlmodel import SQLModel

import models
from graph.descriptions import members
from graph.mapping import COLUMNS_BY_FIELD
from models import ENTITIES
from models.columns import Kind, columns_of
from server.graphql.schema import core_schema, schema

SCHEMA: Final = core_schema(schema)
SCALARS: Final = {
    str: "String",
    bool: "Boolean",
    int: "Int",
    datetime: "DateTime",
    models.HistoryAction: "TaskChangeKind",
}
NAMES: Final[dict[type[SQLModel], str]] = {models.HistoryEntry: "TaskChange"}
# A change shows no revision, for it never changes; a token's scopes are shown by their own names, and
# a session was last used when it began where nobody has used it since.
EXCEPTIONS: Final = {
    (models.HistoryEntry, "revision"),
    (models.AccessToken, "scopes"),
    (models.Session, "last_used_at"),
}
MODELS: Final = (*ENTITIES, models.User, models.HistoryEntry, models.AccessToken, models.AuditEvent, models.Session)


def type_of(model: type[SQLModel]) -> GraphQLObjectType:
    named = SCHEMA.type_map[NAMES.get(model, model.__name__)]
    assert isinstance(named, GraphQLObjectType)
    return named


def expected_type(model: type[SQLModel], name: str) -> str:
    column = columns_of(model)[name]
    shown = {Kind.JSON: "JSON", Kind.TEXTS: "[String!]"}.get(column.kind)
    shown = shown or SCALARS.get(column.type) or column.type.__name__
    is_nullable = column.is_nullable or model.model_fields[name].annotation is Any
    return shown if is_nullable else f"{shown}!"


@pytest.mark.parametrize("model", MODELS)
def test_type_shows_public_columns_as_they_are_described(model: type[SQLModel]) -> None:
    fields = type_of(model).fields
    for name, column in columns_of(model).items():
        if (model, name) in EXCEPTIONS:
            continue
        if column.is_public and column.kind is not Kind.REFERENCE:
            assert str(fields[to_camel(name)].type) == expected_type(model, name)
            assert fields[to_camel(name)].description == column.description
            assert COLUMNS_BY_FIELD[model][to_camel(name)] == {name}
        elif (named := to_camel(name.removesuffix("_id"))) != to_camel(name) and named in fields:
            # Beside what it refers to.
            assert str(fields[to_camel(name)].type) == ("ID" if column.is_nullable else "ID!")
            assert COLUMNS_BY_FIELD[model][to_camel(name)] == COLUMNS_BY_FIELD[model][named] == {name}
        elif name != "id":
            assert to_camel(name) not in fields
    assert str(fields["id"].type) == "ID!"


def test_fields_read_columns_of_their_tables() -> None:
    assert set(COLUMNS_BY_FIELD) == set(MODELS)
    for model, fields in COLUMNS_BY_FIELD.items():
        assert all(columns <= set(model.model_fields) for columns in fields.values())


@pytest.mark.parametrize(
    "enum", [models.TaskPriority, models.MessageRole, models.MessageStatus, models.RunStatus, models.ToolCallStatus]
)
def test_enum_has_members_and_description_of_its_class(enum: type[StrEnum]) -> None:
    named = SCHEMA.type_map[enum.__name__]
    assert isinstance(named, GraphQLEnumType)
    assert list(named.values) == [member.value for member in enum]
    assert named.description == enum.__doc__


def test_every_type_field_argument_and_value_is_described() -> None:
    types = [named for named in SCHEMA.type_map.values() if not is_introspection_type(named)]
    assert [named for named in types if not named.description and not is_specified_scalar_type(named)] == []
    found = list(members(SCHEMA))
    assert len(found) > 100
    assert [f"{name}.{member}" for name, part, member in found if not part.description] == []
