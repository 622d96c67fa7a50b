"""Keyset pagination: one statement for a page, and one for the pages of many parents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    column,
    false,
    func,
    select,
    true,
    union_all,
)

from core.errors import BadUserInputError
from core.prepared_statement import PLAN_EACH_TIME, Rows, cached_statement
from services.accounts.caller import OWNER, Caller, owned
from services.query.filters import NO_CONDITIONS, Conditions, FilterTemplate, IsAnyOf, id_list_param, text_list_param
from services.query.ordering import NullMask, Order, Position, null_mask
from services.query.sql import Source, is_sqlite, read, table_columns

DEFAULT_PAGE_SIZE: Final = 20
MAX_PAGE_SIZE: Final = 100
# Of a page of changes: a client that has much to catch up on reads nothing else.
MAX_CHANGES: Final = 1_000

# The names of the parameters; those of the two cursors are followed by the number of the key.
_LIMIT: Final = "limit"
_PARENTS: Final = "parents"
_AFTER: Final = "after"
_BEFORE: Final = "before"

# The first column of the pages of several parents: which parent it is, counted from one.
_PARENT_NUMBER: Final = "parent_number"


@dataclass(frozen=True, slots=True)
class PageArguments:
    """The arguments of a connection field."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that a page shows: how many rows, from which end, between which positions."""

    size: int
    backwards: bool
    after: Position | None
    before: Position | None


# What is counted; the size plays no part.
_WHOLE: Final = Window(size=0, backwards=False, after=None, before=None)


class Page(NamedTuple):
    """The rows of a window, and whether there are more on either side."""

    order: Order
    rows: Rows = ()
    has_next_page: bool = False
    has_previous_page: bool = False

    @property
    def start_cursor(self) -> str | None:
        """Return the cursor of the first row."""
        return self.order.cursor(self.rows[0]) if self.rows else None

    @property
    def end_cursor(self) -> str | None:
        """Return the cursor of the last row."""
        return self.order.cursor(self.rows[-1]) if self.rows else None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: a table, its order, its conditions and the columns to read; of the caller's rows, where there is one."""

    table: Table
    order: Order
    caller: Caller | None
    conditions: Conditions = NO_CONDITIONS
    columns: frozenset[str] = frozenset()


def read_window(order: Order, arguments: PageArguments) -> Window:
    """Validate the arguments of a connection and return its window."""
    first, last = arguments.first, arguments.last
    if first is not None and last is not None:
        raise BadUserInputError("Pass first or last, not both.", path=("last",))
    for name, size in (("first", first), ("last", last)):
        if size is not None and not 0 <= size <= MAX_PAGE_SIZE:
            raise BadUserInputError(f"{name} must be 0 to {MAX_PAGE_SIZE}; it is {size}.", path=(name,))
    size = first if first is not None else last
    return Window(
        size=DEFAULT_PAGE_SIZE if size is None else size,
        backwards=last is not None,
        after=None if arguments.after is None else order.read_cursor(arguments.after, "after"),
        before=None if arguments.before is None else order.read_cursor(arguments.before, "before"),
    )


async def fetch_page(source: Source, listing: Listing, window: Window) -> Page:
    """Return one page of a list."""
    must_sort = listing.order.has_several_short_keys and listing.caller is not None and not is_sqlite(source)
    build = _sorted_page_on_postgresql if must_sort else _page_statement
    values = _statement_values(listing, window)
    return _page(listing.order, window, await read(source, build(_statement_key(listing, window)), values))


async def count_rows(source: Source, listing: Listing) -> int:
    """Return how many rows a list has in all."""
    statement = _count_statement(_statement_key(listing, _WHOLE))
    ((count,),) = await read(source, statement, _statement_values(listing, _WHOLE))
    return int(count)


async def fetch_pages(
    source: Source, listing: Listing, window: Window, parent: str, parent_ids: Sequence[str]
) -> list[Page]:
    """Return one page of each parent's list, in the order of the parents, by one statement."""
    build = _pages_on_sqlite if is_sqlite(source) else _pages_on_postgresql
    # However often a parent comes, its list is read once.
    ids = list(dict.fromkeys(parent_ids))
    values = _statement_values(listing, window) | {_PARENTS: ids}
    by_parent: list[list[Any]] = [[] for _ in ids]
    for row in await read(source, build(_statement_key(listing, window), parent), values):
        by_parent[row[0] - 1].append(row)
    pages = {row_id: _page(listing.order, window, rows) for row_id, rows in zip(ids, by_parent, strict=True)}
    return [pages[row_id] for row_id in parent_ids]


