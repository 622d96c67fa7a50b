"""Loaders of every relation, named by their signature; each batch is one statement."""

from dataclasses import dataclass
from typing import Any, ClassVar

from sqlmodel import SQLModel

from models import Conversation, Message, Run, Task, ToolCall
from services.accounts.caller import Caller
from services.accounts.user_list import users_by_id
from services.query.lookup import rows_by_id
from services.query.pagination import Listing, Page, Window, count_rows, count_rows_of, fetch_page, fetch_pages
from services.query.sql import Source
from services.runs.run_list import runs_by_reply, tool_calls_by_run


@dataclass(frozen=True, slots=True)
class RowById:
    """The caller's row of an id."""

    caller: Caller
    columns: frozenset[str]
    model: ClassVar[type[SQLModel]]

    async def load(self, source: Source, keys: list[str]) -> list[Any]:
        """Load the values of the keys."""
        return await rows_by_id(source, self.caller, self.model, keys, self.columns)


class TaskById(RowById):
    """The task of an id."""

    model = Task


class ConversationById(RowById):
    """The conversation of an id."""

    model = Conversation


class MessageById(RowById):
    """The message of an id."""

    model = Message


class RunById(RowById):
    """The run of an id."""

    model = Run


class ToolCallById(RowById):
    """The tool call of an id."""

    model = ToolCall


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
class _PageByParent:
    listing: Listing
    window: Window
    parent: ClassVar[str]

    async def load(self, source: Source, keys: list[str]) -> list[Page]:
        """Load the values of the keys."""
        return await fetch_pages(source, self.listing, self.window, self.parent, keys)


@dataclass(frozen=True, slots=True)
class _CountByParent:
    listing: Listing
    parent: ClassVar[str]

    async def load(self, source: Source, keys: list[str]) -> list[int]:
        """Load the values of the keys."""
        return await count_rows_of(source, self.listing, self.parent, keys)


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


class SubtasksByTask(_PageByParent):
    """A page of each task's subtasks."""

    parent = "parent_id"


class SubtaskCountByTask(_CountByParent):
    """How many subtasks each task has."""

    parent = "parent_id"


class TaskChangesByTask(_PageByParent):
    """A page of each task's history."""

    parent = "task_id"


class TaskChangeCountByTask(_CountByParent):
    """How many changes each task's history has."""

    parent = "task_id"


class MessagesByConversation(_PageByParent):
    """A page of each conversation's messages."""

    parent = "conversation_id"


class MessageCountByConversation(_CountByParent):
    """How many messages each conversation has."""

    parent = "conversation_id"
