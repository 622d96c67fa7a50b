"""Orders of lists, their keyset conditions, and the cursors that mark a position in one."""

import string
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Table, and_, bindparam, func, literal, or_, tuple_
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlmodel import SQLModel

from core.cache import LRUCache
from core.errors import BadUserInputError
from core.ids import parse_id
from core.text import is_storable
from models.columns import DescribedEnum, Kind, columns_of
from services.query.cursors import decode_cursor, encode_cursor

Columns = ReadOnlyColumnCollection[str, Any]
# The values of an order's keys at a row, and which of them are not null.
Position: TypeAlias = tuple[Any, ...]
Operands: TypeAlias = tuple[ColumnElement[Any], ColumnElement[Any]]
NullMask: TypeAlias = tuple[bool, ...]

# Of the 32 bits that a column has: neither database takes a larger one as a parameter.
_MIN_INTEGER: Final = -(1 << 31)
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NO_CURSOR: Final = (
    "{name} is not a cursor of this list in this order; pass one that it returned, with the same orderBy."
)


class OrderDirection(DescribedEnum):
    """Ascending or descending."""

    ASC = "ASC", "The least, the earliest first."
    DESC = "DESC", "The greatest, the latest first."


@dataclass(frozen=True, slots=True)
class Key:
    """A column that a list can be ordered by, and how its values are read from and written to a cursor."""

    column: str
    read: Callable[[Any], Any]
    write: Callable[[Any], Any] = lambda value: value
    expression: Callable[[ColumnElement[Any]], ColumnElement[Any]] = lambda column: column
    nullable: bool = False
    is_text: bool = False

    def read_value(self, value: Any) -> Any:
        """Return the value that a cursor has of the column."""
        return None if value is None and self.nullable else self.read(value)


@dataclass(frozen=True, slots=True)
class OrderedKey:
    """A key and its direction."""

    key: Key
    descending: bool

    def expressions(self, columns: Columns) -> list[ColumnElement[Any]]:
        """Return the expressions to order by: the value, after whether it is null, for nulls come last."""
        column = columns[self.key.column]
        value = self.key.expression(column)
        if not self.key.nullable:
            return [value]
        return [column.is_not(None) if self.descending else column.is_(None), value]

    def operands(self, columns: Columns, name: str, *, has_value: bool) -> Iterator[Operands]:
        """Return what to compare of a row and of a position; a null there is not compared with, but for being one."""
        *null_test, value = self.expressions(columns)
        yield from ((each, literal(has_value == self.descending)) for each in null_test)
        if has_value:
            yield value, bindparam(name, type_=value.type)