async def count_rows_of(source: Source, listing: Listing, parent: str, parent_ids: Sequence[str]) -> list[int]:
    """Return how many rows each parent's list has, in the order of the parents, by one statement."""
    statement = _counts_statement(_statement_key(listing, _WHOLE), parent)
    counts = dict(await read(source, statement, _statement_values(listing, _WHOLE) | {_PARENTS: parent_ids}))
    return [counts.get(parent_id, 0) for parent_id in parent_ids]


def _statement_key(listing: Listing, window: Window) -> "_StatementKey":
    return _StatementKey(
        listing.table,
        listing.order,
        listing.columns,
        listing.conditions.template,
        is_owned=listing.caller is not None,
        has_values=bool(listing.conditions.values),
        backwards=window.backwards,
        after=window.after and null_mask(window.after),
        before=window.before and null_mask(window.before),
    )


def _statement_values(listing: Listing, window: Window) -> dict[str, Any]:
    values = {**listing.conditions.values, _LIMIT: window.size + 1}
    if listing.caller is not None:
        values[OWNER] = listing.caller.user_id
    order = listing.order
    return values | order.keyset_values(window.after, _AFTER) | order.keyset_values(window.before, _BEFORE)


def _page(order: Order, window: Window, found: Rows) -> Page:
    rows, has_more = found[: window.size], len(found) > window.size
    if window.backwards:
        return Page(order, rows[::-1], has_next_page=window.before is not None, has_previous_page=has_more)
    return Page(order, rows, has_next_page=has_more, has_previous_page=window.after is not None)


