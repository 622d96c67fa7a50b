"""The change counter of each user: taken first in every writing transaction, its row lock orders their writes."""

from typing import Final

from sqlalchemy import update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import REVISIONS
from core.errors import AccountGoneError, ConflictError
from models import User
from models.base import Owned
from services.query.sql import execute, table_of

_USERS: Final = table_of(User)


async def next_revision(session: AsyncSession, user_id: str) -> int:
    """Increment the user's counter, once in a transaction, and return it."""
    taken: dict[str, int] = session.info.setdefault(REVISIONS, {})
    if user_id not in taken:
        taken[user_id] = await _increment(session, user_id)
    return taken[user_id]


async def _increment(session: AsyncSession, user_id: str) -> int:
    statement = (
        update(_USERS)
        .where(_USERS.c.id == user_id, _USERS.c.is_active)
        .values(revision=_USERS.c.revision + 1)
        .returning(_USERS.c.revision)
    )
    revision: int | None = (await execute(session, statement)).scalar()
    if revision is None:
        raise AccountGoneError
    return revision


def check_revision(row: Owned, expected: int | None) -> None:
    """Raise ConflictError where a row is no longer the one that the client has seen."""
    if expected is not None and row.revision != expected:
        raise ConflictError(
            f"It has changed since: its revision is {row.revision}, not {expected}. Read it again, then retry.",
            path=("input", "expectedRevision"),
            current=row,
        )
