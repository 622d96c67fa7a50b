"""Clears away what has had its time: tombstones, idempotency keys, sessions that are over."""

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from models import Deletion, IdempotencyKey, Session, User
from services.sql import execute, table_of

_KEYS_KEPT: Final = timedelta(days=30)
_SESSIONS_KEPT: Final = timedelta(days=7)
_USERS: Final = table_of(User)
_DELETIONS: Final = table_of(Deletion)
_KEYS: Final = table_of(IdempotencyKey)
_SESSIONS: Final = table_of(Session)


async def forget_deletions(session: AsyncSession, kept_days: int) -> None:
    """Clear tombstones away, and let each user's row say up to where, so that older cursors can be refused."""
    old = _DELETIONS.c.deleted_at < utc_now() - timedelta(days=kept_days)
    users = select(_DELETIONS.c.user_id).where(old)
    newest = select(func.max(_DELETIONS.c.revision)).where(_DELETIONS.c.user_id == _USERS.c.id, old).scalar_subquery()
    await execute(session, update(_USERS).where(_USERS.c.id.in_(users)).values(forgotten_revision=newest))
    await execute(session, delete(_DELETIONS).where(old))


async def forget_keys(session: AsyncSession) -> None:
    """Clear idempotency keys away that no client will send again."""
    await execute(session, delete(_KEYS).where(_KEYS.c.created_at < utc_now() - _KEYS_KEPT))


async def forget_sessions(session: AsyncSession) -> None:
    """Clear sessions away that have been over for a while."""
    latest = utc_now() - _SESSIONS_KEPT
    await execute(
        session, delete(_SESSIONS).where(or_(_SESSIONS.c.revoked_at < latest, _SESSIONS.c.expires_at < latest))
    )