class _StatementKey(NamedTuple):
    """All that the SQL of a list depends on; everything else is a value of a parameter."""

    table: Table
    order: Order
    columns: frozenset[str]
    template: FilterTemplate
    is_owned: bool
    has_values: bool
    backwards: bool
    after: NullMask | None
    before: NullMask | None

    @property
    def where(self) -> tuple[ColumnElement[bool], ...]:
        """Return every condition, the owner's first."""
        conditions = self.template.build(self.template.key)
        return (owned(self.table), *conditions) if self.is_owned else conditions

    def selected(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the selected columns and those that a cursor needs, in the table's order."""
        return table_columns(source, self.columns.union(self.order.columns))


@cached_statement
def _page_statement(key: _StatementKey) -> Select[Any]:
    return _planned(_limit_to_window(select(*key.selected(key.table)), key), key)


@cached_statement
def _sorted_page_on_postgresql(key: _StatementKey) -> Select[Any]:
    """Return the statement of a page in an order by several keys: what to sort is read off an index, then the rows."""
    found, rows = _sorted(key._replace(columns=frozenset())).subquery("found"), key.table.alias("page")
    statement = select(*key.selected(rows)).select_from(found.join(rows, and_(owned(rows), rows.c.id == found.c.id)))
    ordered = statement.order_by(*key.order.clauses(found.c, backwards=key.backwards)).limit(_limit())
    # How many rows there are of an owner decides how to sort.
    return ordered.execution_options(**{PLAN_EACH_TIME: True})


def _sorted(key: _StatementKey) -> Select[Any] | CompoundSelect[Any]:
    """Return the statement of what the rows of a page are ordered by.

    Very many may have no value of the first key. They are sorted by themselves, unless the others fill the page.
    """
    if not key.order.keys[0].key.nullable:
        return _limit_to_window(select(*key.selected(key.table)), key)
    begun = _part(key, has_value=not key.backwards).cte("begun")
    is_short = select(func.count()).select_from(begun).scalar_subquery() < _limit()
    return union_all(select(*begun.c), select(*_part(key, is_short, has_value=key.backwards).subquery("others").c))


def _part(key: _StatementKey, *conditions: ColumnElement[bool], has_value: bool) -> Select[Any]:
    """Return that statement of the rows that have a value of the first key, or of those that have none."""
    present, missing = key.order.split()
    order, first = present if has_value else missing, key.table.c[key.order.columns[0]]
    where = *key.where, first.is_not(None) if has_value else first.is_(None), *conditions
    part = select(*key.selected(key.table)).where(*where, *_bounds(key, order, has_value=has_value))
    source: FromClause = key.table
    if not has_value:
        # Read apart, or the index of the second key would be read through where few are without.
        source = part.offset(0).subquery("without")
        part = select(*source.c)
    return part.order_by(*order.clauses(source.c, backwards=key.backwards)).limit(_limit())


@cached_statement
def _count_statement(key: _StatementKey) -> Select[Any]:
    return _planned(select(func.count().label("count")).select_from(key.table).where(*key.where), key)


@cached_statement
def _counts_statement(key: _StatementKey, parent: str) -> Select[Any]:
    parent_id = key.table.c[parent]
    conditions = (*key.where, IsAnyOf(parent_id, _parent_ids(parent)))
    return _planned(select(parent_id, func.count().label("count")).where(*conditions).group_by(parent_id), key)


@cached_statement
def _pages_on_postgresql(key: _StatementKey, parent: str) -> Select[Any]:
    """Return the statement of a page of each of several parents, a lateral join."""
    ids, parent_id = func.unnest(_parent_ids(parent)), column("id", key.table.c[parent].type)
    parents = ids.table_valued(parent_id, with_ordinality="number", name="parents").render_derived()
    inner = select(*key.selected(key.table)).where(key.table.c[parent] == parents.c.id)
    page = _limit_to_window(inner, key).lateral("page")
    return _planned(
        select(parents.c.number.label(_PARENT_NUMBER), *page.c).select_from(parents.join(page, true())), key
    )


@cached_statement
def _pages_on_sqlite(key: _StatementKey, parent: str) -> Select[Any]:
    """Return that statement without a lateral join: a correlated subquery names the rows of each page."""
    ids = func.json_each(_parent_ids(parent))
    parents = ids.table_valued(column("key", Integer()), "value", name="parents")
    inner = select(key.table.c.id).where(key.table.c[parent] == parents.c.value)
    page_ids = _limit_to_window(inner, key).correlate(parents)
    rows = key.table.alias("page")
    # Each way the key of the table, which begins with the owner, finds them.
    is_own = owned(rows) if key.is_owned else rows.c[parent] == parents.c.value
    is_on_page = and_(is_own, rows.c.id.in_(page_ids))
    ordered = key.order.clauses(rows.c, backwards=key.backwards)
    statement = select((parents.c.key + 1).label(_PARENT_NUMBER), *key.selected(rows)).select_from(parents)
    return statement.join(rows, is_on_page).order_by(parents.c.key, *ordered)


def _planned(statement: Select[Any], key: _StatementKey) -> Select[Any]:
    """Let a filter's values decide how it is planned: whether a word is common, whether any title begins so."""
    return statement.execution_options(**{PLAN_EACH_TIME: True}) if key.has_values else statement


def _parent_ids(parent: str) -> ColumnElement[Any]:
    """Return the parameter that takes the parents' ids; those of users are any text."""
    return text_list_param(_PARENTS) if parent == OWNER else id_list_param(_PARENTS)


def _limit_to_window(statement: Select[Any], key: _StatementKey) -> Select[Any]:
    """Limit a statement to a window and one row more, which shows whether the list goes on."""
    statement = statement.where(*key.where, *_bounds(key, key.order))
    return statement.order_by(*key.order.clauses(key.table.c, backwards=key.backwards)).limit(_limit())


def _limit() -> ColumnElement[int]:
    return bindparam(_LIMIT, type_=Integer())


def _bounds(key: _StatementKey, order: Order, *, has_value: bool | None = None) -> Iterator[ColumnElement[bool]]:
    """Return the conditions of the cursors; `has_value` tells of which rows alone, as in `_part`."""
    for name, mask, backwards in ((_AFTER, key.after, False), (_BEFORE, key.before, True)):
        if mask is not None and has_value in (None, mask[0]):
            shown = mask[-len(order.keys) :]
            yield order.keyset_condition(key.table.c, shown, name, backwards=backwards)
        elif mask is not None and has_value != backwards:
            # Those with a value come before all that have none.
            yield false()
