"""Values that are completed: lists of any iterable, scalars and enums, and objects of interfaces and unions."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
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
)

import engine
from tests.engine.both import breadth_first, label, same

LISTS: Final = build_schema("""
    type Item { id: Int!  words: [String!] }
    type Query { numbers: [Int]  strict: [Int!]  grid: [[Int!]]  cube: [[[Int]!]!]!  items: [Item!]  rows: [[Item]] }
""")


async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


def iterate(*items: Any) -> Iterator[Any]:
    for item in items:
        if isinstance(item, Exception):
            raise item
        yield item


async def stream(*items: Any) -> AsyncIterator[Any]:
    for item in iterate(*items):
        yield item
        await asyncio.sleep(0)


BROKEN: Final = ValueError("broken")
ITERABLES: Final[dict[str, Any]] = {
    label(value): value
    for value in ([], (), [1], (1, 2), deque([1]), {1: 2}, "text", b"bytes", 5, {3}, range(3), [[], [1], [[2]]])
} | {
    "generator": lambda _info: iterate(1, 2),
    "broken generator": lambda _info: iterate(1, None, BROKEN),
    "stream": lambda _info: stream(1, 2),
    "broken stream": lambda _info: stream("wrong", BROKEN),
    "later": lambda _info: later([1, 2]),
    "stream later": lambda _info: later(stream(1, 2)),
    "awaitables": lambda _info: [later(1), 2, later(BROKEN), None],
}


@pytest.mark.parametrize("name", ITERABLES)
@pytest.mark.parametrize("field", ["numbers", "strict", "grid", "cube", "items { id words }", "rows { id words }"])
async def test_any_iterable_stands_for_a_list(field: str, name: str) -> None:
    root = {field.split(maxsplit=1)[0]: ITERABLES[name]}
    await same(LISTS, f"{{ {field} }}", root, is_race=name == "awaitables")


async def test_items_return_to_their_lists() -> None:
    grid = [[1, 2], None, [], [3], [], [4, 5, 6]]
    item = {"id": 1, "words": ["a"]}
    rows = [[item, None], [], None, [{"id": 2}, {"id": None}, {"id": 3, "words": ["b", None]}]]
    await same(LISTS, "{ grid cube rows { id words } }", {"grid": grid, "cube": [grid, [], grid], "rows": rows})
    await same(LISTS, "{ cube }", {"cube": [[[1], []], [], [[None, 2]]]})


async def test_failed_async_iterator_is_closed() -> None:
    closed = []

    class Stream:
        def __aiter__(self) -> "Stream":
            return self

        async def __anext__(self) -> int:
            raise BROKEN

        async def aclose(self) -> None:
            closed.append(True)

    await breadth_first(LISTS, "{ numbers }", {"numbers": Stream()})
    assert closed == [True]


SCALARS: Final = build_schema("""
    enum Colour { RED GREEN }
    type Query { int: [Int]  float: [Float]  string: [String]  boolean: [Boolean]  id: [ID]  colour: [Colour] }
""")
GOOD: Final = {"int": 3, "float": 0.5, "string": "s", "boolean": True, "id": "i", "colour": "GREEN"}


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
@pytest.mark.parametrize("name", GOOD)
async def test_value_among_others_is_serialized_as_by_graphql_core(name: str, value: Any) -> None:
    good = GOOD[name]
    for values in ([value], [value, value], [good, value, good], [None, value, good]):
        result = await same(SCALARS, f"{{ {name} }}", {name: values})
        expected = await same(SCALARS, f"{{ {name} }}", {name: tuple(values)})
        assert list(map(type, (result.data or {})[name])) == list(map(type, (expected.data or {})[name]))


def schema_of(**types: Any) -> GraphQLSchema:
    return GraphQLSchema(GraphQLObjectType("Query", {name: GraphQLField(type_) for name, type_ in types.items()}))


class Colour(Enum):
    RED = 1
    GREEN = 2


@pytest.mark.parametrize("names_as_values", [False, True, None])
async def test_python_enums(names_as_values: bool | None) -> None:
    schema = schema_of(colours=GraphQLList(GraphQLEnumType("Colour", Colour, names_as_values=names_as_values)))
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
    values = ["good", "bad", None, "none", {"any": "thing"}, "undefined", 3]
    root = {"items": [{"value": value, "values": values} for value in values]}
    for fields in ("value values", "value"):
        await same(schema_of(items=GraphQLList(item)), f"{{ items {{ {fields} }} }}", root)


async def test_as_is_scalar_leaves_values_unchanged() -> None:
    scalar = GraphQLScalarType("Any", coerce_output_value=engine.as_is)
    schema = schema_of(values=GraphQLList(scalar), strict=GraphQLList(GraphQLNonNull(scalar)))
    values = ["text", 1, None, {"any": "thing"}, Undefined, ValueError("returned")]
    for name in ("values", "strict"):
        await same(schema, f"{{ {name} }}", {name: values})


SDL: Final = """
    interface Pet { name: String }
    union Any = Cat | Dog | Stone
    type Cat implements Pet { name: String  lives: Int }
    type Dog implements Pet { name: String  barks: Boolean! }
    type Stone { name: String }
    enum Colour { RED }
    type Query { pet: Pet  pets: [Pet!]  any: [Any]  cats: [Cat] }
