"""Personal access tokens: made for programs of the caller's, looked up by their hash at each use."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Final

from sqlalchemy import delete, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import BadUserInputError, ConflictError, NotFoundError, UnauthenticatedError
from core.ids import parse_id
from core.prepared import Prepared, Rows
from core.text import require_line
from models import AccessScope, AccessToken, User
from services.accounts.caller import OWNER, Caller, owned
from services.query.sql import Source, columns_of, execute, read, table_of

MOST_TOKENS: Final = 50

_TOKENS: Final = table_of(AccessToken)
_USERS: Final = table_of(User)
_PREFIX: Final = "tt_"
_RANDOM_BYTES: Final = 32
_FORM: Final = re.compile(r"tt_[A-Za-z0-9_-]{43}", re.ASCII)
# So often is written when a token was last used, and no more often.
_USE_RESOLUTION: Final = timedelta(minutes=1)
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    """What a token is made from."""

    name: str
    scopes: Sequence[AccessScope]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and its text: nobody will see that again."""

    access_token: AccessToken
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a program may do that shows a token."""

    token_id: str
    caller: Caller
    scopes: frozenset[AccessScope]
    is_use_to_be_noted: bool


async def create_access_token(session: AsyncSession, caller: Caller, new: NewAccessToken) -> Issued:
    """Make a token of the caller's."""
    name = require_line(new.name, ("input", "name"), most=100)
    scopes = [scope.value for scope in AccessScope if scope in new.scopes]
    if not scopes:
        raise BadUserInputError("scopes is empty; name at least one.", path=("input", "scopes"))
    if new.expires_at is not None and new.expires_at <= utc_now():
        message = "expiresAt has passed; name a moment to come, or leave it out."
        raise BadUserInputError(message, path=("input", "expiresAt"))
    await _require_room(session, caller)
    text = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    token = AccessToken(
        user_id=caller.user_id, name=name, scopes=scopes, expires_at=new.expires_at, token_hash=_hash(text)
    )
    session.add(token)
    await session.flush()
    return Issued(token, text)


async def revoke_access_token(session: AsyncSession, caller: Caller, token_id: str) -> list[str]:
    """Take a token of the caller's away; it is refused from now on. Return its id."""
    row_id = parse_id(token_id)
    gone = delete(_TOKENS).where(caller.owns(_TOKENS), _TOKENS.c.id == row_id)
    if row_id is None or not (await execute(session, gone)).rowcount:
        raise NotFoundError("There is no such access token.", path=("input", "id"))
    return [row_id]


async def own_access_tokens(source: Source, caller: Caller, columns: frozenset[str]) -> Rows:
    """Return the caller's tokens, the oldest first."""
    return await read(source, _own_access_tokens(columns), {OWNER: caller.user_id})


@lru_cache(maxsize=64)
def _own_access_tokens(columns: frozenset[str]) -> Prepared:
    return Prepared(
        select(*columns_of(_TOKENS, columns)).where(owned(_TOKENS)).order_by(_TOKENS.c.created_at, _TOKENS.c.id)
    )


async def find_grant(session: AsyncSession, text: str) -> Grant | None:
    """Return what a token allows; None where it was never made or is revoked or expired, or its user is shut out."""
    if not _FORM.fullmatch(text):
        return None
    moment = utc_now()
    statement = (
        select(_TOKENS.c.user_id, _TOKENS.c.id, _TOKENS.c.scopes, _TOKENS.c.expires_at, _TOKENS.c.last_used_at)
        .join_from(_TOKENS, _USERS, _USERS.c.id == _TOKENS.c.user_id)
        .where(
            _TOKENS.c.token_hash == _hash(text),
            or_(_TOKENS.c.expires_at.is_(None), _TOKENS.c.expires_at > moment),
            _USERS.c.is_active,
        )
    )
    row = (await execute(session, statement)).one_or_none()
    if row is None:
        return None
    # A program of an admin's is no admin.
    caller = Caller(row.user_id, None, is_admin=False, expires_at=row.expires_at or _FOR_EVER)
    is_old = row.last_used_at is None or row.last_used_at <= moment - _USE_RESOLUTION
    return Grant(row.id, caller, frozenset(map(AccessScope, row.scopes)), is_use_to_be_noted=is_old)


async def note_use(session: AsyncSession, grant: Grant) -> None:
    """Write down when the token was last used."""
    own = grant.caller.owns(_TOKENS)
    await execute(session, update(_TOKENS).where(own, _TOKENS.c.id == grant.token_id).values(last_used_at=utc_now()))


async def _require_room(session: AsyncSession, caller: Caller) -> None:
    """Refuse one token too many; whoever makes another at the same time waits for this one."""
    account = select(_USERS.c.id).where(_USERS.c.id == caller.user_id, _USERS.c.is_active).with_for_update()
    if (await execute(session, account)).first() is None:
        raise UnauthenticatedError("This account is gone or deactivated; sign in again.")
    count = select(func.count()).select_from(_TOKENS).where(caller.owns(_TOKENS))
    if (await execute(session, count)).scalar_one() >= MOST_TOKENS:
        raise ConflictError(f"You have {MOST_TOKENS} access tokens already; revoke one first.")


def _hash(text: str) -> str:
    return sha256(text.encode("ascii")).hexdigest()
