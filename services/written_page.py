"""Pages that PostgreSQL writes: of each it gives one row, with the texts of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.order import Order
from services.page_statements import PARENTS, written_page, written_pages
from services.paging import Listing, Window, shape_of, values_for
from services.sql import Source, read
from services.written import Writing


class WrittenPage(NamedTuple):
    """The rows of one window as JSON, where the first and the last stand, and whether there are more on either side."""

    order: Order
    json: str
    start: Sequence[Any] | None
    end: Sequence[Any] | None
    has_next: bool
    has_previous: bool

    @property
    def start_cursor(self) -> str | None:
        """Return the cursor of the first row."""
        return None if self.start is None else self.order.cursor_at(self.start)

    @property
    def end_cursor(self) -> str | None:
        """Return the cursor of the last row."""
        return None if self.end is None else self.order.cursor_at(self.end)


@dataclass(frozen=True, slots=True)
class WrittenPages:
    """The pages of a window of a list, or of that of each of several parents."""

    listing: Listing
    window: Window
    writing: Writing

    async def fetch(self, source: Source) -> WrittenPage:
        """Return the page of a list that stands by itself."""
        statement = written_page(shape_of(self.listing, self.window), self.writing)
        ((texts, *ends),) = await read(source, statement, values_for(self.listing, self.window))
        return self._page(texts or [], ends)

    async def fetch_of(self, source: Source, parent: str, parent_ids: Sequence[str]) -> list[WrittenPage]:
        """Return the page of each parent, in their order, by one statement."""
        statement = written_pages(shape_of(self.listing, self.window), self.writing, parent)
        values = values_for(self.listing, self.window) | {PARENTS: parent_ids}
        rows = await read(source, statement, values)
        pages = {number: self._page(texts or [], ends) for number, texts, *ends in rows}
        return [pages[number] for number in range(1, len(parent_ids) + 1)]

    def _page(self, texts: list[str], ends: list[Any]) -> WrittenPage:
        window, order = self.window, self.listing.order
        goes_on = len(texts) > window.size
        shown = texts[: window.size] if goes_on else texts
        start: list[Any] | None = None
        end: list[Any] | None = None
        if shown and ends:
            middle = len(ends) // 2
            start, end = ends[:middle], ends[middle:]
        if window.backwards:
            shown.reverse()
            return WrittenPage(order, f"[{','.join(shown)}]", end, start, window.before is not None, goes_on)
        return WrittenPage(order, f"[{','.join(shown)}]", start, end, goes_on, window.after is not None)
