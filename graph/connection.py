"""Relay connections over pages of rows; what is not selected is not computed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import strawberry
from sqlmodel import SQLModel

from engine import batched
from graph.context import Info
from graph.mapping import enum_type
from graph.selection import connection_columns
from services.query.ordering import Order, OrderDirection
from services.query.pagination import (
    Listing,
    Page,
    PageArguments,
    count_rows,
    count_rows_of,
    fetch_page,
    fetch_pages,
    read_window,
)
from services.query.sql import Source

NodeType = TypeVar("NodeType")
# Counts the whole lists of parents, in the order of their ids.
CountRows: TypeAlias = Callable[[Source, list[str]], Awaitable[list[int]]]


class MakeListing(Protocol):
    """Function that makes a list with just the selected columns."""

    def __call__(self, *, columns: frozenset[str]) -> Listing:
        """Return the list."""


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether the list goes on after this page.")
    has_previous_page: bool = strawberry.field(description="Whether the list has rows before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the page's first row.")
    end_cursor: str | None = strawberry.field(description="The cursor of the page's last row.")


@strawberry.type(description="A row and its place in the list.")
class Edge(Generic[NodeType]):
    cursor: str = strawberry.field(description="Marks the row's place; pass it as after or before.")
    node: NodeType


class EdgeSource:
    """Value that an edge is resolved from; its cursor is made when it is selected."""

    __slots__ = ("_order", "node")

    def __init__(self, order: Order, row: Any) -> None:
        self._order = order
        self.node = row

    @property
    def cursor(self) -> str:
        """Return the row's cursor."""
        return self._order.cursor(self.node)


class ConnectionSource:
    """Value that a connection is resolved from: a page, where one is needed, and what counts the whole list."""

    __slots__ = ("_page", "count", "parent_id")

    def __init__(self, page: Page | None, count: CountRows, parent_id: str = "") -> None:
        self._page = page
        self.count = count
        self.parent_id = parent_id

    @property
    def nodes(self) -> Any:
        """Return the page's rows."""
        return self.page.rows

    @property
    def edges(self) -> list[EdgeSource]:
        """Return the page's rows with their cursors."""
        page = self.page
        return [EdgeSource(page.order, row) for row in page.rows]

    @property
    def page_info(self) -> Page:
        """Return the page, which has the fields of page info."""
        return self.page

    @property
    def page(self) -> Page:
        """Return the page; there is none where only the count is selected."""
        if self._page is None:
            raise RuntimeError("the page was not fetched, since nothing of it was selected")
        return self._page


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The page's rows with their cursors.")
    nodes: list[NodeType] = strawberry.field(description="The page's rows.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")

    @strawberry.field(
        graphql_type=int, description="How many rows the whole list has; counted only where it is selected."
    )
    @staticmethod
    @batched
    async def total_count(parents: strawberry.Parent[list[ConnectionSource]], info: Info) -> list[Any]:
        """Count the whole lists, those of one field together."""
        counted: dict[tuple[CountRows, str], int] = {}
        for count in {parent.count for parent in parents}:
            ids = [parent.parent_id for parent in parents if parent.count is count]
            found = await count(info.context.database.reader, ids)
            counted |= {(count, parent_id): number for parent_id, number in zip(ids, found, strict=True)}
        return [counted[parent.count, parent.parent_id] for parent in parents]


async def connect(info: Info, model: type[SQLModel], make_listing: MakeListing, arguments: PageArguments) -> Any:
    """Return a page of one list."""
    columns = connection_columns(info, model)
    listing = make_listing(columns=columns or frozenset())
    window = read_window(listing.order, arguments)
    page = None if columns is None else await fetch_page(info.context.database.reader, listing, window)

    async def count(source: Source, parent_ids: list[str]) -> list[int]:
        return [await count_rows(source, listing)] * len(parent_ids)

    return ConnectionSource(page, count)


async def connect_children(
    info: Info,
    model: type[SQLModel],
    column: str,
    parents: Sequence[Any],
    make_listing: MakeListing,
    arguments: PageArguments,
) -> list[Any]:
    """Return a page of each parent's list by one statement; a column of the list's rows has the parent's id."""
    columns, parent_ids = connection_columns(info, model), [parent.id for parent in parents]
    listing = make_listing(columns=columns or frozenset())
    window = read_window(listing.order, arguments)
    pages: Sequence[Page | None] = [None] * len(parents)
    if columns is not None:
        pages = await fetch_pages(info.context.database.reader, listing, window, column, parent_ids)

    async def count(source: Source, parent_ids: list[str]) -> list[int]:
        return await count_rows_of(source, listing, column, parent_ids)

    return [ConnectionSource(page, count, parent_id) for page, parent_id in zip(pages, parent_ids, strict=True)]


def empty_connection(make_listing: MakeListing, arguments: PageArguments) -> Any:
    """Return a page of a list that is empty for this caller."""
    order = make_listing(columns=frozenset()).order
    read_window(order, arguments)

    async def count(_source: Source, parent_ids: list[str]) -> list[int]:
        return [0] * len(parent_ids)

    return ConnectionSource(Page(order), count)


enum_type(OrderDirection)
