"""CoerceVariableValues and CoerceArgumentValues of the specification, as tables: every type by every kind of value."""

from itertools import product
from typing import Any, Final

import pytest
from graphql import GraphQLSchema, build_schema

from tests.engine.both import label, same

INPUTS: Final = """
    enum Colour { RED GREEN }
    input Point { x: Int! = 1  y: Int  label: String = "none"  next: Point  list: [Int!] }
    input Strict { x: Int! }
    input Either @oneOf { a: Int  b: Point }
    scalar Any
"""
ABSENT: Final = object()
TYPES: Final[dict[str, tuple[Any, ...]]] = {
    "Int": (3, 1.0, 1.5, "1", 2**31, True),
    "Float": (1, 1.5, "1.5", False),
    "String": ("s", 3, True, ["s"]),
    "Boolean": (True, 1, "true"),
    "ID": ("i", 3, 1.5),
    "Colour": ("RED", "BLUE", 1),
    "[Int]": ([1, None], [], 3, ["x"], [[1]], [1, "x", "y"]),
    "[Int!]": ([1, 2], [1, None], 3, "x"),
    "[[Int]]": ([[1], None, []], [1, 2], 1, [[None]], [["x"]]),
    "Point": ({}, {"x": 2, "y": None}, {"x": None}, {"z": 1}, {"next": {"next": {"x": "x"}}}, {"list": 5}, 3, []),
    "Strict": ({"x": 1}, {}, {"x": None}),
    "Either": ({"a": 1}, {"b": {}}, {"a": 1, "b": {}}, {}, {"a": None}, {"b": {"x": "x"}}),
    "Any": ({"any": [1, None]}, [], "s", None),
}
LITERALS: Final = {
    "Int": ("3", "1.5", '"1"', "2147483648", "RED", "[1]"),
    "Float": ("1", "1.5", "1e3", '"1.5"'),
    "String": ('"s"', '"""block"""', "3", "RED"),
    "Boolean": ("true", "1"),
    "ID": ('"i"', "3", "1.5"),
    "Colour": ("RED", "BLUE", '"RED"'),
    "[Int]": ("[1, null]", "[]", "3", '["x"]', "[[1]]", "[$int, 2]", "[$int]"),
    "[Int!]": ("[1]", "[1, null]", "3", "[$int]"),
    "[[Int]]": ("[[1], null]", "[1, 2]", "1", "[[$int], [$int, 1]]"),
    "Point": ("{}", "{x: 2, y: null}", "{x: null}", "{z: 1}", "{y: $int}", "{x: $int}", "{next: {list: [$int]}}", "3"),
    "Strict": ("{x: 1}", "{}", "{x: $int}"),
    "Either": ("{a: 1}", "{a: 1, b: {}}", "{}", "{a: null}", "{a: $int}", "{b: {y: $int}}"),
    "Any": ("{any: [1, null]}", "RED", "[$int]", "null"),
}
DEFAULTS: Final = {
    "Int": "5",
    "Float": "5.5",
    "String": '"d"',
    "Boolean": "false",
    "ID": '"d"',
    "Colour": "GREEN",
    "[Int]": "[5, null]",
    "[Int!]": "5",
    "[[Int]]": "[[5]]",
    "Point": "{y: 5, next: {}}",
    "Strict": "{x: 5}",
    "Either": "{a: 5}",
    "Any": "{any: 5}",
}


def make(argument: str) -> GraphQLSchema:
    schema = build_schema(f"{INPUTS} type Query {{ told(it: {argument}, other: Int): String }}")
    assert schema.query_type is not None
    schema.query_type.fields["told"].resolve = lambda _source, _info, **arguments: repr(arguments)
    return schema


@pytest.mark.parametrize("type_", TYPES, ids=label)
async def test_variables(type_: str) -> None:
    """Every value for a variable, nullable or not, with and without a default, for an argument of either kind."""
    values = (*TYPES[type_], None, ABSENT)
    for argument in (type_, f"{type_} = {DEFAULTS[type_]}", f"{type_}!", f"{type_}! = {DEFAULTS[type_]}"):
        schema = make(argument)
        for variable, value in product((type_, f"{type_} = {DEFAULTS[type_]}", f"{type_} = null", f"{type_}!"), values):
            given = {} if value is ABSENT else {"it": value}
            await same(schema, f"query ($it: {variable}) {{ told(it: $it) }}", variables=given)


@pytest.mark.parametrize("type_", LITERALS, ids=label)
async def test_literals(type_: str) -> None:
    """Every literal, null and nothing, for an argument that is nullable or not, with and without a default."""
    literals = [f"(it: {literal}, other: $int)" for literal in (*LITERALS[type_], "null", "$unknown")]
    for argument in (type_, f"{type_} = {DEFAULTS[type_]}", f"{type_}!", f"{type_}! = {DEFAULTS[type_]}"):
        schema = make(argument)
        for literal in (*literals, "(other: 1)", ""):
            for given in ({}, {"int": 7}, {"int": None}):
                await same(schema, f"query ($int: Int) {{ told{literal} }}", variables=given)


@pytest.mark.parametrize(
    "declared",
    ["$it: Int, $it: String", "$it: Unknown", "$it: Query", "$it: [Query!]!", '$it: Int = "x"', "$it: Point = {z: 1}"],
)
async def test_declarations_that_are_wrong(declared: str) -> None:
    for value in (1, "x", None):
        await same(make("Int"), f"query ({declared}) {{ told(it: $it) }}", variables={"it": value})
    await same(make("Int"), f"query ({declared}) {{ told(it: $it) }}")


async def test_variables_that_are_not_declared_are_not_seen() -> None:
    result = await same(make("Int"), "query ($it: Int) { told(it: $it, other: $more) }", variables={"it": 1, "more": 2})
    assert result.data == {"told": "{'it': 1}"}


async def test_values_nested_too_deeply() -> None:
    value: Any = {}
    for _ in range(500):
        value = {"next": value}
    result = await same(make("Point"), "query ($it: Point) { told(it: $it) }", variables={"it": value})
    assert result.errors
