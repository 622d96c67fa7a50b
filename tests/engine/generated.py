"""Generates operations on a schema of every shape, and objects that answer them rightly and wrongly."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final
from zlib import crc32

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)
from hypothesis import strategies as st

SDL: Final = """
    interface Named { name: String  self: Named  strict: Named! }
    interface Aged { age: Int! }
    enum Colour { RED GREEN }
    scalar Odd
    union Thing = Cat | Dog
    type Cat implements Named & Aged {
        name: String  age: Int!  self: Named  strict: Named!  lives: [Int!]!  kittens: [Cat!]  owner: Person!
        colours: [[Colour!]]  odd: Odd  echo(value: Int = 3, colour: Colour, list: [Int!]): String
    }
    type Dog implements Named {
        name: String  self: Named  strict: Named!  friends: [[Thing!]!]  weight: Float!  good: Boolean  owner: Person
        echo(value: Int = 3, colour: Colour, list: [Int!]): String
    }
    type Person { id: ID!  pets: [Named!]!  things: [Thing]  best: Thing!  matrix: [[Int]!]  odds: [Odd!]
        self: Person }
    type Query { cat: Cat  dog: Dog!  named: Named  named_list: [Named]!  thing: Thing  people: [Person!]
        aged: [Aged!]!  number: Int!  word: String }
"""
LEAVES: Final = {"Int": 7, "Float": 1.5, "String": "word", "Boolean": True, "ID": "id", "Colour": "RED"}


@dataclass
class Choices:
    """Decides what each field gives: a cheap generator of its own, since hypothesis would take long to decide all."""

    seed: int
    failing: int
    waiting: int

    def next(self, limit: int) -> int:
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.seed >> 33) % limit

    def fails(self) -> bool:
        return self.next(100) < self.failing

    def waits(self) -> bool:
        return self.next(100) < self.waiting


class Source:
    """An object of a type: what its fields give follows from its seed, and is made when it is asked for."""

    def __init__(self, schema: GraphQLSchema, type_: GraphQLObjectType, choices: Choices, depth: int) -> None:
        self.type = type_
        self._schema = schema
        self._choices = replace(choices, seed=choices.next(2**31))
        self._depth = depth
        self._values: dict[str, Value] = {}

    def __repr__(self) -> str:
        return f"<{self.type}>"

    def get(self, name: str) -> Any:
        if name not in self._values:
            choices = replace(self._choices, seed=self._choices.seed + crc32(name.encode()))
            value = make_value(self._schema, self.type.fields[name].type, choices, self._depth)
            self._values[name] = Value(value, choices)
        return self._values[name].get()


class Value:
    """What a field gives, in the way that it gives it."""

    def __init__(self, value: Any, choices: Choices) -> None:
        self.value = value
        self.raises = choices.fails() and choices.next(2) == 0
        self.waits = choices.waits()

    def get(self) -> Any:
        return self._later() if self.waits else self._now()

    def _now(self) -> Any:
        if self.raises:
            raise ValueError("raised")
        return self.value() if isinstance(self.value, Stream | Iterated) else self.value

    async def _later(self) -> Any:
        await asyncio.sleep(0)
        return self._now()


@dataclass
class Stream:
    """Items that come one by one, maybe ended by an error."""

    items: list[Any]
    fails: bool

    async def __call__(self) -> AsyncIterator[Any]:
        for item in self.items:
            yield item
        if self.fails:
            raise ValueError("stream ended")


@dataclass
class Iterated:
    """Items of a generator, maybe ended by an error."""

    items: list[Any]
    fails: bool

    def __call__(self) -> Any:
        yield from self.items
        if self.fails:
            raise ValueError("iteration ended")


def make_value(schema: GraphQLSchema, type_: Any, choices: Choices, depth: int) -> Any:
    """Return what a field of a type gives."""
    if choices.fails():
        return (None, ValueError("returned"), object)[choices.next(3)]
    if is_non_null_type(type_):
        return make_value(schema, type_.of_type, choices, depth)
    if choices.next(8) == 0:
        return None
    if is_list_type(type_):
        return make_list(schema, type_.of_type, choices, depth)
    if is_composite_type(type_):
        return make_object(schema, type_, choices, depth)
    return LEAVES.get(type_.name, choices.next(3) - 1)


def make_object(schema: GraphQLSchema, type_: Any, choices: Choices, depth: int) -> Source | None:
    """Return an object of one of the types that it may be of."""
    if depth <= 0:
        return None
    possible = [type_] if isinstance(type_, GraphQLObjectType) else list(schema.get_possible_types(type_))
    return Source(schema, possible[choices.next(len(possible))], choices, depth - 1)


def make_list(schema: GraphQLSchema, item: Any, choices: Choices, depth: int) -> Any:
    """Return a list, in one of the ways that there are."""
    items = [make_value(schema, item, choices, depth) for _ in range(choices.next(4))]
    kind = choices.next(6)
    if kind == 0:
        return tuple(items)
    if kind == 1:
        return Iterated(items, choices.fails())
    if kind == 2 and choices.waiting:
        return Stream(items, choices.fails())
    return items


def resolve(source: Any, info: Any, **arguments: Any) -> Any:
    """Resolve any field."""
    if source is None:
        source = info.context
    if info.field_name == "echo" and arguments.get("value") != 4:
        return repr((arguments, info.path.as_list(), [node.name.value for node in info.field_nodes]))
    return source.get(info.field_name)


def resolve_type(value: Any, info: Any, _type: Any) -> Any:
    """Tell an object's type, wrongly at times."""
    return value.type.name if isinstance(value, Source) else f"Unknown{info.path.key}"


