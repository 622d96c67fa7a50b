"""Clears away what has had its time: tombstones, the history of deleted tasks, idempotency keys, sessions."""

from datetime import timedelta
from typing import Final

from sqlalchemy import delete, exists, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from models import Deletion, IdempotencyKey, Session, Task, TaskChange, User
from services.query.sql import execute, table_of

_KEYS_KEPT: Final = timedelta(days=30)
_SESSIONS_KEPT: Final = timedelta(days=7)
_USERS: Final = table_of(User)
_DELETIONS: Final = table_of(Deletion)
_TASKS: Final = table_of(Task)
_CHANGES: Final = table_of(TaskChange)
_KEYS: Final = table_of(IdempotencyKey)
_SESSIONS: Final = table_of(Session)


async def forget_deletions(session: AsyncSession, kept_days: int) -> None:
    """Clear tombstones away, and let each user's row say up to where, so that older cursors can be refused."""
    old = _DELETIONS.c.deleted_at < utc_now() - timedelta(days=kept_days)
    users = select(_DELETIONS.c.user_id).where(old)
    newest = select(func.max(_DELETIONS.c.revision)).where(_DELETIONS.c.user_id == _USERS.c.id, old).scalar_subquery()
    await execute(session, update(_USERS).where(_USERS.c.id.in_(users)).values(forgotten_revision=newest))
    await execute(session, delete(_DELETIONS).where(old))


async def forget_task_changes(session: AsyncSession, kept_days: int) -> None:
    """Clear the history of tasks away that have been gone for a while; that of living tasks stays."""
    latest, later = utc_now() - timedelta(days=kept_days), _CHANGES.alias("later")
    lives = exists().where(_TASKS.c.user_id == _CHANGES.c.user_id, _TASKS.c.id == _CHANGES.c.task_id)
    same_task = later.c.user_id == _CHANGES.c.user_id, later.c.task_id == _CHANGES.c.task_id
    ended_lately = exists().where(*same_task, later.c.created_at >= latest)
    await execute(session, delete(_CHANGES).where(_CHANGES.c.created_at < latest, ~lives, ~ended_lately))


async def forget_keys(session: AsyncSession) -> None:
    """Clear idempotency keys away that no client will send again."""
    await execute(session, delete(_KEYS).where(_KEYS.c.created_at < utc_now() - _KEYS_KEPT))


async def forget_sessions(session: AsyncSession) -> None:
    """Clear sessions away that have been over for a while."""
    latest = utc_now() - _SESSIONS_KEPT
    await execute(
        session, delete(_SESSIONS).where(or_(_SESSIONS.c.revoked_at < latest, _SESSIONS.c.expires_at < latest))
    )
