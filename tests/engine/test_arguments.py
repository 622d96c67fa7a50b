"""Arguments and variables: defaults, nulls, enums, input objects, and what is refused."""

from typing import Any, Final

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    build_schema,
    parse,
)

import engine
from tests.engine.both import same

SCHEMA: Final = build_schema("""
    enum Colour { RED GREEN }
    input Point { x: Int! = 1  y: Int  label: String = "none"  next: Point }
    input Either @oneOf { a: Int  b: String }
    type Item { echo(int: Int, list: [Int]): String }
    type Query {
        echo(int: Int = 3, needed: String! = "n", colour: Colour = RED, list: [Int!] = [1], point: Point, either: Either
            flag: Boolean, id: ID, float: Float): String
        strict(int: Int!): String
        sure(int: Int!): String!
        items: [Item]
    }
""")


def resolve(_source: Any, _info: Any, **arguments: Any) -> str:
    return repr(arguments)


for type_name in ("Query", "Item"):
    found = SCHEMA.type_map[type_name]
    assert isinstance(found, GraphQLObjectType)
    for field in found.fields.values():
        if field.args:
            field.resolve = resolve
ROOT: Final[dict[str, Any]] = {"items": [{}, {}]}

CASES: Final[list[tuple[str, dict[str, Any] | None]]] = [
    ("{ echo }", None),
    ("{ echo(int: null, colour: GREEN, list: null) }", None),
    ('{ echo(int: 4, needed: "x", list: 7, flag: true, id: 3, float: 1) }', None),
    ('{ echo(point: {}) a: echo(point: {x: 2, y: null, next: {label: "l"}}) }', None),
    ('{ echo(either: {a: 1}) b: echo(either: {b: "b"}) }', None),
    ("query ($i: Int) { echo(int: $i) }", None),
    ("query ($i: Int) { echo(int: $i) }", {"i": None}),
    ("query ($i: Int) { echo(int: $i) }", {"i": 5}),
    ("query ($i: Int = 9) { echo(int: $i, list: [1, $i]) }", {}),
    ("query ($c: Colour, $p: Point) { echo(colour: $c, point: $p) }", {"c": "GREEN", "p": {"y": 3}}),
    ("query ($e: Either) { echo(either: $e) }", None),
    ("query ($e: Either!) { echo(either: $e) }", {"e": {"a": 1}}),
    ("query ($b: String!) { echo(either: {b: $b}, point: {label: $b}) }", {"b": "b"}),
    ("query ($i: Int!) { items { echo(int: $i) a: echo(list: [$i, null]) } }", {"i": 5}),
    # Refused as a whole.
    ("query ($i: Int!) { strict(int: $i) }", None),
    ("query ($i: Int!) { strict(int: $i) }", {"i": "five"}),
    ("query ($c: Colour, $p: Point) { echo(colour: $c, point: $p) }", {"c": "BLUE", "p": {"z": 1}}),
    ("query ($e: Either!) { echo(either: $e) }", {"e": {"a": 1, "b": "b"}}),
    ("query ($e: Either!) { echo(either: $e) }", {"e": {"a": None}}),
    ("query ($x: Unknown) { echo }", {"x": 1}),
    # Refused for one field: no validation has run.
    ("{ strict echo }", None),
    ('{ strict(int: "one") echo(colour: BLUE) a: echo(either: {a: 1, b: "b"}) }', None),
    ("{ echo sure }", None),
    ("query ($i: Int) { strict(int: $i) items { echo(int: $i) } }", None),
    ("query ($i: Int) { strict(int: $i) items { echo(list: [$i]) } }", {"i": None}),
    ('{ items { echo(int: "x") } }', None),
    ("{ strict(int: $unknown) }", None),
]


@pytest.mark.parametrize(("query", "variables"), CASES)
async def test_argument_values(query: str, variables: dict[str, Any] | None) -> None:
    await same(SCHEMA, query, ROOT, variables=variables)


async def test_errors_of_variables_are_limited() -> None:
    names = [f"v{number}" for number in range(60)]
    query = f"query ({' '.join(f'${name}: Int' for name in names)}) {{ echo }}"
    result = await same(SCHEMA, query, ROOT, variables=dict.fromkeys(names, "wrong"))
    assert len(result.errors or ()) == 51


async def test_argument_with_out_name() -> None:
    argument = GraphQLArgument(GraphQLInt, out_name="in_python", default_value=2)
    query = GraphQLObjectType("Query", {"echo": GraphQLField(GraphQLString, {"inSchema": argument}, resolve=resolve)})
    assert (await same(GraphQLSchema(query), "{ echo }")).data == {"echo": "{'in_python': 2}"}


async def test_arguments_are_not_shared_between_executions() -> None:
    def drain(_source: Any, _info: Any, values: dict[str, list[int]]) -> int:
        return values.pop("list").pop()

    schema = build_schema("input Values { list: [Int!] } type Query { pop(values: Values): Int }")
    assert schema.query_type is not None
    schema.query_type.fields["pop"].resolve = drain
    for query in (
        "{ pop(values: {list: [3, 4]}) }",
        "query ($v: Values = {list: [3, 4]}) { pop(values: $v) }",
        "query ($l: [Int!] = [3, 4]) { pop(values: {list: $l}) }",
    ):
        plan = engine.Plan(schema, parse(query))
        for _ in range(3):
            assert (await plan.execute()).data == {"pop": 4}