def serialize_odd(value: int) -> int | None:
    """Take odd numbers only."""
    if value == 0:
        raise ValueError("even")
    return value if value > 0 else None


def make_schema() -> GraphQLSchema:
    """Return the schema with its resolvers."""
    schema = build_schema(SDL)
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for field in type_.fields.values():
                field.resolve = resolve
        elif isinstance(type_, GraphQLInterfaceType | GraphQLUnionType) and not type_.name.startswith("__"):
            type_.resolve_type = resolve_type
    schema.type_map["Odd"].coerce_output_value = serialize_odd  # type: ignore[attr-defined]
    # One of the types is asked whether an object is of it.
    dog = schema.type_map["Dog"]
    assert isinstance(dog, GraphQLObjectType)
    dog.is_type_of = lambda value, _info: isinstance(value, Source) and value.type.name == "Dog"
    return schema


SCHEMA: Final = make_schema()
ARGUMENTS: Final = ("", "(value: 1)", "(value: $number)", "(list: [1, $number])", "(colour: RED)", "(value: 4)")
DIRECTIVES: Final = (
    "",
    "",
    "",
    "",
    "",
    "",
    " @include(if: $yes)",
    " @skip(if: $no)",
    " @skip(if: true)",
    " @include(if: $no)",
)


@st.composite
def selections(draw: st.DrawFn, type_: Any, depth: int, fragments: dict[str, str]) -> str:
    """Return a selection set on a type."""
    parts = [draw(_selection(type_, depth, fragments)) for _ in range(draw(st.integers(1, 4)))]
    return "{ " + " ".join(parts) + " }"


@st.composite
def _selection(draw: st.DrawFn, type_: Any, depth: int, fragments: dict[str, str]) -> str:
    kind = draw(st.integers(0, 9))
    directive = draw(st.sampled_from(DIRECTIVES))
    if kind == 0 or isinstance(type_, GraphQLUnionType):
        inner = draw(st.sampled_from([type_, *SCHEMA.get_possible_types(type_)] if _is_abstract(type_) else [type_]))
        if inner is not type_ or kind == 0:
            condition = f"on {inner}" if draw(st.booleans()) or inner is not type_ else ""
            if depth > 0:
                return f"... {condition}{directive} {draw(selections(inner, depth - 1, fragments))}"
    if kind == 1 and depth > 0:
        name = f"{type_}{len(fragments)}"
        fragments[name] = ""
        fragments[name] = f"fragment {name} on {type_} {draw(selections(type_, depth - 1, fragments))}"
        return f"...{name}{directive}"
    names = [] if isinstance(type_, GraphQLUnionType) else list(type_.fields)
    name = draw(st.sampled_from(["__typename", *names]))
    if name == "__typename":
        return f"__typename{directive}"
    return draw(_field(name, type_.fields[name], depth, fragments)).replace("@@", directive)


@st.composite
def _field(draw: st.DrawFn, name: str, field: GraphQLField, depth: int, fragments: dict[str, str]) -> str:
    named = get_named_type(field.type)
    arguments = draw(st.sampled_from(ARGUMENTS)) if field.args else ""
    # A key says what it holds, so that fields merge.
    alias = f"{name}_{ARGUMENTS.index(arguments)}: " if arguments else draw(st.sampled_from(["", f"other_{name}: "]))
    if not is_composite_type(named):
        return f"{alias}{name}{arguments}@@"
    inner = draw(selections(named, depth - 1, fragments)) if depth > 0 else "{ __typename }"
    return f"{alias}{name}{arguments}@@ {inner}"


def _is_abstract(type_: Any) -> bool:
    return isinstance(type_, GraphQLInterfaceType | GraphQLUnionType)


@st.composite
def operations(draw: st.DrawFn) -> str:
    """Return an operation."""
    fragments: dict[str, str] = {}
    body = draw(selections(SCHEMA.query_type, 4, fragments))
    heading = "query ($yes: Boolean!, $no: Boolean = false, $number: Int!)"
    return " ".join([heading, body, *fragments.values()])
