"""Housekeeping: delete old tombstones, history of deleted rows, idempotency keys, ended sessions and audit events."""

from datetime import timedelta
from typing import Final

from sqlalchemy import and_, delete, exists, func, or_, select, tuple_, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from models import ENTITIES, AuditEvent, Deletion, HistoryEntry, IdempotencyKey, Session, User
from services.query.sql import execute, table_of

_KEYS_KEPT: Final = timedelta(days=30)
_SESSIONS_KEPT: Final = timedelta(days=7)
_USERS: Final = table_of(User)
_DELETIONS: Final = table_of(Deletion)
_HISTORY: Final = table_of(HistoryEntry)
_KEYS: Final = table_of(IdempotencyKey)
_SESSIONS: Final = table_of(Session)
_AUDIT_EVENTS: Final = table_of(AuditEvent)
_BATCH: Final = 1_000


async def delete_old_tombstones(session: AsyncSession, kept_days: int) -> None:
    """Delete old tombstones, and let each user's row say up to where, so that older cursors can be refused."""
    old = _DELETIONS.c.deleted_at < utc_now() - timedelta(days=kept_days)
    users = select(_DELETIONS.c.user_id).where(old)
    newest = select(func.max(_DELETIONS.c.revision)).where(_DELETIONS.c.user_id == _USERS.c.id, old).scalar_subquery()
    await execute(session, update(_USERS).where(_USERS.c.id.in_(users)).values(forgotten_revision=newest))
    await execute(session, delete(_DELETIONS).where(old))


async def delete_old_history(session: AsyncSession, kept_days: int) -> None:
    """Delete the history of rows that have been gone for a while; that of living rows stays."""
    latest, later = utc_now() - timedelta(days=kept_days), _HISTORY.alias("later")
    living = [
        exists().where(table.c.user_id == _HISTORY.c.user_id, table.c.id == _HISTORY.c.row_id)
        for table in (table_of(entity) for entity in ENTITIES if entity.has_history)
    ]
    same_row = later.c.user_id == _HISTORY.c.user_id, later.c.row_id == _HISTORY.c.row_id
    ended_lately = exists().where(*same_row, later.c.created_at >= latest)
    is_gone = and_(*(~lives for lives in living), ~ended_lately)
    await execute(session, delete(_HISTORY).where(_HISTORY.c.created_at < latest, is_gone))


async def delete_old_keys(session: AsyncSession) -> None:
    """Delete idempotency keys that no client will send again."""
    await execute(session, delete(_KEYS).where(_KEYS.c.created_at < utc_now() - _KEYS_KEPT))


async def delete_old_sessions(session: AsyncSession) -> None:
    """Delete sessions that have been over for a while."""
    latest = utc_now() - _SESSIONS_KEPT
    await execute(
        session, delete(_SESSIONS).where(or_(_SESSIONS.c.revoked_at < latest, _SESSIONS.c.expires_at < latest))
    )


async def delete_old_audit_events(session: AsyncSession, kept_days: int) -> bool:
    """Delete a batch of old audit events; return whether there may be more."""
    key = tuple_(_AUDIT_EVENTS.c.user_id, _AUDIT_EVENTS.c.id)
    is_old = _AUDIT_EVENTS.c.created_at < utc_now() - timedelta(days=kept_days)
    batch = select(_AUDIT_EVENTS.c.user_id, _AUDIT_EVENTS.c.id).where(is_old).limit(_BATCH)
    return (await execute(session, delete(_AUDIT_EVENTS).where(key.in_(batch)))).rowcount == _BATCH