@dataclass(frozen=True)
class Order:
    """The keys of a table's list in their order; the last is the id, so that no two rows are equal."""

    table: str
    keys: tuple[OrderedKey, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns that a row needs for its cursor."""
        return tuple(part.key.column for part in self.keys)

    @property
    def has_several_short_keys(self) -> bool:
        """Tell whether it has more keys than one, besides the id, and no text among them."""
        return len(self.keys) > 2 and not any(part.key.is_text for part in self.keys)  # noqa: PLR2004

    def split(self) -> tuple["Order", "Order"]:
        """Return the order of the rows that have a value of the first key, and that of those that have none."""
        first, *others = self.keys
        present = OrderedKey(replace(first.key, nullable=False), first.descending)
        return Order(self.table, (present, *others)), Order(self.table, tuple(others))

    @cached_property
    def _signature(self) -> str:
        keys = ",".join(f"-{part.key.column}" if part.descending else part.key.column for part in self.keys)
        return f"{self.table}:{keys}"

    @cached_property
    def _writers(self) -> list[tuple[Callable[[Any], Any], Callable[[Any], Any]]]:
        return [(attrgetter(part.key.column), part.key.write) for part in self.keys]

    def clauses(self, columns: Columns, *, backwards: bool) -> list[ColumnElement[Any]]:
        """Return the ORDER BY clauses; nulls come last in either direction."""
        return [
            expression.desc() if part.descending != backwards else expression
            for part in self.keys
            for expression in part.expressions(columns)
        ]

    def cursor(self, row: Any) -> str:
        """Return the cursor of a row."""
        return encode_cursor([self._signature, *(write(get(row)) for get, write in self._writers)])

    def read_cursor(self, cursor: str, name: str) -> Position:
        """Return the position that a cursor marks; raise BadUserInputError where it is none of this order."""
        try:
            signature, *values = decode_cursor(cursor) or [None]
            if signature == self._signature:
                return tuple(part.key.read_value(value) for part, value in zip(self.keys, values, strict=True))
        except (ValueError, TypeError, OverflowError):
            pass
        raise BadUserInputError(_NO_CURSOR.format(name=name), path=(name,))

    def keyset_values(self, position: Position | None, name: str) -> dict[str, Any]:
        """Return the values of a position by the names of their parameters."""
        return {} if position is None else {f"{name}_{c}": v for c, v in zip(self.columns, position, strict=True)}

    def keyset_condition(self, columns: Columns, mask: NullMask, name: str, *, backwards: bool) -> ColumnElement[bool]:
        """Return the condition that a row comes after a position, whose values are parameters `{name}_{column}`."""
        comparisons = [
            (*operands, part.descending != backwards)
            for part, has_value in zip(self.keys, mask, strict=True)
            for operands in part.operands(columns, f"{name}_{part.key.column}", has_value=has_value)
        ]
        return _comparison([list(group) for _, group in groupby(comparisons, key=itemgetter(2))])


def _comparison(groups: Sequence[Sequence[tuple[Any, Any, bool]]]) -> ColumnElement[bool]:
    """Return the comparison of tuples, whose elements are grouped by the direction in which they are ordered."""
    group, *others = groups
    expressions, values, (is_less, *_) = zip(*group, strict=True)
    # An index serves the comparison of whole tuples.
    left, right = tuple_(*expressions), tuple_(*values)
    is_beyond: ColumnElement[bool] = left < right if is_less else left > right
    if not others:
        return is_beyond
    is_reached = left <= right if is_less else left >= right
    return and_(is_reached, or_(is_beyond, _comparison(others)))


def null_mask(position: Position) -> NullMask:
    """Return which values of a position are not null."""
    return tuple(value is not None for value in position)


def _read_moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no offset")
    return moment.astimezone(UTC)


def _read_integer(value: Any) -> int:
    if type(value) is not int or not _MIN_INTEGER <= value <= -_MIN_INTEGER - 1:
        raise ValueError("no integer")
    return value


def read_text(value: Any) -> str:
    """Read a text from a cursor."""
    if not isinstance(value, str) or not is_storable(value):
        raise ValueError("no text")
    return value


def _read_id(value: Any) -> str:
    if (canonical := parse_id(read_text(value))) is None:
        raise ValueError("no id")
    return canonical


@cache
def sort_key(model: type[SQLModel], name: str) -> Key:
    """Return the key of a column, by its description."""
    column = columns_of(model)[name]
    if column.kind is Kind.MOMENT:
        return Key(name, _read_moment, lambda moment: moment and moment.isoformat(), nullable=column.is_nullable)
    if column.kind is Kind.ENUM:
        return Key(name, lambda value: column.type(read_text(value)), nullable=column.is_nullable)
    if column.kind is Kind.INTEGER:
        return Key(name, _read_integer, nullable=column.is_nullable)
    if column.kind is Kind.TEXT:
        # Both databases fold the case of ASCII alone here, and so does the cursor.
        is_nullable = column.is_nullable
        return Key(name, read_text, lambda text: text and text.translate(_LOWER), func.lower, is_nullable, is_text=True)
    raise TypeError(f"{model.__name__}.{name} is Sortable, but there is no order for {column.kind}")


ID_KEY: Final = Key("id", _read_id)
_BYTES_PER_KEY: Final = 1_000
ORDERS: Final[LRUCache[Hashable, Order]] = LRUCache("orders", max_bytes=1_000_000)


def order_by(table: Table, keys: Iterable[tuple[Key, OrderDirection]], identity: Key = ID_KEY) -> Order:
    """Return the order of a table by the keys, of which the first of a column counts.

    The id follows the last one's direction and decides between equals.
    """
    directions: dict[Key, OrderDirection] = {}
    for key, direction in keys:
        directions.setdefault(key, direction)
    cache_key = table, *directions.items(), identity
    if (order := ORDERS.get(cache_key)) is None:
        parts = [OrderedKey(key, direction is OrderDirection.DESC) for key, direction in directions.items()]
        order = Order(table.name, (*parts, OrderedKey(identity, parts[-1].descending)))
        ORDERS.put(cache_key, order, _BYTES_PER_KEY * len(order.keys))
    return order
