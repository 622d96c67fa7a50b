"""Schemas with resolvers, and objects that answer whatever is selected of them, at once and later, wrongly at times."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any, Final
from zlib import crc32

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    is_composite_type,
    is_list_type,
    is_non_null_type,
)

import engine
from tests.engine.decisions import Choices, Decisions

LEAVES: Final = {"Int": 7, "Float": 1.5, "String": "word", "Boolean": True, "ID": "id", "Colour": "RED"}


class Wrong:
    def __repr__(self) -> str:
        return "<wrong>"


WRONG: Final = Wrong()


class Source:
    """An object of a type; with `is_immediate` it makes nobody wait, and is the same otherwise."""

    def __init__(
        self, type_: GraphQLObjectType, schema: GraphQLSchema, choices: Choices, *, is_immediate: bool, path: str = ""
    ) -> None:
        self.type, self._schema, self._choices, self._path = type_, schema, choices, path
        self._is_immediate = is_immediate
        self._values: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<{self.type}>"

    def __getattr__(self, name: str) -> Any:
        if name == "_Source__typename":
            return self.type.name
        if name.startswith("_") or name not in self.type.fields:
            raise AttributeError(name)
        return self.later(name) if self.waits(name) else self.now(name)

    def waits(self, name: str) -> bool:
        random = self._choices.at(f"{self._path}.{name} waits")
        return not self._is_immediate and random.randrange(100) < self._choices.waiting

    def now(self, name: str) -> Any:
        if name not in self._values:
            path = f"{self._path}.{name}"
            self._values[name] = self._make(self.type.fields[name].type, self._choices.at(path), path)
        if self._choices.at(f"{self._path}.{name} raises").randrange(200) < self._choices.failing:
            raise ValueError("raised")
        value = self._values[name]
        return value() if isinstance(value, Items) else value

    async def later(self, name: str) -> Any:
        await asyncio.sleep(0)
        return self.now(name)

    def _make(self, type_: Any, random: Random, path: str) -> Any:
        if random.randrange(100) < self._choices.failing:
            return random.choice((None, ValueError("returned"), WRONG))
        if is_non_null_type(type_):
            type_ = type_.of_type
        elif random.randrange(8) == 0:
            return None
        if is_list_type(type_):
            return self._make_list(type_.of_type, random, path)
        if is_composite_type(type_):
            return self._make_object(type_, random, path)
        return LEAVES.get(type_.name, random.randrange(3) - 1)

    def _make_object(self, type_: Any, random: Random, path: str) -> "Source | None":
        possible = [type_] if isinstance(type_, GraphQLObjectType) else self._schema.get_possible_types(type_)
        if path.count(".") > 6 or not possible:
            return None
        is_immediate = self._is_immediate
        return Source(random.choice(possible), self._schema, self._choices, is_immediate=is_immediate, path=path)

    def _make_list(self, item: Any, random: Random, path: str) -> Any:
        items = [self._make(item, random, f"{path}[{at}]") for at in range(random.randrange(4))]
        kind, fails = random.randrange(6), random.randrange(40) < self._choices.failing
        if kind == 0:
            return tuple(items)
        if kind == 1 or (kind == 2 and self._choices.waiting):
            return Items(items, fails=fails, is_stream=kind == 2 and not self._is_immediate)
        return items


class Items:
    """Items of a generator, asynchronous or not, maybe ended by an error."""

    def __init__(self, items: list[Any], *, fails: bool, is_stream: bool) -> None:
        self._items, self._fails, self._is_stream = items, fails, is_stream

    def __call__(self) -> Any:
        return self._stream() if self._is_stream else self._iterate()

    def _iterate(self) -> Iterator[Any]:
        yield from self._items
        if self._fails:
            raise ValueError("iteration ended")

    async def _stream(self) -> AsyncIterator[Any]:
        for item in self._iterate():
            yield item


def make_schema(text: str, decisions: Decisions | None = None) -> GraphQLSchema:
    """Return a schema; of decisions some of its resolvers are asynchronous or batched, otherwise none is."""
    schema = build_schema(text)
    for type_ in schema.type_map.values():
        # Whether there is a resolver at all follows from the text.
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
            for name, field in type_.fields.items():
                if field.args or crc32(f"{type_}.{name} {text}".encode()) % 5:
                    field.resolve = decisions.choose(_RESOLVERS) if decisions else _resolve
        elif isinstance(type_, GraphQLInterfaceType | GraphQLUnionType) and crc32(text.encode()) % 3:
            type_.resolve_type = decisions.choose(_TYPE_RESOLVERS) if decisions else _resolve_type
    schema.type_map["Odd"].coerce_output_value = _serialize_odd  # type: ignore[attr-defined]
    # One of the types has an `is_type_of`.
    first = schema.type_map["O0"]
    assert isinstance(first, GraphQLObjectType)
    first.is_type_of = lambda value, _info: isinstance(value, Source) and value.type.name == "O0"
    return schema


def _resolve(source: Source, info: Any, **arguments: Any) -> Any:
    if source.waits(info.field_name):
        return _resolve_later(source, info, **arguments)
    return _shown(source.now(info.field_name), arguments)


async def _resolve_later(source: Source, info: Any, **arguments: Any) -> Any:
    return _shown(source.now(info.field_name), arguments)


def _resolve_all(parents: list[Source], info: Any, **arguments: Any) -> list[Any]:
    return [_outcome(parent, info.field_name, arguments) for parent in parents]


async def _resolve_all_later(parents: list[Source], info: Any, **arguments: Any) -> list[Any]:
    return _resolve_all(parents, info, **arguments)


def _outcome(source: Source, name: str, arguments: dict[str, Any]) -> Any:
    try:
        return _shown(source.now(name), arguments)
    except Exception as error:  # noqa: BLE001 - one parent's failure is not the others'
        return error


def _shown(value: Any, arguments: dict[str, Any]) -> Any:
    """Return the arguments, where there are any, in place of a word."""
    return repr(arguments) if arguments and isinstance(value, str) else value


def _resolve_type(value: Any, info: Any, _type: Any) -> Any:
    """Return the name of an object's type, wrongly at times."""
    return value.type.name if isinstance(value, Source) else f"Unknown{info.path.key}"


async def _resolve_type_later(value: Any, info: Any, type_: Any) -> Any:
    return _resolve_type(value, info, type_)


def _serialize_odd(value: int) -> int | None:
    if value == 0:
        raise ValueError("even")
    return value if value > 0 else None


_RESOLVERS: Final = (_resolve, _resolve_later, engine.batched(_resolve_all), engine.batched(_resolve_all_later))
_TYPE_RESOLVERS: Final = (_resolve_type, _resolve_type_later)
