"""Relay connections over pages of rows; what is not selected is not computed."""

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import strawberry
from sqlmodel import SQLModel

from engine import batched
from graph.context import Batch, Info
from graph.loaders import CountByOwner, CountByParent, PageByOwner, PageByParent
from graph.mapping import enum_type
from graph.selection import connection_columns
from services.query.ordering import Order, OrderDirection
from services.query.pagination import Listing, Page, PageArguments, fetch_page, read_window
from services.query.sql import Source

NodeType = TypeVar("NodeType")


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

    def __init__(self, order: Order, row: Any) -> None:
        self._order = order
        self.node = row

    @property
    def cursor(self) -> str:
        """Return the row's cursor."""
        return self._order.cursor(self.node)


class PageInfoSource:
    """What page info is resolved from; its cursors are made when they are asked for."""

    __slots__ = ("_page", "has_next_page", "has_previous_page")

    def __init__(self, page: Page) -> None:
        self._page = page
        self.has_next_page = page.has_next
        self.has_previous_page = page.has_previous

    @property
    def start_cursor(self) -> str | None:
        """Return the cursor of the first row."""
        return self._page.start_cursor

    @property
    def end_cursor(self) -> str | None:
        """Return the cursor of the last row."""
        return self._page.end_cursor


class ConnectionSource:
    """What a connection is resolved from: a page, where one is needed, and what counts the list of its parent."""

    __slots__ = ("_page", "counts", "parent_id")

    def __init__(self, page: Page | None, counts: Batch, parent_id: str = "") -> None:
        self._page = page
        self.counts = counts
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
    def page_info(self) -> PageInfoSource:
        """Return where the page stands."""
        return PageInfoSource(self.page)

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

    @strawberry.field(
        graphql_type=int, description="How many rows the whole list has; counted only where it is selected."
    )
    @staticmethod
    @batched
    async def total_count(parents: strawberry.Parent[list[ConnectionSource]], info: Info) -> list[Any]:
        """Count the whole lists, those of one field together."""
        counted: dict[tuple[int, str], int] = {}
        for counts in {id(parent.counts): parent.counts for parent in parents}.values():
            keys = [parent.parent_id for parent in parents if parent.counts is counts]
            found = await counts.load(info.context.database.reader, keys)
            counted |= {(id(counts), key): count for key, count in zip(keys, found, strict=True)}
        return [counted[id(parent.counts), parent.parent_id] for parent in parents]


async def connect(info: Info, model: type[SQLModel], make_listing: MakeListing, arguments: PageArguments) -> Any:
    """Return a page of a list that stands by itself."""
    columns = connection_columns(info, model)
    listing = make_listing(columns=columns or frozenset())
    window, source = read_window(listing.order, arguments), info.context.database.reader
    page = None if columns is None else await fetch_page(source, listing, window)
    return ConnectionSource(page, CountByOwner(listing))


@dataclass(frozen=True, slots=True)
class Relation:
    """A list that every parent has one of: its rows' model, and the column of theirs that has the parent's id.

    Without a column, the one parent there is owns the whole list.
    """

    model: type[SQLModel]
    column: str | None = None

    async def connect(
        self, info: Info, parent_ids: list[str], make_listing: MakeListing, arguments: PageArguments
    ) -> list[Any]:
        """Return a page of each parent's list, all by one statement."""
        columns = connection_columns(info, self.model)
        listing = make_listing(columns=columns or frozenset())
        window = read_window(listing.order, arguments)
        counts: Batch = CountByOwner(listing) if self.column is None else CountByParent(listing, self.column)
        if columns is None:
            return [ConnectionSource(None, counts, parent_id) for parent_id in parent_ids]
        batch: Batch = (
            PageByOwner(listing, window) if self.column is None else PageByParent(listing, window, self.column)
        )
        pages = await batch.load(info.context.database.reader, parent_ids)
        return [ConnectionSource(page, counts, parent_id) for page, parent_id in zip(pages, parent_ids, strict=True)]


@dataclass(frozen=True, slots=True)
class _NoCounts:
    """The count of lists that have nothing in them."""

    async def load(self, _source: Source, keys: list[str]) -> list[int]:
        """Return nothing of each."""
        return [0] * len(keys)


def empty_connection(make_listing: MakeListing, arguments: PageArguments) -> Any:
    """Return a page of a list that has nothing in it for this caller."""
    order = make_listing(columns=frozenset()).order
    read_window(order, arguments)
    return ConnectionSource(Page(order), _NoCounts())


enum_type(OrderDirection)
