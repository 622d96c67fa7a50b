"""Personal access tokens: created for the user's programs, stored as hashes, looked up at each use."""

import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any, Final
from zlib import crc32

from sqlalchemy import Select, delete, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import AccountGoneError, BadUserInputError, NotFoundError, QuotaExceededError, check_all
from core.ids import parse_id
from core.prepared_statement import Rows, cached_statement
from models import AccessScope, AccessToken, AuditEventKind, User
from services.accounts.audit import Client, record_event
from services.accounts.caller import OWNER, Caller, owned
from services.entities.quotas import quotas_of
from services.entities.values import check_values
from services.query.sql import Source, execute, read, table_columns, table_of

_TOKENS: Final = table_of(AccessToken)
_USERS: Final = table_of(User)
_PREFIX: Final = "tt_"
_RANDOM_BYTES: Final = 32
# The last six characters are a checksum: what is made up costs no query, and scanners for secrets can tell.
_FORM: Final = re.compile(r"(tt_[A-Za-z0-9_-]{43})([A-Za-z0-9_-]{6})?", re.ASCII)
# `last_used_at` is written at most this often.
_USE_RESOLUTION: Final = timedelta(minutes=1)
_GRANTED: Final = ("user_id", "id", "scopes", "expires_at", "last_used_at")
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    """What a token is made from."""

    name: str
    scopes: Collection[AccessScope]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CreatedAccessToken:
    """A new token with its text, which cannot be read again."""

    access_token: AccessToken
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token authorises: a caller and scopes."""

    token_id: str
    caller: Caller
    scopes: frozenset[AccessScope]
    is_last_use_outdated: bool


async def create_access_token(
    session: AsyncSession, caller: Caller, new: NewAccessToken, client: Client
) -> CreatedAccessToken:
    """Create a token for the caller."""
    named, *_ = check_all(
        partial(check_values, AccessToken, {"name": new.name}),
        partial(_require_scopes, new.scopes),
        partial(_require_future, new.expires_at),
    )
    await _require_below_quota(session, caller)
    text = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    text += _checksum(text)
    scopes = [scope.value for scope in AccessScope if scope in new.scopes]
    token = AccessToken(
        user_id=caller.user_id, **named, scopes=scopes, expires_at=new.expires_at, token_hash=_hash(text)
    )
    session.add(token)
    await session.flush()
    await record_event(session, client, AuditEventKind.ACCESS_TOKEN_CREATED, caller.user_id, subject_id=token.id)
    return CreatedAccessToken(token, text)


async def revoke_access_token(session: AsyncSession, caller: Caller, token_id: str, *, client: Client) -> list[str]:
    """Delete a token of the caller's, which is refused from then on, and return its id."""
    row_id = parse_id(token_id)
    statement = delete(_TOKENS).where(caller.owns(_TOKENS), _TOKENS.c.id == row_id)
    if row_id is None or not (await execute(session, statement)).rowcount:
        raise NotFoundError("There is no such access token.", path=("input", "id"))
    await record_event(session, client, AuditEventKind.ACCESS_TOKEN_REVOKED, caller.user_id, subject_id=row_id)
    return [row_id]


async def own_access_tokens(source: Source, caller: Caller, columns: frozenset[str]) -> Rows:
    """Return the caller's tokens, the oldest first."""
    return await read(source, _own_access_tokens(columns), {OWNER: caller.user_id})


@cached_statement
def _own_access_tokens(columns: frozenset[str]) -> Select[Any]:
    selected = table_columns(_TOKENS, columns)
    return select(*selected).where(owned(_TOKENS)).order_by(_TOKENS.c.created_at, _TOKENS.c.id)


async def find_grant(session: AsyncSession, text: str, *, needs_verified: bool = False) -> Grant | None:
    """Return what a token authorises; None if it is unknown, revoked or expired, or its user is inactive."""
    form = _FORM.fullmatch(text)
    # Older tokens have no checksum.
    if form is None or (form[2] is not None and form[2] != _checksum(form[1])):
        return None
    moment = utc_now()
    statement = (
        select(*(_TOKENS.c[name] for name in _GRANTED), _USERS.c.email_verified)
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
    # An admin's token does not carry their admin rights.
    may_write = row.email_verified or not needs_verified
    caller = Caller(row.user_id, None, is_admin=False, expires_at=row.expires_at or _NEVER, may_write=may_write)
    is_outdated = row.last_used_at is None or row.last_used_at <= moment - _USE_RESOLUTION
    return Grant(row.id, caller, frozenset(map(AccessScope, row.scopes)), is_last_use_outdated=is_outdated)


async def record_use(session: AsyncSession, grant: Grant) -> None:
    """Update the time at which a token was last used."""
    own = grant.caller.owns(_TOKENS)
    await execute(session, update(_TOKENS).where(own, _TOKENS.c.id == grant.token_id).values(last_used_at=utc_now()))


def _require_scopes(scopes: Collection[AccessScope]) -> None:
    if not scopes:
        raise BadUserInputError("scopes is empty; name at least one.", path=("input", "scopes"))


def _require_future(moment: datetime | None) -> None:
    if moment is not None and moment <= utc_now():
        message = "expiresAt has passed; name a moment to come, or leave it out."
        raise BadUserInputError(message, path=("input", "expiresAt"))


async def _require_below_quota(session: AsyncSession, caller: Caller) -> None:
    """Refuse a token beyond the quota; the lock on the user's row serialises concurrent requests."""
    account = select(_USERS.c.id).where(_USERS.c.id == caller.user_id, _USERS.c.is_active).with_for_update()
    if (await execute(session, account)).first() is None:
        raise AccountGoneError
    count = select(func.count()).select_from(_TOKENS).where(caller.owns(_TOKENS))
    quota = quotas_of(session).of(_TOKENS.name)
    if (await execute(session, count)).scalar_one() >= quota:
        raise QuotaExceededError(f"You have {quota} access tokens already; revoke one first.")


def _checksum(text: str) -> str:
    return urlsafe_b64encode(crc32(text.encode("ascii")).to_bytes(4, "big")).decode().rstrip("=")


def _hash(text: str) -> str:
    return sha256(text.encode("ascii")).hexdigest()
