"""Relay connections over pages of rows; what is not selected is not computed."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import strawberry
from sqlmodel import SQLModel

from graph.context import Info
from graph.mapping import enum_type
from graph.selection import connection_columns, selects
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

NodeType = TypeVar("NodeType")
# Makes a list with just the selected columns, which it takes by the name `columns`.
MakeListing: TypeAlias = Callable[..., Listing]


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


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    edges: list[Edge[NodeType]] = strawberry.field(description="The page's rows with their cursors.")
    nodes: list[NodeType] = strawberry.field(description="The page's rows.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")
    total_count: int = strawberry.field(
        description="How many rows the whole list has; counted only where it is selected."
    )


class EdgeSource(NamedTuple):
    """Value that an edge is resolved from; its cursor is made when it is selected."""

    order: Order
    node: Any

    @property
    def cursor(self) -> str:
        """Return the row's cursor."""
        return self.order.cursor(self.node)


class ConnectionSource(NamedTuple):
    """Value that a connection is resolved from; what is not selected is None."""

    # A page has the fields of page info.
    page_info: Any
    total_count: int | None

    @property
    def nodes(self) -> Any:
        """Return the page's rows."""
        return self.page_info.rows

    @property
    def edges(self) -> list[EdgeSource]:
        """Return the page's rows with their cursors."""
        return [EdgeSource(self.page_info.order, row) for row in self.page_info.rows]


def edge_of(info: Info, make_listing: MakeListing, row: Any) -> EdgeSource | None:
    """Return a row of the caller's with its place in a list."""
    return None if row is None else EdgeSource(make_listing(info.context.require_caller()).order, row)


async def connect(info: Info, model: type[SQLModel], make_listing: MakeListing, arguments: PageArguments) -> Any:
    """Return a page of one list."""
    columns, reader = connection_columns(info, model), info.context.database.reader
    listing = make_listing(columns=columns or frozenset())
    window = read_window(listing.order, arguments)
    page = None if columns is None else await fetch_page(reader, listing, window)
    return ConnectionSource(page, await count_rows(reader, listing) if selects(info, "totalCount") else None)


async def connect_children(
    info: Info,
    model: type[SQLModel],
    column: str,
    parents: Sequence[Any],
    make_listing: MakeListing,
    arguments: PageArguments,
) -> list[Any]:
    """Return a page of each parent's list by one statement; a column of the list's rows has the parent's id."""
    columns, reader = connection_columns(info, model), info.context.database.reader
    listing = make_listing(columns=columns or frozenset())
    window, parent_ids = read_window(listing.order, arguments), [parent.id for parent in parents]
    pages: Sequence[Page | None] = [None] * len(parents)
    if columns is not None:
        pages = await fetch_pages(reader, listing, window, column, parent_ids)
    counts: Sequence[int | None] = [None] * len(parents)
    if selects(info, "totalCount"):
        counts = await count_rows_of(reader, listing, column, parent_ids)
    return list(map(ConnectionSource, pages, counts))


enum_type(OrderDirection)
