"""Sessions: started by signing in, continued by rotating refresh tokens, ended by revocation."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, null, or_, select, true, type_coerce, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batch_loader import BatchLoader, KeyedStatement
from core.clock import utc_now
from core.errors import NotFoundError
from core.ids import new_id, parse_id
from core.prepared_statement import PreparedStatement, Rows, cached_statement
from core.tokens import RefreshToken, RefreshTokens, invalid_refresh_token
from core.transaction import leave_unchanged
from models import AuditEventKind, Session, User
from models.types import UtcDateTime
from services.accounts.audit import Client, record_event
from services.accounts.caller import OWNER, Caller, owned
from services.accounts.session_cache import SessionStatus
from services.query.filters import IsAnyOf, id_list, owned_ids, text_list
from services.query.sql import Source, database_time, execute, fetch_all, read, table_columns, table_of

# A client that refreshes more often within the grace loses what came before these.
MAX_ROTATIONS: Final = 100

_SESSIONS: Final = table_of(Session)
_USERS: Final = table_of(User)
_OWNERS, _IDS = "owners", "ids"
_NOW: Final = "now"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A session's refresh token, when it was made, and until when the session goes on without another."""

    user_id: str
    token: RefreshToken
    began_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that a refresh token ended, because it had been used before."""

    user_id: str


def _status_statement() -> KeyedStatement:
    wanted = owned_ids(_OWNERS, _IDS, "wanted")
    is_wanted = and_(_SESSIONS.c.id == wanted.c.id, _SESSIONS.c.user_id == wanted.c.user_id)
    is_valid = _SESSIONS.c.revoked_at.is_(None), _USERS.c.is_active
    joined = wanted.join(_SESSIONS, is_wanted).join(_USERS, _USERS.c.id == _SESSIONS.c.user_id)
    columns = wanted.c.user_id, wanted.c.id, _SESSIONS.c.expires_at, _USERS.c.is_admin, _USERS.c.email_verified
    return KeyedStatement(PreparedStatement(select(*columns).select_from(joined).where(*is_valid)), _OWNERS, _IDS)


_STATUS: Final = _status_statement()


async def start(
    session: AsyncSession, tokens: RefreshTokens, user_id: str, client: Client, *, lifetime: timedelta
) -> Refreshed:
    """Create a session and return its first refresh token; delete the user's sessions that are over."""
    await execute(session, delete(_SESSIONS).where(_SESSIONS.c.user_id == user_id, _is_over()))
    now, seed = utc_now(), secrets.token_urlsafe(16)
    token = tokens.issue(new_id(), 0, seed)
    row = Session(
        id=token.session_id,
        user_id=user_id,
        seed=seed,
        token_hash=token.hash,
        expires_at=now + lifetime,
        last_used_at=now,
        created_at=now,
        **client.as_columns(Session),
    )
    session.add(row)
    await session.flush()
    return Refreshed(user_id, token, now, row.expires_at)


async def end_longest_unused(session: AsyncSession, user_id: str, max_sessions: int) -> list[str]:
    """Revoke the sessions beyond so many that were not refreshed for the longest time, and return their ids."""
    active = select(_SESSIONS.c.id).where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.revoked_at.is_(None))
    unused = active.order_by(_SESSIONS.c.expires_at.desc(), _SESSIONS.c.id.desc()).offset(max_sessions)
    statement = update(_SESSIONS).where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.id.in_(unused))
    revoked = await fetch_all(session, statement.values(revoked_at=utc_now()).returning(_SESSIONS.c.id))
    return [row.id for row in revoked]


