"""Resolved values, a list at a time: type flags, the items of iterables, and the serialization of leaf values."""

from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from types import GeneratorType, NoneType
from typing import Any, Final

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
)
from graphql.pyutils import Undefined, UndefinedType, inspect, is_awaitable

# Type flags: what the values of a class may be.
NULL: Final = 1
UNDEFINED: Final = 2
ERROR: Final = 4
MAY_BE_AWAITABLE: Final = 8
ASYNC_ITERABLE: Final = 16

_IDENTITY_TYPES: Final[dict[Callable[[Any], Any], type]] = {
    GraphQLString.coerce_output_value: str,
    GraphQLID.coerce_output_value: str,
    GraphQLBoolean.coerce_output_value: bool,
}


@lru_cache(maxsize=4096)
def _flags_of_type(type_: type) -> int:
    if type_ is NoneType:
        return NULL
    if issubclass(type_, UndefinedType):
        return UNDEFINED
    flags = ERROR if issubclass(type_, Exception) else 0
    # Whether a generator can be awaited is known of each one alone.
    if hasattr(type_, "__await__") or issubclass(type_, GeneratorType):
        flags |= MAY_BE_AWAITABLE
    if hasattr(type_, "__aiter__"):
        flags |= ASYNC_ITERABLE
    return flags


def type_flags(types: set[type]) -> int:
    """Return what values of these classes may be."""
    flags = 0
    for type_ in types:
        flags |= _flags_of_type(type_)
    return flags


def call_each(function: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Return what a function returns for each value, or the exception that it raises."""
    results: list[Any] = []
    remaining = iter(values)
    while len(results) < len(values):
        try:
            # What comes before an exception stays in the list, and the iterator goes on behind it.
            results.extend(map(function, remaining))
        except Exception as error:  # noqa: BLE001 - it is the field's error
            results.append(error)
        else:
            if len(results) < len(values):
                # A StopIteration has ended `extend` without a word.
                results.append(call_or_error(function, values[len(results)]))
    return results


def call_or_error(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns, or the exception that it raises."""
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - it is the field's error
        return error


def as_is(value: Any) -> Any:
    """Serialize a value as itself: for scalars that the JSON encoder writes, such as moments with orjson."""
    return value


class LeafSerializer:
    """Serializes the values of a scalar or an enum, a list at a time."""

    __slots__ = ("_enum_names", "_is_identity", "_serialize", "_type", "identity_type")

    def __init__(self, type_: GraphQLLeafType) -> None:
        self._type = type_
        self._serialize = type_.coerce_output_value
        self._is_identity = self._serialize is as_is
        # The class whose values are serialized as themselves.
        self.identity_type = _IDENTITY_TYPES.get(self._serialize)
        # The names of the members of Python's enums, None among them.
        self._enum_names: dict[type[Enum], dict[Any, Any]] = {}

    def serialize(self, values: list[Any], types: set[type]) -> list[Any]:
        """Return the serialized values, null for null, or an exception for what cannot be serialized."""
        if self._is_identity:
            return values
        present_types = types - {NoneType}
        if len(present_types) == 1:
            (type_,) = present_types
            if isinstance(self._type, GraphQLEnumType) and issubclass(type_, Enum):
                names = self._enum_names.get(type_) or self._collect_enum_names(type_)
                with suppress(KeyError):
                    return [names[value] for value in values]
            if type_ is self.identity_type:
                return values
        is_int = types == {int} and self._serialize is GraphQLInt.coerce_output_value
        if is_int and min(values) >= GRAPHQL_MIN_INT and max(values) <= GRAPHQL_MAX_INT:
            return values
        return call_each(self._serialize_one, values)

    def _serialize_one(self, value: Any) -> Any:
        if value is None:
            return None
        serialized = self._serialize(value)
        if serialized is None or serialized is Undefined:
            return TypeError(
                f"Expected `{inspect(self._type)}.coerce_output_value({inspect(value)})`"
                f" to return non-nullable value, returned: {inspect(serialized)}"
            )
        return serialized

    def _collect_enum_names(self, enum: type[Enum]) -> dict[Any, Any]:
        names: dict[Any, Any] = {None: None}
        for member in enum:
            name = call_or_error(self._serialize_one, member)
            if not isinstance(name, Exception):
                names[member] = name
        self._enum_names[enum] = names
        return names


@lru_cache(maxsize=1024)
def leaf_serializer(type_: GraphQLLeafType) -> LeafSerializer:
    """Return the serializer of a type."""
    return LeafSerializer(type_)


class ItemList(list[Any]):
    """The items of an iterable, and the error that ended it."""

    error: Exception | None = None


def collect_items(iterable: Iterable[Any]) -> ItemList:
    """Return the items of an iterable."""
    items = ItemList()
    try:
        items.extend(iterable)
    except Exception as error:  # noqa: BLE001 - it is the field's error
        items.error = error
    return items


async def collect_async_items(iterable: AsyncIterable[Any]) -> ItemList:
    """Return the items of an asynchronous iterable."""
    items = ItemList()
    iterator = aiter(iterable)
    try:
        async for item in iterator:
            items.append(item)
    except Exception as error:  # noqa: BLE001 - it is the field's error
        items.error = error
        with suppress(Exception):
            closing = iterator.aclose()  # type: ignore[attr-defined]
            if is_awaitable(closing):
                await closing
    return items
