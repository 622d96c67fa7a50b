"""The authenticated caller, and the one condition that scopes statements to their rows."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, and_, bindparam

from core.errors import ForbiddenError

# The bind parameter for the caller's id in prepared statements.
OWNER: Final = "user_id"


@dataclass(frozen=True, slots=True)
class Actor:
    """The run of the assistant, and its tool call, that acts on behalf of a user."""

    run_id: str
    tool_call_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user.

    `session_id` is None if the session is not ours (another issuer, personal access tokens), and `authenticated_at` is
    when the user has signed in there; `actor` is None if the user acts in person. `may_write` is False if their address
    has to be verified first.
    """

    user_id: str
    session_id: str | None
    is_admin: bool
    expires_at: datetime
    actor: Actor | None = None
    # Another token is the same caller.
    authenticated_at: datetime | None = field(default=None, compare=False)
    may_write: bool = True

    def owns(self, table: FromClause) -> ColumnElement[bool]:
        """Return the condition that every statement on a user's rows carries."""
        return _scope(table, self.user_id)


def require_may_write(caller: Caller | None) -> None:
    """Raise ForbiddenError for a caller who may only read; each API asks before whatever changes something."""
    if caller is not None and not caller.may_write:
        raise ForbiddenError("Verify your email address first: ask for a link by requestEmailVerification.")


def not_admin() -> ForbiddenError:
    """Return the error for a caller who would have to be an admin."""
    return ForbiddenError("Only admins may do this.")


def owned(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that every prepared statement on a user's rows carries, with the parameter `OWNER`."""
    return _scope(table, bindparam(OWNER))


def _scope(table: FromClause, owner: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = table.c.user_id == owner
    # What was deleted, and is still being removed, is there for nobody.
    return and_(condition, table.c.removed_at.is_(None)) if "removed_at" in table.c else condition
