"""The change counter of each user: taken first in every writing transaction, its row lock orders their writes."""

from typing import Final

from sqlalchemy import update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import REVISIONS
from core.errors import UnauthenticatedError
from models import User
from services.query.sql import table_of

_USERS: Final = table_of(User)


async def next_revision(session: AsyncSession, user_id: str) -> int:
    """Count this transaction's change of the user's rows, once, and return its number."""
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
    revision: int | None = (await (await session.connection()).execute(statement)).scalar()
    if revision is None:
        raise gone_account()
    return revision


def gone_account() -> UnauthenticatedError:
    """Say that nothing can be changed for the user any more."""
    return UnauthenticatedError("This account is gone or deactivated; sign in again.")
