"""Orders of lists, and the cursors that mark a place in one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Table, and_, bindparam, literal, or_, tuple_
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from core.errors import BadUserInputError
from core.ids import parse_id
from core.text import is_storable
from services.opaque import read_opaque, write_opaque

Columns = ReadOnlyColumnCollection[str, Any]
# Which of the values of a place are there.
Presence: TypeAlias = tuple[bool, ...]

_NO_CURSOR: Final = (
    "{name} is not a cursor of this list in this order; pass one that it returned, with the same orderBy."
)


class OrderDirection(StrEnum):
    """Which end comes first."""

    ASC = "ASC"
    DESC = "DESC"


@dataclass(frozen=True, slots=True)
class Key:
    """One value that a list is ordered by, and how it is written in a cursor."""

    column: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value
    expression: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda column: column
    nullable: bool = False

    def of(self, columns: Columns) -> ColumnElement[Any]:
        """Return what the database orders by."""
        return self.expression(columns[self.column])


@dataclass(frozen=True, slots=True)
class OrderedKey:
    """A key and its direction."""

    key: Key
    descending: bool

    def expressions(self, columns: Columns) -> list[ColumnElement[Any]]:
        """Return what the database orders by: the value, after whether there is one, for the missing come last."""
        value = self.key.of(columns)
        if not self.key.nullable:
            return [value]
        column = columns[self.key.column]
        return [column.is_not(None) if self.descending else column.is_(None), value]

    def places(self, columns: Columns, name: str, *, is_there: bool) -> Iterator["_Place"]:
        """Return what rows beyond a place are compared with; nothing further is compared where its value is missing."""
        *presence, value = self.expressions(columns)
        yield from (_Place(each, literal(is_there == self.descending), self) for each in presence)
        if is_there:
            yield _Place(value, bindparam(name, type_=value.type), self)


@dataclass(frozen=True)
class Order:
    """The keys of a table's list in their order; the last is the id, so that no two rows are equal."""

    table: str
    keys: tuple[OrderedKey, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Name the columns that a row needs for its cursor."""
        return tuple(part.key.column for part in self.keys)

    @cached_property
    def _signature(self) -> str:
        keys = ",".join(f"-{part.key.column}" if part.descending else part.key.column for part in self.keys)
        return f"{self.table}:{keys}"

    @cached_property
    def _writers(self) -> list[tuple[Callable[[Any], Any], Callable[[Any], Any]]]:
        return [(attrgetter(part.key.column), part.key.write) for part in self.keys]

    def clauses(self, columns: Columns, *, backwards: bool) -> list[ColumnElement[Any]]:
        """Return what to order by; a missing value comes last in either direction."""
        return [
            expression.desc() if part.descending != backwards else expression
            for part in self.keys
            for expression in part.expressions(columns)
        ]

    def cursor(self, row: Any) -> str:
        """Return the cursor of a row."""
        return self.cursor_at([get(row) for get, _ in self._writers])

    def cursor_at(self, place: Sequence[Any]) -> str:
        """Return the cursor of a place."""
        return write_opaque(
            [self._signature, *(write(value) for (_, write), value in zip(self._writers, place, strict=True))]
        )

    def read_cursor(self, cursor: str, name: str) -> tuple[Any, ...]:
        """Return the values that a cursor marks, or refuse it."""
        try:
            signature, *values = read_opaque(cursor) or [None]
            if signature == self._signature:
                return tuple(self._read(part.key, value) for part, value in zip(self.keys, values, strict=True))
        except (ValueError, TypeError, OverflowError):
            pass
        raise BadUserInputError(_NO_CURSOR.format(name=name), path=(name,))

    @staticmethod
    def _read(key: Key, value: Any) -> Any:
        if value is None and key.nullable:
            return None
        return key.read(value)

    def beyond(self, columns: Columns, presence: Presence, name: str, *, backwards: bool) -> ColumnElement[bool]:
        """Return the condition that a row comes after a place, whose values are parameters by that name."""
        places = [
            place
            for index, (part, is_there) in enumerate(zip(self.keys, presence, strict=True))
            for place in part.places(columns, f"{name}_{index}", is_there=is_there)
        ]
        falls = [place.part.descending != backwards for place in places]
        if len(set(falls)) > 1:
            return _follows_one_by_one(places, falls)
        # An index serves the comparison of whole tuples.
        left = tuple_(*(place.expression for place in places))
        right = tuple_(*(place.value for place in places))
        condition: ColumnElement[bool] = left < right if falls[0] else left > right
        return condition


def presence_of(place: tuple[Any, ...]) -> Presence:
    """Tell which of the values of a place are there."""
    return tuple(value is not None for value in place)


def values_of(place: tuple[Any, ...], name: str) -> dict[str, Any]:
    """Return the values of a place under the names of their parameters."""
    return {f"{name}_{index}": value for index, value in enumerate(place)}


class _Place(NamedTuple):
    """Where a row stands in one thing that a list is ordered by."""

    expression: ColumnElement[Any]
    value: ColumnElement[Any]
    part: OrderedKey


def _follows_one_by_one(places: Sequence[_Place], falls: Sequence[bool]) -> ColumnElement[bool]:
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for (expression, value, _), falling in zip(places, falls, strict=True):
        alternatives.append(and_(*equal, expression < value if falling else expression > value))
        equal.append(expression == value)
    return or_(*alternatives)


def read_moment(value: Any) -> datetime:
    """Read a moment from a cursor."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


def read_text(value: Any) -> str:
    """Read a text from a cursor."""
    if not isinstance(value, str) or not is_storable(value):
        raise ValueError("no text")
    return value


def read_id(value: Any) -> str:
    """Read an id from a cursor."""
    if (canonical := parse_id(read_text(value))) is None:
        raise ValueError("no id")
    return canonical


def moment_key(column: str, *, nullable: bool = False) -> Key:
    """Order by a moment."""
    return Key(column, read_moment, lambda moment: moment and moment.isoformat(), nullable=nullable)


def enum_key(column: str, members: type[StrEnum]) -> Key:
    """Order by an enum's rank."""
    return Key(column, lambda value: members(read_text(value)), lambda member: member.value)


ID_KEY: Final = Key("id", read_id)


@lru_cache(maxsize=256)
def order_by(table: Table, keys: tuple[tuple[Key, OrderDirection], ...], identity: Key = ID_KEY) -> Order:
    """Return the order of a table by the keys; the id follows the last one's direction and decides between equals."""
    first_mentions = {key.column: OrderedKey(key, direction is OrderDirection.DESC) for key, direction in keys[::-1]}
    parts = [first_mentions[column] for column in dict.fromkeys(key.column for key, _ in keys)]
    return Order(table.name, (*parts, OrderedKey(identity, parts[-1].descending)))