"""
QUERY: Final = """{
    pets { __typename name ... on Cat { lives } ... on Dog { barks } }
    any { __typename ... on Pet { name } ... on Stone { stone: name } ...D }
    cats { name }
} fragment D on Dog { barks }"""
CAT: Final = {"name": "Tom", "lives": 9, "__typename": "Cat"}
DOG: Final = {"name": "Rex", "barks": True, "__typename": "Dog"}
STONE: Final = {"name": "Grey", "__typename": "Stone"}


def make(how: str) -> GraphQLSchema:
    """Return the schema with what tells an object's type."""
    schema = build_schema(SDL)
    types: Any = schema.type_map
    give = later if how.endswith("later") else lambda value: value
    if how.startswith("resolve_type"):
        for name in ("Pet", "Any"):
            types[name].resolve_type = lambda value, _info, _type: give(value["__typename"])
    if how.startswith("is_type_of"):
        for name in ("Cat", "Dog", "Stone"):
            types[name].is_type_of = lambda value, _info, name=name: give(value.get("is") == name)
    return schema


@pytest.mark.parametrize("how", ["__typename", "resolve_type", "resolve_type later", "is_type_of", "is_type_of later"])
async def test_objects_are_completed_by_their_own_type(how: str) -> None:
    cat, dog, stone = ({**each, "is": each["__typename"]} for each in (CAT, DOG, STONE))
    if "is_type_of" in how:
        for each in (cat, dog, stone):
            del each["__typename"]
    pets = [cat, dog, cat, {**dog, "barks": None}, dog]
    root = {"pets": pets, "any": [stone, cat, None, dog, stone], "cats": [cat, cat]}
    await same(make(how), QUERY, {**root, "pets": pets[:3]})
    await same(make(how), QUERY, root)
    await same(make(how), QUERY, {**root, "cats": [cat, dog], "any": [stone, {"name": "nothing"}, dog]})


@pytest.mark.parametrize("name", ["Cat", "Stone", "Query", "Colour", "Unknown", None, 5, "", ValueError("untold")])
@pytest.mark.parametrize("how", ["resolve_type", "resolve_type later", "__typename"])
async def test_unknown_runtime_type_is_an_error(how: str, name: Any) -> None:
    odd = {"__typename": name, "name": "odd"}
    await same(make(how), "{ pet { name } any { __typename } }", {"pet": odd, "any": [CAT, odd, CAT]})
    await same(make(how), "{ pets { name } }", {"pets": [DOG, odd]})


async def test_exception_of_what_tells_the_type_is_the_fields_error() -> None:
    def fail(value: Any, info: Any, type_: Any) -> str:
        raise ValueError(f"{type_} at {info.path.as_list()}: {value}")

    schema = make("__typename")
    types: Any = schema.type_map
    types["Pet"].resolve_type = fail
    types["Cat"].is_type_of = lambda value, _info: value["lives"] > 0
    await same(schema, "{ pet { name } pets { name } }", {"pet": 1, "pets": [2, 3]})
    await same(schema, "{ cats { lives } }", {"cats": [CAT, {"name": "Tom"}, None, {"lives": 0}, CAT]})
