"""Keyset pagination: one statement for a page, and one for the pages of many parents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Table

from core.errors import BadUserInputError
from core.page_size import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from core.prepared_statement import Rows
from services.accounts.caller import OWNER, Caller
from services.query.filters import NO_CONDITIONS, Conditions
from services.query.ordering import Order, Position, keyset_values, null_mask
from services.query.sql import Source, is_sqlite, read
from services.query.statements import (
    AFTER,
    BEFORE,
    LIMIT,
    PARENTS,
    StatementKey,
    count_statement,
    counts_statement,
    page_statement,
    pages_on_postgresql,
    pages_on_sqlite,
)


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
    statement = page_statement(statement_key(listing, window))
    return _page(listing.order, window, await read(source, statement, statement_values(listing, window)))


async def count_rows(source: Source, listing: Listing) -> int:
    """Return how many rows a list has in all."""
    ((count,),) = await read(source, count_statement(statement_key(listing, None)), statement_values(listing, None))
    return int(count)


async def fetch_pages(
    source: Source, listing: Listing, window: Window, parent: str, parent_ids: Sequence[str]
) -> list[Page]:
    """Return one page of each parent's list, in the order of the parents, by one statement."""
    build = pages_on_sqlite if is_sqlite(source) else pages_on_postgresql
    values = statement_values(listing, window) | {PARENTS: parent_ids}
    by_parent: list[list[Any]] = [[] for _ in parent_ids]
    for row in await read(source, build(statement_key(listing, window), parent), values):
        by_parent[row[0] - 1].append(row)
    return [_page(listing.order, window, rows) for rows in by_parent]


async def count_rows_of(source: Source, listing: Listing, parent: str, parent_ids: Sequence[str]) -> list[int]:
    """Return how many rows each parent's list has, in the order of the parents, by one statement."""
    statement = counts_statement(statement_key(listing, None), parent)
    counts = dict(await read(source, statement, statement_values(listing, None) | {PARENTS: parent_ids}))
    return [counts.get(parent_id, 0) for parent_id in parent_ids]


def statement_key(listing: Listing, window: Window | None) -> StatementKey:
    """Return the key of a list's statement."""
    after, before = (None, None) if window is None else (window.after, window.before)
    return StatementKey(
        listing.table,
        listing.order,
        listing.columns,
        listing.conditions.template,
        is_owned=listing.caller is not None,
        backwards=window is not None and window.backwards,
        after=None if after is None else null_mask(after),
        before=None if before is None else null_mask(before),
    )


def statement_values(listing: Listing, window: Window | None) -> dict[str, Any]:
    """Return the values of its parameters."""
    values = dict(listing.conditions.values)
    if listing.caller is not None:
        values[OWNER] = listing.caller.user_id
    if window is not None:
        values[LIMIT] = window.size + 1
        values |= keyset_values(window.after or (), AFTER) | keyset_values(window.before or (), BEFORE)
    return values


def _page(order: Order, window: Window, found: Rows) -> Page:
    rows, has_more = found[: window.size], len(found) > window.size
    if window.backwards:
        return Page(order, rows[::-1], has_next_page=window.before is not None, has_previous_page=has_more)
    return Page(order, rows, has_next_page=has_more, has_previous_page=window.after is not None)
