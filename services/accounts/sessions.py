"""Sessions: started by signing in, continued by rotating refresh tokens, ended by revocation."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, null, or_, select, true, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batch_loader import BatchLoader, KeyedStatement
from core.clock import utc_now
from core.ids import new_id
from core.prepared_statement import PreparedStatement
from core.tokens import RefreshToken, RefreshTokens
from models import Session, User
from services.accounts.caller import Caller
from services.accounts.session_cache import SessionStatus
from services.query.filters import IsAnyOf, id_list, owned_ids, text_list
from services.query.sql import execute, fetch_all, table_of

_SESSIONS: Final = table_of(Session)
_USERS: Final = table_of(User)
_OWNERS, _IDS = "owners", "ids"


def _status_statement() -> KeyedStatement:
    wanted = owned_ids(_OWNERS, _IDS, "wanted")
    is_wanted = and_(_SESSIONS.c.id == wanted.c.id, _SESSIONS.c.user_id == wanted.c.user_id)
    is_valid = _SESSIONS.c.revoked_at.is_(None), _USERS.c.is_active
    joined = wanted.join(_SESSIONS, is_wanted).join(_USERS, _USERS.c.id == _SESSIONS.c.user_id)
    columns = wanted.c.user_id, wanted.c.id, _SESSIONS.c.expires_at, _USERS.c.is_admin, _USERS.c.email_verified
    return KeyedStatement(PreparedStatement(select(*columns).select_from(joined).where(*is_valid)), _OWNERS, _IDS)


_STATUS: Final = _status_statement()


async def start(session: AsyncSession, tokens: RefreshTokens, user_id: str, *, expires_at: datetime) -> RefreshToken:
    """Create a session and return its first refresh token; delete the user's sessions that are over."""
    await execute(session, delete(_SESSIONS).where(_SESSIONS.c.user_id == user_id, _is_over()))
    token = tokens.issue(new_id(), generation=0)
    session.add(Session(id=token.session_id, user_id=user_id, token_hash=token.hash, expires_at=expires_at))
    await session.flush()
    return token


async def end_longest_unused(session: AsyncSession, user_id: str, max_sessions: int) -> list[str]:
    """Revoke the sessions beyond so many that were not refreshed for the longest time, and return their ids."""
    active = select(_SESSIONS.c.id).where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.revoked_at.is_(None))
    unused = active.order_by(_SESSIONS.c.expires_at.desc(), _SESSIONS.c.id.desc()).offset(max_sessions)
    statement = update(_SESSIONS).where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.id.in_(unused))
    revoked = await fetch_all(session, statement.values(revoked_at=utc_now()).returning(_SESSIONS.c.id))
    return [row.id for row in revoked]


async def rotate(session: AsyncSession, used: RefreshToken, fresh: RefreshToken, *, expires_at: datetime) -> str | None:
    """Replace a session's refresh token by the next one and return its user's id; None if it cannot be used."""
    statement = (
        update(_SESSIONS)
        .where(
            _SESSIONS.c.id == used.session_id,
            _SESSIONS.c.generation == used.generation,
            _SESSIONS.c.token_hash == used.hash,
            ~_is_over(),
            select(_USERS.c.id).where(_USERS.c.id == _SESSIONS.c.user_id, _USERS.c.is_active).exists(),
        )
        .values(generation=fresh.generation, token_hash=fresh.hash, expires_at=expires_at)
        .returning(_SESSIONS.c.user_id)
    )
    user_id: str | None = (await execute(session, statement)).scalar()
    return user_id


async def revoke_reused(session: AsyncSession, used: RefreshToken) -> str | None:
    """Revoke the session of a refresh token that was replaced before; return its user's id, or None if it was not."""
    return await _revoke(session, _SESSIONS.c.id == used.session_id, _SESSIONS.c.generation > used.generation)


async def revoke(session: AsyncSession, user_id: str, session_id: str) -> bool:
    """Revoke one session of a user; return whether there was one to revoke."""
    return await _revoke(session, _SESSIONS.c.user_id == user_id, _SESSIONS.c.id == session_id) is not None


async def revoke_all(session: AsyncSession, user_id: str, *, but: str | None = None) -> None:
    """Revoke every session of a user, or every one but one."""
    others = _SESSIONS.c.id != but if but is not None else true()
    await _revoke(session, _SESSIONS.c.user_id == user_id, others)


async def load_session_status(
    loader: BatchLoader, user_id: str, session_id: str, *, needs_verified: bool
) -> SessionStatus | None:
    """Return the status of a session, None if it is over; sessions that are asked for together share a statement."""
    row = await loader.load(_STATUS, (user_id, session_id))
    if row is None or row.expires_at <= utc_now():
        return None
    return SessionStatus(row.is_admin, may_write=row.email_verified or not needs_verified)


async def find_valid_callers(session: AsyncSession, callers: Iterable[Caller]) -> set[Caller]:
    """Return the callers whose session is still active and whose rights are unchanged.

    A session that Better Auth keeps is active while its user is. Who may write now that their address is verified is
    returned so.
    """
    everyone = list(callers)
    found: list[Any] = []
    if ids := [caller.session_id for caller in everyone if caller.session_id is not None]:
        columns = _SESSIONS.c.user_id, _SESSIONS.c.id, _USERS.c.is_admin, _USERS.c.email_verified
        sessions = select(*columns).join_from(_SESSIONS, _USERS, _USERS.c.id == _SESSIONS.c.user_id)
        sessions = sessions.where(IsAnyOf(_SESSIONS.c.id, id_list(ids)), ~_is_over(), _USERS.c.is_active)
        found += await fetch_all(session, sessions)
    if ids := [caller.user_id for caller in everyone if caller.session_id is None]:
        users = select(_USERS.c.id, null(), _USERS.c.is_admin, _USERS.c.email_verified)
        users = users.where(IsAnyOf(_USERS.c.id, text_list(ids)), _USERS.c.is_active)
        found += await fetch_all(session, users)
    verified = {tuple(row[:3]): row[3] for row in found}
    known = [(caller, verified.get((caller.user_id, caller.session_id, caller.is_admin))) for caller in everyone]
    return {
        replace(caller, may_write=True) if is_verified else caller
        for caller, is_verified in known
        if is_verified is not None
    }


async def _revoke(session: AsyncSession, *conditions: ColumnElement[bool]) -> str | None:
    """Revoke the sessions that meet the conditions and return their user's id; None if there is none to revoke."""
    statement = update(_SESSIONS).where(*conditions, _SESSIONS.c.revoked_at.is_(None))
    revoked = await execute(session, statement.values(revoked_at=utc_now()).returning(_SESSIONS.c.user_id))
    user_id: str | None = revoked.scalar()
    return user_id


def _is_over() -> ColumnElement[bool]:
    return or_(_SESSIONS.c.revoked_at.is_not(None), _SESSIONS.c.expires_at <= utc_now())
