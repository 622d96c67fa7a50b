"""Who asks, and the one place where statements are scoped to them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import BindParameter, ColumnElement, bindparam


class HasColumns(Protocol):
    """A table, or another name for it in a statement."""

    @property
    def c(self) -> Any:
        """Return the columns."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts for a user: a run of the assistant, by one of its tool calls."""

    run_id: str
    tool_call_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user; `session_id` is None where Better Auth keeps the session.

    `actor` is None where the person acts.
    """

    user_id: str
    session_id: str | None
    is_admin: bool
    expires_at: datetime
    actor: Actor | None = None

    def owns(self, table: HasColumns) -> ColumnElement[bool]:
        """Return the condition that every statement on a user's rows carries."""
        return owned_by(table, self.user_id)


# How prepared statements call the caller's id.
OWNER: Final = "user_id"


def owned(table: HasColumns) -> ColumnElement[bool]:
    """Return the condition that every prepared statement on a user's rows carries."""
    return owned_by(table, bindparam(OWNER))


def owned_by(table: HasColumns, user_id: str | BindParameter[str]) -> ColumnElement[bool]:
    """Return the condition that a row belongs to a user, or to the one that a parameter will name."""
    condition: ColumnElement[bool] = table.c.user_id == user_id
    return condition
