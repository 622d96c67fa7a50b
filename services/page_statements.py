"""The statements of pages and counts; each is made and compiled once for its shape."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Table,
    TableValuedAlias,
    and_,
    bindparam,
    column,
    func,
    select,
    true,
)

from core.prepared import Prepared
from models.types import Id
from services.accounts.caller import owned
from services.conditions import ConditionsForm
from services.expressions import IsAnyOf, ids_named
from services.order import Order, Presence
from services.sql import columns_of

# The names of the parameters; those of the two places are followed by the number of the key.
LIMIT: Final = "limit"
PARENTS: Final = "parents"
AFTER: Final = "after"
BEFORE: Final = "before"

# How the first column of the rows of several parents is called: which of them it is, counted from one.
_PARENT: Final = "parent_number"
_MOST_KEPT: Final = 128
_Make = TypeVar("_Make", bound=Callable[..., Prepared])


class Shape(NamedTuple):
    """What the statement of a list depends on, all but values."""

    table: Table
    order: Order
    columns: frozenset[str]
    conditions: ConditionsForm
    is_owned: bool
    backwards: bool
    after: Presence | None
    before: Presence | None

    @property
    def where(self) -> tuple[ColumnElement[bool], ...]:
        """Return every condition, the owner's first."""
        conditions = self.conditions.build(self.conditions.shape)
        return (owned(self.table), *conditions) if self.is_owned else conditions

    def selected(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the columns that are asked for, with those that a cursor needs, in the table's order."""
        return columns_of(source, self.columns.union(self.order.columns))


def _kept(make: _Make) -> _Make:
    """Keep the statements that a function makes, those of long filters aside: who sends many fills no memory."""
    keep = lru_cache(maxsize=_MOST_KEPT)(make)

    def find(shape: Shape, *more: Any) -> Prepared:
        return (make if shape.conditions.is_long else keep)(shape, *more)

    return cast("_Make", find)


@_kept
def page_statement(shape: Shape) -> Prepared:
    """Return the statement of one page."""
    return Prepared(_window_of(select(*shape.selected(shape.table)), shape))


@_kept
def count_statement(shape: Shape) -> Prepared:
    """Return the statement that counts a whole list."""
    return Prepared(select(func.count().label("count")).select_from(shape.table).where(*shape.where))


@_kept
def counts_statement(shape: Shape, parent: str) -> Prepared:
    """Return the statement that counts the list of each of several parents."""
    key = shape.table.c[parent]
    conditions = (*shape.where, IsAnyOf(key, ids_named(PARENTS)))
    return Prepared(select(key, func.count().label("count")).where(*conditions).group_by(key))


@_kept
def pages_on_postgresql(shape: Shape, parent: str) -> Prepared:
    """Return the statement of a page of each of several parents."""
    parents = _parents()
    inner = select(*shape.selected(shape.table)).where(shape.table.c[parent] == parents.c.id)
    page = _window_of(inner, shape).lateral("page")
    return Prepared(select(parents.c.number.label(_PARENT), *page.c).select_from(parents.join(page, true())))


@_kept
def pages_on_sqlite(shape: Shape, parent: str) -> Prepared:
    """Name the rows of each page by a correlated subquery: SQLite has no lateral joins."""
    parents = func.json_each(ids_named(PARENTS)).table_valued(column("key", Integer()), "value", name="parents")
    inner = select(shape.table.c.id).where(shape.table.c[parent] == parents.c.value)
    page_ids = _window_of(inner, shape).correlate(parents)
    rows = shape.table.alias("page")
    is_on_page: ColumnElement[bool] = rows.c.id.in_(page_ids)
    if shape.is_owned:
        is_on_page = and_(owned(rows), is_on_page)
    ordered = shape.order.clauses(rows.c, backwards=shape.backwards)
    statement = select((parents.c.key + 1).label(_PARENT), *shape.selected(rows)).select_from(parents)
    return Prepared(statement.join(rows, is_on_page).order_by(parents.c.key, *ordered))


def _parents() -> TableValuedAlias:
    named = column("id", Id)
    parents = func.unnest(ids_named(PARENTS)).table_valued(named, with_ordinality="number", name="parents")
    return parents.render_derived()


def _window_of(statement: Select[Any], shape: Shape) -> Select[Any]:
    """Bound a statement to a window and one row more, which tells whether the list goes on."""
    columns, order = shape.table.c, shape.order
    statement = statement.where(*shape.where)
    if shape.after is not None:
        statement = statement.where(order.beyond(columns, shape.after, AFTER, backwards=False))
    if shape.before is not None:
        statement = statement.where(order.beyond(columns, shape.before, BEFORE, backwards=True))
    limit = bindparam(LIMIT, type_=Integer())
    return statement.order_by(*order.clauses(columns, backwards=shape.backwards)).limit(limit)
