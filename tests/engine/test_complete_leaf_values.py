"""Scalars and enums: what is a value of each, and what is an error."""

from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any, Final

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    Undefined,
    build_schema,
)  # fmt: skip

import engine
from tests.engine.both import label, same

SCHEMA: Final = build_schema("""
    enum Colour { RED GREEN }
    type Query { int: [Int]  float: [Float]  string: [String]  boolean: [Boolean]  id: [ID]  colour: [Colour] }
""")


class Word(StrEnum):
    RED = "RED"


class Number(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


VALUES: Final[list[Any]] = [
    None, Undefined, True, False, 0, 1, -1, 2**31 - 1, -(2**31), 2**31, -(2**31) - 1, 0.0, 1.0, 1.5, float("nan"),
    float("inf"), "", "1", "1.5", "text", "RED", Text("RED"), Word.RED, Number.ONE, Decimal(2), Fraction(1, 2),
    b"RED", [], {}, object, 10**400,
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=label)
@pytest.mark.parametrize("name", ["int", "float", "string", "boolean", "id", "colour"])
async def test_value_among_others_is_serialized_as_by_graphql_core(name: str, value: Any) -> None:
    good = {"int": 3, "float": 0.5, "string": "s", "boolean": True, "id": "i", "colour": "GREEN"}[name]
    for values in ([value], [value, value], [good, value, good], [None, value, good]):
        result = await same(SCHEMA, f"{{ {name} }}", {name: values})
        expected = await same(SCHEMA, f"{{ {name} }}", {name: tuple(values)})
        assert list(map(type, (result.data or {})[name])) == list(map(type, (expected.data or {})[name]))


class Colour(Enum):
    RED = 1
    GREEN = 2


@pytest.mark.parametrize("names_as_values", [False, True, None])
async def test_python_enums(names_as_values: bool | None) -> None:
    enum = GraphQLEnumType("Colour", Colour, names_as_values=names_as_values)
    query = GraphQLObjectType("Query", {"colours": GraphQLField(GraphQLList(enum))})
    schema = GraphQLSchema(query)
    odd: list[list[Any]] = [[1, 2], ["RED"], [Colour.RED, Number.ONE], [Word.RED], [[]]]
    for values in ([Colour.RED, Colour.GREEN, None], *odd):
        await same(schema, "{ colours }", {"colours": values})


def take(value: Any) -> Any:
    if value == "bad":
        raise ValueError("bad value")
    return {"none": None, "undefined": Undefined}.get(value, value)


@pytest.mark.parametrize("is_required", [False, True])
async def test_custom_scalar(is_required: bool) -> None:
    scalar = GraphQLScalarType("Any", coerce_output_value=take)
    type_: Any = GraphQLNonNull(scalar) if is_required else scalar
    item = GraphQLObjectType("Item", {"value": GraphQLField(type_), "values": GraphQLField(GraphQLList(type_))})
    schema = GraphQLSchema(GraphQLObjectType("Query", {"items": GraphQLField(GraphQLList(item))}))
    values = ["good", "bad", None, "none", {"any": "thing"}, "undefined", 3]
    root = {"items": [{"value": value, "values": values} for value in values]}
    await same(schema, "{ items { value values } }", root)
    await same(schema, "{ items { value } }", root)


async def test_as_is_scalar_leaves_values_unchanged() -> None:
    scalar = GraphQLScalarType("Any", coerce_output_value=engine.as_is)
    type_: Any = GraphQLNonNull(scalar)
    fields = {"values": GraphQLField(GraphQLList(scalar)), "strict": GraphQLField(GraphQLList(type_))}
    schema = GraphQLSchema(GraphQLObjectType("Query", fields))
    values = ["text", 1, None, {"any": "thing"}, Undefined, ValueError("returned")]
    await same(schema, "{ values }", {"values": values})
    await same(schema, "{ strict }", {"strict": values})
