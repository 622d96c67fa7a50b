"""The authenticated caller, and the one condition that scopes statements to their rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import BindParameter, ColumnElement, bindparam

# The bind parameter for the caller's id in prepared statements.
OWNER: Final = "user_id"


class HasColumns(Protocol):
    """A table, or an alias of one."""

    @property
    def c(self) -> Any:
        """Return the columns."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The run of the assistant, and its tool call, that acts on behalf of a user."""

    run_id: str
    tool_call_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user.

    `session_id` is None if the session is not ours (Better Auth, personal access tokens); `actor` is None if the user
    acts in person.
    """

    user_id: str
    session_id: str | None
    is_admin: bool
    expires_at: datetime
    actor: Actor | None = None

    def owns(self, table: HasColumns) -> ColumnElement[bool]:
        """Return the condition that every statement on a user's rows carries."""
        return owned_by(table, self.user_id)


def owned(table: HasColumns) -> ColumnElement[bool]:
    """Return the condition that every prepared statement on a user's rows carries, with the parameter `OWNER`."""
    return owned_by(table, bindparam(OWNER))


def owned_by(table: HasColumns, user_id: str | BindParameter[str]) -> ColumnElement[bool]:
    """Return the condition that a row belongs to the user with that id."""
    condition: ColumnElement[bool] = table.c.user_id == user_id
    return condition
