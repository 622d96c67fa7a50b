"""Users of a Better Auth server: their rows are created and kept up to date from the claims of its tokens."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx2
from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import AccountGoneError, UnauthenticatedError
from core.key_sets import RemoteKeySet
from core.settings import SettingsError
from core.text import is_storable
from core.tokens import Claims, invalid_token, verify_token
from core.transaction import leave_unchanged
from models import User
from models.columns import columns_of
from services.accounts.caller import Caller
from services.accounts.session_cache import SessionCache, SessionStatus
from services.accounts.users import MAX_NAME_LENGTH, is_image_url
from services.entities.revision import next_revision
from services.query.sql import execute, table_of

_MAX_EMAIL_LENGTH: Final = columns_of(User)["email"].maximum or 0
_KEY_SET_PATH: Final = "/api/auth/jwks"
_USERS: Final = table_of(User)
# The columns that tokens tell.
_CLAIMED: Final = ("email", "name", "image", "email_verified")


@dataclass(frozen=True, slots=True)
class TokenProfile:
    """The claims of a token about its user."""

    id: str
    issuer: str
    email: str
    name: str
    image: str | None
    email_verified: bool
    issued_at: datetime


class BetterAuth:
    """Authenticates the tokens of one Better Auth server."""

    def __init__(self, database: Database, session_cache: SessionCache, base_url: str, *, needs_verified: bool) -> None:
        self._database = database
        self._needs_verified = needs_verified
        self._session_cache = session_cache
        self._origin = origin_of(base_url)
        self._keys = RemoteKeySet(base_url + _KEY_SET_PATH)

    async def authenticate(self, token: str, key_id: str) -> Caller:
        """Return the caller that a token authenticates; their session is kept by Better Auth."""
        key = await self._keys.key(key_id)
        if key is None:
            raise invalid_token()
        claims = verify_token(token, key, issuer=self._origin, audience=self._origin)
        profile = read_profile(claims, self._origin)
        status = await self._session_cache.get(profile.id, profile, lambda: self._load_status(profile))
        if status is None:
            raise UnauthenticatedError("This account is deactivated, or its id belongs to another sign-in.")
        return Caller(profile.id, None, status.is_admin, claims.expires_at, may_write=status.may_write)

    async def _load_status(self, profile: TokenProfile) -> SessionStatus | None:
        row = await self._find(profile.id)
        if row is None:
            # A concurrent request may have created it.
            with suppress(IntegrityError):
                await self._database.write(lambda session: _insert(session, profile))
            row = await self._find(profile.id)
        if row is None:
            raise AccountGoneError
        if row.issuer != profile.issuer or not row.is_active:
            return None
        if _is_newer(profile, row):
            await self._database.write(lambda session: _update(session, profile))
        # A newer token, and not the row as it was before.
        is_verified = profile.email_verified if _is_newer(profile, row) else row.email_verified
        return SessionStatus(row.is_admin, may_write=is_verified or not self._needs_verified)

    async def _find(self, user_id: str) -> Row[Any] | None:
        async with self._database.read() as session:
            return await _find(session, user_id)

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._keys.close()


def origin_of(url: str) -> str:
    """Return a URL's origin as browsers serialise it, without the default port of its scheme."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL()
    if not parsed.host:
        raise SettingsError("BETTER_AUTH_URL is wrong: it is no URL; write it such as https://app.example.com")
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def read_profile(claims: Claims, issuer: str) -> TokenProfile:
    """Return the profile in the claims; refuse claims without an email address."""
    payload = claims.payload
    email = _text(payload.get("email")).lower()
    if not 1 <= len(email) <= _MAX_EMAIL_LENGTH:
        raise UnauthenticatedError("The access token names no usable email address; sign in again.")
    name = _text(payload.get("name")) or email.split("@", maxsplit=1)[0]
    image = _text(payload.get("image"))
    return TokenProfile(
        id=claims.subject,
        issuer=issuer,
        email=email,
        name=name[:MAX_NAME_LENGTH],
        image=image if is_image_url(image) else None,
        email_verified=payload.get("emailVerified") is True,
        issued_at=claims.issued_at,
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and is_storable(value) else ""


async def _find(session: AsyncSession, user_id: str) -> Row[Any] | None:
    return (await execute(session, select(_USERS).where(_USERS.c.id == user_id))).one_or_none()


def _is_newer(profile: TokenProfile, row: Row[Any]) -> bool:
    """Return whether the token differs from the row and is not older than it."""
    differs = any(getattr(profile, name) != getattr(row, name) for name in _CLAIMED)
    return differs and profile.issued_at >= row.updated_at


async def _insert(session: AsyncSession, profile: TokenProfile) -> None:
    values = _values(profile)
    statement = insert(_USERS).values(id=profile.id, issuer=profile.issuer, created_at=values["updated_at"], **values)
    await execute(session, statement)


async def _update(session: AsyncSession, profile: TokenProfile) -> None:
    revision = await next_revision(session, profile.id)
    row = await _find(session, profile.id)
    if row is None or not _is_newer(profile, row):
        leave_unchanged(session)
        return
    values = _values(profile) | {"profile_revision": revision}
    await execute(session, update(_USERS).where(_USERS.c.id == profile.id).values(**values))


def _values(profile: TokenProfile) -> dict[str, Any]:
    # The time of the token, so that an older token that is still valid does not revert the change.
    updated_at = min(profile.issued_at, utc_now())
    return {"updated_at": updated_at} | {name: getattr(profile, name) for name in _CLAIMED}
