"""Housekeeping: delete old tombstones, history, idempotency keys, sessions, e-mails and audit events, by batches.

Each function deletes a batch in a transaction of its own, and tells whether there may be more.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    or_,
    select,
    tuple_,
    update,
)
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from core.transaction import leave_unchanged
from models import (
    ENTITIES,
    AuditEvent,
    DeletedIdentity,
    Deletion,
    Email,
    HistoryEntry,
    IdempotencyKey,
    Run,
    Session,
    User,
)
from services.query.sql import execute, fetch_all, read, table_of

MAX_HISTORY: Final = 500
_BATCH: Final = 1_000
# Several times as long as it is from one housekeeping to the next.
_GROWN_WITHIN: Final = timedelta(days=2)
_KEYS_KEPT: Final = timedelta(days=30)
_SESSIONS_KEPT: Final = timedelta(days=7)
# Longer than access tokens last.
_IDENTITIES_KEPT: Final = timedelta(days=30)
_USERS: Final = table_of(User)
_DELETIONS: Final = table_of(Deletion)
_HISTORY: Final = table_of(HistoryEntry)
_KEYS: Final = table_of(IdempotencyKey)
_SESSIONS: Final = table_of(Session)
_RUNS: Final = table_of(Run)
_EVENTS: Final = table_of(AuditEvent)
_IDENTITIES: Final = table_of(DeletedIdentity)
_EMAILS: Final = table_of(Email)


async def delete_expired(database: Database, settings: Settings) -> None:
    """Delete everything that has had its time."""
    kept_days = settings.tombstones_kept_days
    steps: list[Callable[[AsyncSession], Awaitable[bool]]] = [
        partial(delete_old_tombstones, kept_days=kept_days),
        partial(delete_old_history, kept_days=kept_days),
        delete_old_keys,
        delete_old_sessions,
        delete_old_identities,
        delete_old_emails,
        partial(delete_old_audit_events, kept_days=settings.audit_kept_days),
    ]
    long = await read(database.reader, LONG_HISTORIES, {"since": utc_now() - _GROWN_WITHIN, "newest": MAX_HISTORY})
    steps += [partial(cut_history, user_id=user_id, row_id=row_id) for user_id, row_id in long]
    for step in steps:
        while await database.write(step):
            pass


async def delete_old_tombstones(session: AsyncSession, kept_days: int) -> bool:
    """Delete old tombstones of one user, and let their row say up to where, so that older cursors can be refused."""
    old = _DELETIONS.c.deleted_at < utc_now() - timedelta(days=kept_days)
    first = select(_DELETIONS.c.user_id).where(old).order_by(_DELETIONS.c.deleted_at).limit(1)
    user_id = (await execute(session, first)).scalar()
    if user_id is None:
        leave_unchanged(session)
        return False
    some = select(_DELETIONS.c.id, _DELETIONS.c.revision).where(_DELETIONS.c.user_id == user_id, old).limit(_BATCH)
    found = await fetch_all(session, some)
    # It never sinks, whatever the clocks of those who deleted have said.
    newest = max(row.revision for row in found)
    is_behind = _USERS.c.id == user_id, _USERS.c.forgotten_revision < newest
    await execute(session, update(_USERS).where(*is_behind).values(forgotten_revision=newest))
    ids = [row.id for row in found]
    await execute(session, delete(_DELETIONS).where(_DELETIONS.c.user_id == user_id, _DELETIONS.c.id.in_(ids)))
    return True


async def delete_old_history(session: AsyncSession, kept_days: int) -> bool:
    """Delete history of rows that have been gone for a while."""
    latest, later = utc_now() - timedelta(days=kept_days), _HISTORY.alias("later")
    living = [
        exists().where(table.c.user_id == _HISTORY.c.user_id, table.c.id == _HISTORY.c.row_id)
        for table in (table_of(entity) for entity in ENTITIES if entity.has_history)
    ]
    same_row = later.c.user_id == _HISTORY.c.user_id, later.c.row_id == _HISTORY.c.row_id
    ended_lately = exists().where(*same_row, later.c.created_at >= latest)
    is_gone = and_(*(~lives for lives in living), ~ended_lately)
    return await _delete_some(session, _HISTORY, and_(_HISTORY.c.created_at < latest, is_gone))


async def cut_history(session: AsyncSession, user_id: str, row_id: str) -> bool:
    """Delete the oldest history of a row that has very much; runs that it tells of cannot be undone any more."""
    of_row = _HISTORY.c.user_id == user_id, _HISTORY.c.row_id == row_id
    newest_first = select(_HISTORY.c.id, _HISTORY.c.run_id).where(*of_row)
    newest_first = newest_first.order_by(_HISTORY.c.created_at.desc(), _HISTORY.c.id.desc())
    found = await fetch_all(session, newest_first.offset(MAX_HISTORY).limit(_BATCH))
    if not found:
        leave_unchanged(session)
        return False
    own_runs = _RUNS.c.user_id == user_id, _RUNS.c.id.in_({row.run_id for row in found} - {None})
    await execute(session, update(_RUNS).where(*own_runs).values(is_history_cut=True))
    await execute(
        session, delete(_HISTORY).where(_HISTORY.c.user_id == user_id, _HISTORY.c.id.in_([r.id for r in found]))
    )
    return True


def _long_histories() -> Select[Any]:
    """Return the statement that finds the long histories among those that grew lately, by indexes alone."""
    grown = select(_HISTORY.c.user_id, _HISTORY.c.row_id).where(_HISTORY.c.created_at >= bindparam("since")).distinct()
    row, entry = grown.subquery("grown"), _HISTORY.alias("entry")
    of_row = select(entry.c.id).where(entry.c.user_id == row.c.user_id, entry.c.row_id == row.c.row_id)
    return select(*row.c).where(exists(of_row.offset(bindparam("newest", type_=Integer)).limit(1)))


LONG_HISTORIES: Final = PreparedStatement(_long_histories())


async def delete_old_keys(session: AsyncSession) -> bool:
    """Delete idempotency keys that no client will send again."""
    return await _delete_some(session, _KEYS, _KEYS.c.created_at < utc_now() - _KEYS_KEPT)


async def delete_old_sessions(session: AsyncSession) -> bool:
    """Delete sessions that have been over for a while."""
    latest = utc_now() - _SESSIONS_KEPT
    return await _delete_some(session, _SESSIONS, or_(_SESSIONS.c.revoked_at < latest, _SESSIONS.c.expires_at < latest))


async def delete_old_identities(session: AsyncSession) -> bool:
    """Delete what is remembered of deleted users whose tokens have all expired."""
    return await _delete_some(session, _IDENTITIES, _IDENTITIES.c.deleted_at < utc_now() - _IDENTITIES_KEPT)


async def delete_old_emails(session: AsyncSession) -> bool:
    """Delete sent e-mails whose link has expired."""
    return await _delete_some(session, _EMAILS, and_(_EMAILS.c.due_at.is_(None), _EMAILS.c.expires_at < utc_now()))


async def delete_old_audit_events(session: AsyncSession, kept_days: int) -> bool:
    """Delete old events of the audit log."""
    return await _delete_some(session, _EVENTS, _EVENTS.c.created_at < utc_now() - timedelta(days=kept_days))


async def _delete_some(session: AsyncSession, table: Table, condition: ColumnElement[bool]) -> bool:
    # Read by themselves: within the DELETE a plan by old statistics may look for them again for each row.
    found = await fetch_all(session, select(*table.primary_key).where(condition).limit(_BATCH))
    if found:
        keys = [tuple(row) for row in found]
        await execute(session, delete(table).where(tuple_(*table.primary_key).in_(keys)))
    else:
        leave_unchanged(session)
    return len(found) == _BATCH
