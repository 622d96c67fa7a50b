"""Data loaders of every relation, named by their signature; each batch is one statement."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import SQLModel

from services.accounts.caller import Caller
from services.accounts.users import users_by_id
from services.query.lookup import rows_by_id
from services.query.pagination import Listing, Page, Window, count_rows, count_rows_of, fetch_page, fetch_pages
from services.query.sql import Source
from services.runs.run_list import runs_by_reply, tool_calls_by_run


@dataclass(frozen=True, slots=True)
class RowById:
    """The caller's row of an id."""

    model: type[SQLModel]
    caller: Caller
    columns: frozenset[str]

    async def load(self, source: Source, keys: list[str]) -> list[Any]:
        """Load the values of the keys."""
        return await rows_by_id(source, self.caller, self.model, keys, self.columns)


@dataclass(frozen=True, slots=True)
class RunByReply:
    """The run that wrote a message."""

    caller: Caller
    columns: frozenset[str]

    async def load(self, source: Source, keys: list[str]) -> list[Any]:
        """Load the values of the keys."""
        return await runs_by_reply(source, self.caller, keys, self.columns)


@dataclass(frozen=True, slots=True)
class ToolCallsByRun:
    """The tool calls of a run."""

    caller: Caller
    columns: frozenset[str]

    async def load(self, source: Source, keys: list[str]) -> list[list[Any]]:
        """Load the values of the keys."""
        return await tool_calls_by_run(source, self.caller, keys, self.columns)


@dataclass(frozen=True, slots=True)
class UserById:
    """The user of an id: the caller, or anyone where an admin asks."""

    caller: Caller
    columns: frozenset[str]

    async def load(self, source: Source, keys: list[str]) -> list[Any]:
        """Load the values of the keys."""
        return await users_by_id(source, self.caller, keys, self.columns)


@dataclass(frozen=True, slots=True)
class PageByParent:
    """A page of the list of each parent, whose id is in a column of the list's rows."""

    listing: Listing
    window: Window
    column: str

    async def load(self, source: Source, keys: list[str]) -> list[Page]:
        """Load the values of the keys."""
        return await fetch_pages(source, self.listing, self.window, self.column, keys)


@dataclass(frozen=True, slots=True)
class CountByParent:
    """How many rows the list of each parent has."""

    listing: Listing
    column: str

    async def load(self, source: Source, keys: list[str]) -> list[int]:
        """Load the values of the keys."""
        return await count_rows_of(source, self.listing, self.column, keys)


@dataclass(frozen=True, slots=True)
class PageByOwner:
    """A page of the list that the caller owns, wherever their row stands."""

    listing: Listing
    window: Window

    async def load(self, source: Source, keys: list[str]) -> list[Page]:
        """Load the values of the keys."""
        return [await fetch_page(source, self.listing, self.window)] * len(keys)


@dataclass(frozen=True, slots=True)
class CountByOwner:
    """How many rows the list has that the caller owns."""

    listing: Listing

    async def load(self, source: Source, keys: list[str]) -> list[int]:
        """Load the values of the keys."""
        return [await count_rows(source, self.listing)] * len(keys)
