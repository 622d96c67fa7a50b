"""Orders of lists, and the cursors that mark a place in one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Table, and_, literal, or_, tuple_
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from core.errors import BadUserInputError
from core.ids import parse_id
from core.text import is_storable
from services.opaque import read_opaque, write_opaque

Columns = ReadOnlyColumnCollection[str, Any]

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

    def place(self, value: Any) -> list[Any]:
        """Return what a row with the value has there; nothing further is compared of a missing one."""
        if not self.key.nullable:
            return [value]
        is_present = value is not None
        return [is_present == self.descending, *([value] if is_present else [])]


@dataclass(frozen=True, slots=True)
class Order:
    """The keys of a table's list in their order; the last is the id, so that no two rows are equal."""

    table: str
    keys: tuple[OrderedKey, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns that a row needs for its cursor."""
        return tuple(part.key.column for part in self.keys)

    @property
    def _signature(self) -> str:
        keys = ",".join(f"-{part.key.column}" if part.descending else part.key.column for part in self.keys)
        return f"{self.table}:{keys}"

    def clauses(self, columns: Columns, *, backwards: bool) -> list[ColumnElement[Any]]:
        """Return what to order by; a missing value comes last in either direction."""
        return [
            expression.desc() if part.descending != backwards else expression
            for part in self.keys
            for expression in part.expressions(columns)
        ]

    def cursor(self, row: Any) -> str:
        """Return the cursor of a row."""
        values = [part.key.write(getattr(row, part.key.column)) for part in self.keys]
        return write_opaque([self._signature, *values])

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

    def beyond(self, columns: Columns, values: Sequence[Any], *, backwards: bool) -> ColumnElement[bool]:
        """Return the condition that a row comes after the place that the values mark."""
        places = [
            _Place(expression, literal(found, expression.type), falling=part.descending != backwards)
            for part, value in zip(self.keys, values, strict=True)
            for expression, found in zip(part.expressions(columns), part.place(value), strict=False)
        ]
        if len({place.falling for place in places}) > 1:
            return _follows_one_by_one(places)
        # An index serves the comparison of whole tuples.
        left = tuple_(*(place.expression for place in places))
        right = tuple_(*(place.value for place in places))
        condition: ColumnElement[bool] = left < right if places[0].falling else left > right
        return condition


class _Place(NamedTuple):
    """Where a row stands in one thing that a list is ordered by."""

    expression: ColumnElement[Any]
    value: ColumnElement[Any]
    falling: bool


def _follows_one_by_one(places: Sequence[_Place]) -> ColumnElement[bool]:
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for expression, value, falling in places:
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


def order_by(table: Table, keys: Sequence[tuple[Key, OrderDirection]], identity: Key = ID_KEY) -> Order:
    """Return the order of a table by the keys; the id follows the last one's direction and decides between equals."""
    first_mentions = {key.column: OrderedKey(key, direction is OrderDirection.DESC) for key, direction in keys[::-1]}
    parts = [first_mentions[column] for column in dict.fromkeys(key.column for key, _ in keys)]
    return Order(table.name, (*parts, OrderedKey(identity, parts[-1].descending)))
