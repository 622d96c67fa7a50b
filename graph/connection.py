"""Relay connections over pages of rows; what is not selected is not computed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import strawberry
from sqlalchemy import Row
from sqlmodel import SQLModel

from graph.context import Batch, Info
from graph.mapping import enum_type
from graph.selection import connection_columns
from services.order import Order, OrderDirection
from services.paging import Listing, Page, PageArguments, Window, count_rows, fetch_page, read_window

NodeType = TypeVar("NodeType")

Count = Callable[[], Awaitable[int]]


class MakeListing(Protocol):
    """Makes a list with just the columns that are asked for."""

    def __call__(self, *, columns: frozenset[str]) -> Listing:
        """Return the list."""


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's page info."""

    has_next_page: bool = strawberry.field(description="Whether the list goes on after this page.")
    has_previous_page: bool = strawberry.field(description="Whether the list has rows before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the page's first row.")
    end_cursor: str | None = strawberry.field(description="The cursor of the page's last row.")


@strawberry.type(description="A row and its place in the list.")
class Edge(Generic[NodeType]):
    """Relay's edge."""

    cursor: str = strawberry.field(description="Marks the row's place; pass it as after or before.")
    node: NodeType


class EdgeSource:
    """What an edge is resolved from; its cursor is made when it is asked for."""

    __slots__ = ("_order", "node")

    def __init__(self, order: Order, row: Row[Any]) -> None:
        self._order = order
        self.node = row

    @property
    def cursor(self) -> str:
        """Return the row's cursor."""
        return self._order.cursor(self.node)


class ConnectionSource:
    """What a connection is resolved from."""

    __slots__ = ("_page", "count")

    def __init__(self, page: Page | None, count: Count) -> None:
        self._page = page
        self.count = count

    @property
    def nodes(self) -> Any:
        """Return the page's rows."""
        return self.page.rows

    @property
    def edges(self) -> list[EdgeSource]:
        """Return the page's rows with their cursors."""
        return [EdgeSource(self.page.order, row) for row in self.page.rows]

    @property
    def page_info(self) -> PageInfo:
        """Return where the page stands."""
        page = self.page
        cursor = page.order.cursor
        return PageInfo(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=cursor(page.rows[0]) if page.rows else None,
            end_cursor=cursor(page.rows[-1]) if page.rows else None,
        )

    @property
    def page(self) -> Page:
        """Return the page; there is none where only the count is selected."""
        if self._page is None:
            raise RuntimeError("the page was not fetched, since nothing of it was selected")
        return self._page


@strawberry.type(description="A page of a list.")
class Connection(Generic[NodeType]):
    """Relay's connection."""

    edges: list[Edge[NodeType]] = strawberry.field(description="The page's rows with their cursors.")
    nodes: list[NodeType] = strawberry.field(description="The page's rows.")
    page_info: PageInfo = strawberry.field(description="Where the page stands in the list.")

    @strawberry.field(description="How many rows the whole list has; counted only where it is selected.")
    @staticmethod
    async def total_count(root: strawberry.Parent[ConnectionSource]) -> int:
        """Count the whole list."""
        return await root.count()


async def connect(info: Info, model: type[SQLModel], make_listing: MakeListing, arguments: PageArguments) -> Any:
    """Return a page of a list that stands by itself."""
    columns = connection_columns(info, model)
    listing = make_listing(columns=columns or frozenset())
    window = read_window(listing.order, arguments)

    async def count() -> int:
        async with info.context.database.read() as session:
            return await count_rows(session, listing)

    if columns is None:
        return ConnectionSource(None, count)
    async with info.context.database.read() as session:
        return ConnectionSource(await fetch_page(session, listing, window), count)


@dataclass(frozen=True, slots=True)
class Relation:
    """A list that every parent has one of: its rows, and the loaders of a page of each and of their counts."""

    model: type[SQLModel]
    pages: Callable[[Listing, Window], Batch]
    counts: Callable[[Listing], Batch]

    async def connect(self, info: Info, parent_id: str, make_listing: MakeListing, arguments: PageArguments) -> Any:
        """Return a page of one parent's list, loaded together with those of all its siblings."""
        columns = connection_columns(info, self.model)
        listing = make_listing(columns=columns or frozenset())
        window = read_window(listing.order, arguments)

        def count() -> Awaitable[int]:
            return info.context.loader(info, lambda: self.counts(listing), part="count").load(parent_id)

        if columns is None:
            return ConnectionSource(None, count)
        loader = info.context.loader(info, lambda: self.pages(listing, window))
        return ConnectionSource(await loader.load(parent_id), count)


def empty_connection(make_listing: MakeListing, arguments: PageArguments) -> Any:
    """Return a page of a list that has nothing in it for this caller."""
    order = make_listing(columns=frozenset()).order
    read_window(order, arguments)

    async def none() -> int:
        return 0

    return ConnectionSource(Page(order), none)


enum_type(OrderDirection)
