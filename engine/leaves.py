"""Completes columns of scalars and enums."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from math import isfinite
from types import NoneType
from typing import Any, Final

from graphql import (
    GRAPHQL_MAX_INT,
    GRAPHQL_MIN_INT,
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLString,
)
from graphql.pyutils import Undefined, UndefinedType, inspect

from engine.nodes import Node
from engine.places import Column, Items, Places, place_at
from engine.run import Run
from engine.traits import CALLABLE, ENUM, NULL, traits

_EXACT: Final[dict[Callable[[Any], Any], type]] = {
    GraphQLString.coerce_output_value: str,
    GraphQLID.coerce_output_value: str,
    GraphQLBoolean.coerce_output_value: bool,
}
_NO_ERRORS: Final[Mapping[int, Exception]] = {}
_NOTHING: Final = frozenset({NoneType, UndefinedType})


class Leaf(Node):
    """What completes a scalar or an enum."""

    __slots__ = ("_coerce", "_is_enum", "_tables", "_type", "exact", "takes_null")

    def __init__(self, type_: GraphQLLeafType, *, is_required: bool) -> None:
        super().__init__(is_required=is_required)
        self._type = type_
        self._is_enum = isinstance(type_, GraphQLEnumType)
        self._coerce = type_.coerce_output_value
        self._tables: dict[type[Enum], dict[int, Any]] = {}
        self.takes_null = not is_required
        exact = _EXACT.get(self._coerce)
        self.exact = frozenset() if exact is None else frozenset({exact} if is_required else {exact, NoneType})

    def complete(
        self, run: Run, frame: Column | Items, places: Places, values: list[Any], kinds: set[type]
    ) -> list[Any]:
        """Return the completed values."""
        if self._coerce is as_is:
            return values
        known = kinds - {NoneType}
        if len(known) == 1 and (fast := self._at_once(values, next(iter(known)), has_null=len(known) < len(kinds))):
            return fast
        if kinds <= self.exact:
            return values
        return self._one_by_one(run, frame, places, values)

    def way_of(self, kind: type) -> Callable[[Any], Any] | None:
        """Return what completes a value of a class, or gives null where it cannot; None where there is no short way."""
        found = traits(kind)
        if found & ~(ENUM | CALLABLE | NULL) or (found & NULL and self.is_required):
            return None
        if found & NULL or kind in self.exact or self._coerce is as_is:
            return as_is
        if kind is int and self._coerce is GraphQLInt.coerce_output_value:
            return _int_in_range
        if self._is_enum and found & ENUM:
            table = self._table(kind)
            return lambda member: table.get(id(member))
        return None

    def _at_once(self, values: list[Any], kind: type, *, has_null: bool) -> list[Any] | None:
        """Return the completed values where all are of a class that is known to need no look at each."""
        if kind is int and self._coerce is GraphQLInt.coerce_output_value:
            there = [value for value in values if value is not None] if has_null else values
            return values if min(there) >= GRAPHQL_MIN_INT and max(there) <= GRAPHQL_MAX_INT else None
        if kind is float and self._coerce is GraphQLFloat.coerce_output_value:
            there = [value for value in values if value is not None] if has_null else values
            # No sum with a part that is not finite is finite.
            return values if isfinite(sum(there)) else None
        if self._is_enum and issubclass(kind, Enum):
            try:
                return list(map(self._table(kind).__getitem__, map(id, values)))
            except KeyError:
                return None
        return None

    def _table(self, kind: type[Enum]) -> dict[int, Any]:
        """Return the completions of an enum's members by their identity: to hash a member takes far longer."""
        if (table := self._tables.get(kind)) is None:
            table = {id(None): None}
            for member in kind:
                try:
                    completed = self._coerce(member)
                except Exception:  # noqa: BLE001, S112 - whoever returns it will hear of it
                    continue
                if type(completed) not in _NOTHING:
                    table[id(member)] = completed
            self._tables[kind] = table
        return table

    def _one_by_one(self, run: Run, frame: Column | Items, places: Places, values: Sequence[Any]) -> list[Any]:
        completed, errors = each(self._coerce_or_null if self.takes_null else self._coerce, values)
        for index, error in errors.items():
            run.fail(frame, place_at(places, index), error)
        if not _NOTHING.isdisjoint(map(type, completed)):
            for index, value in enumerate(completed):
                if (value is None or value is Undefined) and values[index] is not None and index not in errors:
                    run.fail(frame, place_at(places, index), self._nothing_error(values[index], value))
                    completed[index] = None
        return completed

    def _coerce_or_null(self, value: Any) -> Any:
        return None if value is None else self._coerce(value)

    def _nothing_error(self, value: Any, completed: Any) -> TypeError:
        return TypeError(
            f"Expected `{inspect(self._type)}.coerce_output_value({inspect(value)})`"
            f" to return non-nullable value, returned: {inspect(completed)}"
        )


def _int_in_range(value: int) -> int | None:
    return value if GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else None


def as_is(value: Any) -> Any:
    """Serialize a value as itself: for scalars that the writer of the answer knows how to write, at no cost here."""
    return value


def each(function: Callable[[Any], Any], values: Sequence[Any]) -> tuple[list[Any], Mapping[int, Exception]]:
    """Return what a function gives for each value, and what it raised for which."""
    if len(values) == 1:
        try:
            return [function(values[0])], _NO_ERRORS
        except Exception as error:  # noqa: BLE001 - it is the error of the field
            return [None], {0: error}
    results: list[Any] = []
    rest = iter(values)
    try:
        # What came before an error stays in the list, and the iterator goes on behind it.
        results.extend(map(function, rest))
    except Exception as error:  # noqa: BLE001 - it is the error of the field
        return _rest_of_each(function, values, rest, results, error)
    if len(results) < len(values):
        return _rest_of_each(function, values, rest, results, None)
    return results, _NO_ERRORS


def _rest_of_each(
    function: Callable[[Any], Any],
    values: Sequence[Any],
    rest: Iterator[Any],
    results: list[Any],
    error: Exception | None,
) -> tuple[list[Any], Mapping[int, Exception]]:
    errors: dict[int, Exception] = {}
    while len(results) < len(values):
        if error is None:
            # What stops an iteration is swallowed by it, and shows itself only when called once more.
            try:
                results.append(function(values[len(results)]))
            except Exception as raised:  # noqa: BLE001 - as above
                error = raised
        if error is not None:
            errors[len(results)] = error
            results.append(None)
        error = None
        try:
            results.extend(map(function, rest))
        except Exception as raised:  # noqa: BLE001 - as above
            error = raised
    return results, errors
