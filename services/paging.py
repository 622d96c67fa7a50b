"""Pages of lists by keyset: one statement for a page, and one for the pages of many parents."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Row, Select, Table, and_, column, func, select, true
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import BadUserInputError
from core.page_size import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from models.types import Id
from services.caller import Caller
from services.expressions import IsAnyOf, id_list
from services.order import Order
from services.sql import Rows, execute, fetch_all, is_sqlite

_PARENT: Final = "parent_key"


@dataclass(frozen=True, slots=True)
class PageArguments:
    """What a connection field was asked for."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a list: how many rows, from which end, between which places."""

    size: int
    backwards: bool
    after: tuple[Any, ...] | None
    before: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of one window, and whether there are more on either side."""

    order: Order
    rows: Rows = ()
    has_next: bool = False
    has_previous: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of a table that a list is made of: the caller's own, unless the table has no owner."""

    table: Table
    order: Order
    caller: Caller | None
    conditions: tuple[ColumnElement[bool], ...] = ()
    columns: frozenset[str] = field(default_factory=frozenset)

    @property
    def where(self) -> tuple[ColumnElement[bool], ...]:
        """Return every condition, the owner's first."""
        return self.conditions if self.caller is None else (self.caller.owns(self.table), *self.conditions)

    def selected(self, source: FromClause) -> list[ColumnElement[Any]]:
        """Return the columns that are asked for, with those that a cursor needs, in the table's order."""
        needed = self.columns.union(self.order.columns)
        return [source.c[each.name] for each in self.table.c if each.name in needed]


def read_window(order: Order, arguments: PageArguments) -> Window:
    """Check what a connection was asked for."""
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


async def fetch_page(session: AsyncSession, listing: Listing, window: Window) -> Page:
    """Return one page of a list."""
    statement = _window_of(select(*listing.selected(listing.table)), listing, window)
    return _page(listing.order, window, await fetch_all(session, statement))


async def count_rows(session: AsyncSession, listing: Listing) -> int:
    """Return how many rows a list has in all."""
    statement = select(func.count()).select_from(listing.table).where(*listing.where)
    return int((await execute(session, statement)).scalar_one())


async def fetch_pages(
    session: AsyncSession, listing: Listing, window: Window, parent: str, parent_ids: Sequence[str]
) -> list[Page]:
    """Return one page of each parent's list, in the order of the parents, by one statement."""
    build = _pages_on_sqlite if is_sqlite(session) else _pages_on_postgresql
    by_parent: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in await fetch_all(session, build(listing, window, parent, parent_ids)):
        by_parent[row[0]].append(row)
    return [_page(listing.order, window, by_parent.get(parent_id, [])) for parent_id in parent_ids]


async def count_rows_of(session: AsyncSession, listing: Listing, parent: str, parent_ids: Sequence[str]) -> list[int]:
    """Return how many rows each parent's list has, in the order of the parents, by one statement."""
    key = listing.table.c[parent]
    conditions = (*listing.where, IsAnyOf(key, id_list(parent_ids)))
    rows = await fetch_all(session, select(key, func.count()).where(*conditions).group_by(key))
    counts: Mapping[str, int] = dict(rows)  # type: ignore[arg-type]  # rows of two
    return [counts.get(parent_id, 0) for parent_id in parent_ids]


def _window_of(statement: Select[Any], listing: Listing, window: Window) -> Select[Any]:
    """Bound a statement to a window and one row more, which tells whether the list goes on."""
    columns, order = listing.table.c, listing.order
    statement = statement.where(*listing.where)
    if window.after is not None:
        statement = statement.where(order.beyond(columns, window.after, backwards=False))
    if window.before is not None:
        statement = statement.where(order.beyond(columns, window.before, backwards=True))
    return statement.order_by(*order.clauses(columns, backwards=window.backwards)).limit(window.size + 1)


def _pages_on_postgresql(listing: Listing, window: Window, parent: str, parent_ids: Sequence[str]) -> Select[Any]:
    parents = func.unnest(id_list(parent_ids)).table_valued(column("id", Id), name="parents").render_derived()
    inner = select(*listing.selected(listing.table)).where(listing.table.c[parent] == parents.c.id)
    page = _window_of(inner, listing, window).lateral("page")
    return select(parents.c.id.label(_PARENT), *page.c).select_from(parents).join(page, true())


def _pages_on_sqlite(listing: Listing, window: Window, parent: str, parent_ids: Sequence[str]) -> Select[Any]:
    """Name the rows of each page by a correlated subquery: SQLite has no lateral joins."""
    parents = func.json_each(id_list(parent_ids)).table_valued("key", "value", name="parents")
    inner = select(listing.table.c.id).where(listing.table.c[parent] == parents.c.value)
    page_ids = _window_of(inner, listing, window).correlate(parents)
    rows = listing.table.alias("page")
    is_on_page: ColumnElement[bool] = rows.c.id.in_(page_ids)
    if listing.caller is not None:
        is_on_page = and_(listing.caller.owns(rows), is_on_page)
    ordered = listing.order.clauses(rows.c, backwards=window.backwards)
    statement = select(parents.c.value.label(_PARENT), *listing.selected(rows)).select_from(parents)
    return statement.join(rows, is_on_page).order_by(parents.c.key, *ordered)


def _page(order: Order, window: Window, found: Sequence[Row[Any]]) -> Page:
    rows, goes_on = found[: window.size], len(found) > window.size
    if window.backwards:
        return Page(order, rows[::-1], has_next=window.before is not None, has_previous=goes_on)
    return Page(order, rows, has_next=goes_on, has_previous=window.after is not None)
