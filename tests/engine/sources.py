"""Objects that answer whatever is selected of them, rightly and wrongly, at once and later."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final
from zlib import crc32

from graphql import GraphQLObjectType, GraphQLSchema, is_composite_type, is_list_type, is_non_null_type

from tests.engine.decisions import Choices

LEAVES: Final = {"Int": 7, "Float": 1.5, "String": "word", "Boolean": True, "ID": "id", "Colour": "RED"}


class Wrong:
    """What is of no type."""

    def __repr__(self) -> str:
        return "<wrong>"


WRONG: Final = Wrong()


class Source:
    """An object of a type: its values follow from its seed, and are made when they are read."""

    def __init__(self, schema: GraphQLSchema, type_: GraphQLObjectType, choices: Choices, depth: int) -> None:
        self.type = type_
        self._schema = schema
        self._choices = replace(choices, seed=choices.next(2**31))
        self._depth = depth
        self._values: dict[str, Value] = {}

    def __repr__(self) -> str:
        return f"<{self.type}>"

    def __getattr__(self, name: str) -> Any:
        if name == "_Source__typename":
            return self.type.name
        if name.startswith("_") or name not in self.type.fields:
            raise AttributeError(name)
        return self.value(name).get()

    def value(self, name: str) -> "Value":
        """Return what a field gives."""
        if name not in self._values:
            choices = replace(self._choices, seed=self._choices.seed + crc32(name.encode()))
            value = make_value(self._schema, self.type.fields[name].type, choices, self._depth)
            self._values[name] = Value(value, choices)
        return self._values[name]


class Value:
    """What a field gives, in the way that it gives it."""

    def __init__(self, value: Any, choices: Choices) -> None:
        self.value = value
        self.raises = choices.fails() and choices.next(2) == 0
        self.waits = choices.waits()

    def get(self) -> Any:
        """Return the value, raise it, or return what is waited for."""
        return self.later() if self.waits else self.now()

    def now(self) -> Any:
        """Return the value, or raise it."""
        if self.raises:
            raise ValueError("raised")
        return self.value() if isinstance(self.value, Stream | Iterated) else self.value

    async def later(self) -> Any:
        """Return the value, or raise it, one tick later."""
        await asyncio.sleep(0)
        return self.now()


@dataclass
class Stream:
    """Items that come one by one, maybe ended by an error."""

    items: list[Any]
    fails: bool

    async def __call__(self) -> AsyncIterator[Any]:
        for item in self.items:
            yield item
        if self.fails:
            raise ValueError("iteration ended")


@dataclass
class Iterated:
    """Items of a generator, maybe ended by an error."""

    items: list[Any]
    fails: bool

    def __call__(self) -> Iterator[Any]:
        yield from self.items
        if self.fails:
            raise ValueError("iteration ended")


def make_value(schema: GraphQLSchema, type_: Any, choices: Choices, depth: int, *, may_be_null: bool = True) -> Any:
    """Return what a field of a type gives."""
    if choices.fails():
        return (None, ValueError("returned"), WRONG)[choices.next(3)]
    if is_non_null_type(type_):
        return make_value(schema, type_.of_type, choices, depth, may_be_null=False)
    if choices.next(8) == 0 and may_be_null:
        return None
    if is_list_type(type_):
        return _make_list(schema, type_.of_type, choices, depth)
    if is_composite_type(type_):
        return _make_object(schema, type_, choices, depth)
    return LEAVES.get(type_.name, choices.next(3) - 1)


def _make_object(schema: GraphQLSchema, type_: Any, choices: Choices, depth: int) -> Source | None:
    possible = [type_] if isinstance(type_, GraphQLObjectType) else list(schema.get_possible_types(type_))
    if depth <= 0 or not possible:
        return None
    return Source(schema, possible[choices.next(len(possible))], choices, depth - 1)


def _make_list(schema: GraphQLSchema, item: Any, choices: Choices, depth: int) -> Any:
    items = [make_value(schema, item, choices, depth) for _ in range(choices.next(4))]
    kind = choices.next(6)
    if kind == 0:
        return tuple(items)
    if kind == 1 or (kind == 2 and choices.waiting):
        fails = choices.next(40) < choices.failing
        return Iterated(items, fails) if kind == 1 or choices.is_immediate else Stream(items, fails)
    return items
