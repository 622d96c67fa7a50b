"""Sessions: begun by signing in, kept alive by refresh tokens, ended by revoking."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, delete, or_, select, true, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.ids import new_id
from core.refresh_tokens import RefreshToken, RefreshTokens
from models import Session, User
from services.accounts.caller import Caller
from services.query.filters import IsAnyOf, id_list, text_list
from services.query.sql import execute, fetch_all, table_of

_SESSIONS: Final = table_of(Session)
_USERS: Final = table_of(User)


@dataclass(frozen=True, slots=True)
class Rotated:
    """The session goes on with a new token."""

    user_id: str
    token: RefreshToken


@dataclass(frozen=True, slots=True)
class Refused:
    """The token cannot be used; `revoked_user_id` says whose session ended because the token was a spent one."""

    revoked_user_id: str | None


async def start(session: AsyncSession, tokens: RefreshTokens, user_id: str, *, expires_at: datetime) -> RefreshToken:
    """Begin a session and return its first token; the user's sessions that are over go away."""
    await execute(session, delete(_SESSIONS).where(_SESSIONS.c.user_id == user_id, _is_over()))
    token = tokens.issue(new_id(), generation=0)
    session.add(Session(id=token.session_id, user_id=user_id, token_hash=token.hash, expires_at=expires_at))
    await session.flush()
    return token


async def rotate(
    session: AsyncSession, tokens: RefreshTokens, spent: RefreshToken, *, expires_at: datetime
) -> Rotated | Refused:
    """Replace the token by the next one; a token that was replaced before ends its session.

    The refusal is returned, not raised, so that the transaction which revokes is committed.
    """
    fresh = tokens.issue(spent.session_id, spent.generation + 1)
    statement = (
        update(_SESSIONS)
        .where(
            _SESSIONS.c.id == spent.session_id,
            _SESSIONS.c.generation == spent.generation,
            _SESSIONS.c.token_hash == spent.hash,
            ~_is_over(),
            _belongs_to_active_user(),
        )
        .values(generation=fresh.generation, token_hash=fresh.hash, expires_at=expires_at)
        .returning(_SESSIONS.c.user_id)
    )
    user_id: str | None = (await execute(session, statement)).scalar()
    if user_id is not None:
        return Rotated(user_id, fresh)
    return Refused(
        await _revoke_first(session, _SESSIONS.c.id == spent.session_id, _SESSIONS.c.generation > spent.generation)
    )


async def revoke(session: AsyncSession, user_id: str, session_id: str) -> None:
    """End one session of the user."""
    await _revoke_first(session, _SESSIONS.c.user_id == user_id, _SESSIONS.c.id == session_id)


async def revoke_all(session: AsyncSession, user_id: str, *, but: str | None = None) -> None:
    """End every session of the user, or every other one."""
    others = _SESSIONS.c.id != but if but is not None else true()
    statement = update(_SESSIONS).where(_SESSIONS.c.user_id == user_id, _SESSIONS.c.revoked_at.is_(None), others)
    await execute(session, statement.values(revoked_at=utc_now()))


def standing_of(user_id: str, session_id: str) -> Select[tuple[bool]]:
    """Ask whether the session stands: no row where it does not, else whether its user is an admin."""
    return (
        select(_USERS.c.is_admin)
        .join_from(_SESSIONS, _USERS, _USERS.c.id == _SESSIONS.c.user_id)
        .where(_SESSIONS.c.id == session_id, _SESSIONS.c.user_id == user_id, ~_is_over(), _USERS.c.is_active)
    )


async def still_standing(session: AsyncSession, callers: Iterable[Caller]) -> set[Caller]:
    """Return those of the callers whose session stands, with the rights that they had when they came.

    A session that Better Auth keeps stands while its user is active.
    """
    everyone = list(callers)
    local = {caller.session_id: caller for caller in everyone if caller.session_id is not None}
    sessions = (
        select(_SESSIONS.c.id, _USERS.c.is_admin)
        .join_from(_SESSIONS, _USERS, _USERS.c.id == _SESSIONS.c.user_id)
        .where(IsAnyOf(_SESSIONS.c.id, id_list(list(local))), ~_is_over(), _USERS.c.is_active)
    )
    standing = {tuple(row) for row in await fetch_all(session, sessions)} if local else set()
    remote = [caller.user_id for caller in everyone if caller.session_id is None]
    users = select(_USERS.c.id, _USERS.c.is_admin).where(IsAnyOf(_USERS.c.id, text_list(remote)), _USERS.c.is_active)
    active = {tuple(row) for row in await fetch_all(session, users)} if remote else set()
    return {
        caller
        for caller in everyone
        if (caller.session_id or caller.user_id, caller.is_admin) in (active if caller.session_id is None else standing)
    }


async def _revoke_first(session: AsyncSession, *conditions: ColumnElement[bool]) -> str | None:
    statement = update(_SESSIONS).where(*conditions, _SESSIONS.c.revoked_at.is_(None))
    revoked = await execute(session, statement.values(revoked_at=utc_now()).returning(_SESSIONS.c.user_id))
    user_id: str | None = revoked.scalar()
    return user_id


def _is_over() -> ColumnElement[bool]:
    return or_(_SESSIONS.c.revoked_at.is_not(None), _SESSIONS.c.expires_at <= utc_now())


def _belongs_to_active_user() -> ColumnElement[bool]:
    return select(_USERS.c.id).where(_USERS.c.id == _SESSIONS.c.user_id, _USERS.c.is_active).exists()
