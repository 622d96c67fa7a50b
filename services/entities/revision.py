"""The change counter of each user: taken first in every writing transaction, its row lock orders their writes."""

from typing import Final

from sqlalchemy import bindparam, update

from core.database import REVISIONS
from core.errors import AccountGoneError, ConflictError, ErrorReason
from core.prepared_statement import PreparedStatement
from models import User
from models.base import Owned
from services.query.sql import Writer, read, table_of

_USERS: Final = table_of(User)


_INCREMENT: Final = PreparedStatement(
    update(_USERS)
    .where(_USERS.c.id == bindparam("user"), _USERS.c.is_active)
    .values(revision=_USERS.c.revision + 1)
    .returning(_USERS.c.revision)
)


async def next_revision(writer: Writer, user_id: str) -> int:
    """Increment the user's counter, once in a transaction, and return it."""
    taken: dict[str, int] = writer.info.setdefault(REVISIONS, {})
    if user_id not in taken:
        rows = await read(writer, _INCREMENT, {"user": user_id})
        if not rows:
            raise AccountGoneError
        taken[user_id] = rows[0].revision
    return taken[user_id]


def check_revision(row: Owned, expected: int | None) -> None:
    """Raise ConflictError where a row is no longer the one that the client has seen."""
    if expected is not None and row.revision != expected:
        raise ConflictError(
            ErrorReason.STALE_REVISION,
            f"It has changed since: its revision is {row.revision}, not {expected}. Read it again, then retry.",
            path=("input", "expectedRevision"),
            current=row,
        )