@dataclass(frozen=True, slots=True)
class Rotation:
    """Rotates the refresh tokens of sessions: each is exchanged once, and gives the same answer again for a while.

    Within `grace` of its exchange a token that was used before gives the session's present tokens once more: those
    that took its place or, where these were exchanged meanwhile, those that took theirs. Whoever holds it is a tab
    that asked at the same moment, or a client that lost the answer; any older pair would be one that the others have
    left behind. A token that comes later ends the session, for it may be stolen.
    """

    tokens: RefreshTokens
    lifetime: timedelta
    grace: timedelta

    async def refresh(self, session: AsyncSession, used: RefreshToken, client: Client) -> Refreshed | Ended:
        """Return what a refresh token is exchanged for; raise UnauthenticatedError for one that names no session."""
        row = (await execute(session, _lock_session(session, used))).one_or_none()
        if row is None or row.expires_at <= row.now or row.generation < used.generation:
            raise invalid_refresh_token()
        if row.generation == used.generation:
            if row.token_hash != used.hash:
                raise invalid_refresh_token()
            return await self._rotate(session, row, client)
        if self._is_in_grace(row, row.generation - used.generation):
            token = self.tokens.find(row.id, row.generation, row.seed, row.token_hash)
            if token is not None:
                leave_unchanged(session)
                return Refreshed(row.user_id, token, _moment(row.rotations[-1]), row.expires_at)
        await _revoke(session, _SESSIONS.c.id == row.id)
        await record_event(session, client, AuditEventKind.SESSION_ENDED, row.user_id, subject_id=row.id)
        return Ended(row.user_id)

    async def _rotate(self, session: AsyncSession, row: Any, client: Client) -> Refreshed:
        token = self.tokens.issue(row.id, row.generation + 1, row.seed)
        recent = [second for second in row.rotations or () if row.now < _moment(second) + self.grace]
        rotations = [*recent, row.now.timestamp()][-MAX_ROTATIONS:]
        expires_at = row.now + self.lifetime
        statement = update(_SESSIONS).where(_SESSIONS.c.id == row.id, _SESSIONS.c.user_id == row.user_id)
        values = client.as_columns(Session) | {"generation": token.generation, "token_hash": token.hash}
        values |= {"rotations": rotations, "expires_at": expires_at, "last_used_at": row.now}
        await execute(session, statement.values(values))
        return Refreshed(row.user_id, token, row.now, expires_at)

    def _is_in_grace(self, row: Any, generations_back: int) -> bool:
        """Tell whether the token that was replaced so many generations back was used only now."""
        rotations: list[float] = row.rotations or []
        is_kept = generations_back <= len(rotations)
        return is_kept and bool(row.now < _moment(rotations[-generations_back]) + self.grace)


def _lock_session(session: AsyncSession, used: RefreshToken) -> Select[Any]:
    """Return the statement that locks the session of a token, so that processes exchange it one after another."""
    now = type_coerce(database_time(session), UtcDateTime()).label(_NOW)
    statement = select(*_SESSIONS.c, now).join_from(_SESSIONS, _USERS, _USERS.c.id == _SESSIONS.c.user_id)
    is_active = _SESSIONS.c.revoked_at.is_(None), _USERS.c.is_active
    return statement.where(_SESSIONS.c.id == used.session_id, *is_active).with_for_update(of=_SESSIONS)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def own_sessions(source: Source, caller: Caller, columns: frozenset[str]) -> Rows:
    """Return the caller's sessions that are not over, the one that was used last first."""
    return await read(source, _own_sessions(columns), {OWNER: caller.user_id, _NOW: utc_now()})


@cached_statement
def _own_sessions(columns: frozenset[str]) -> Select[Any]:
    is_valid = _SESSIONS.c.revoked_at.is_(None), _SESSIONS.c.expires_at > bindparam(_NOW, type_=UtcDateTime())
    selected = table_columns(_SESSIONS, columns | {"id"})
    # Whatever is refreshed ends later than it did.
    return select(*selected).where(owned(_SESSIONS), *is_valid).order_by(_SESSIONS.c.expires_at.desc(), _SESSIONS.c.id)


async def revoke_by_user(session: AsyncSession, caller: Caller, session_id: str, client: Client) -> list[str]:
    """Revoke a session of the caller's and return its id."""
    row_id = parse_id(session_id)
    if row_id is None or not await revoke(session, caller.user_id, row_id):
        raise NotFoundError("There is no such session.", path=("input", "id"))
    await record_event(session, client, AuditEventKind.SIGNED_OUT, caller.user_id, subject_id=row_id)
    return [row_id]


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

    A session that another issuer keeps is active while its user is. Who may write now that their address is verified is
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
