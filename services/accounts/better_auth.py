"""Users whom a Better Auth server vouches for: their rows are made, and kept up to date, from its tokens."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx
from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database, leave_unchanged
from core.errors import UnauthenticatedError
from core.key_sets import RemoteKeySet
from core.settings import SettingsError
from core.text import is_storable
from core.tokens import Claims, invalid_token, verify_token
from models import User
from services.accounts.caller import Caller
from services.accounts.session_cache import Gate, Standing
from services.accounts.users import MOST_NAME_LENGTH, is_image_address
from services.entities.revision import next_revision
from services.query.sql import execute, table_of

_MOST_EMAIL_LENGTH: Final = 320
_KEY_SET_PATH: Final = "/api/auth/jwks"
_USERS: Final = table_of(User)


@dataclass(frozen=True, slots=True)
class Profile:
    """What a token says of its user."""

    id: str
    issuer: str
    email: str
    name: str
    image: str | None
    email_verified: bool
    stated_at: datetime


class BetterAuth:
    """Accepts the tokens of one Better Auth server."""

    def __init__(self, database: Database, gate: Gate, base_url: str) -> None:
        self._database = database
        self._gate = gate
        self._origin = origin_of(base_url)
        self._keys = RemoteKeySet(base_url + _KEY_SET_PATH)

    async def authenticate(self, token: str, key_id: str) -> Caller:
        """Return the user whom the token speaks for; their session is kept by Better Auth."""
        key = await self._keys.key(key_id)
        if key is None:
            raise invalid_token()
        claims = verify_token(token, key, issuer=self._origin, audience=self._origin)
        profile = read_profile(claims, self._origin)
        standing = await self._gate.standing(profile, profile.id, lambda: self._standing(profile))
        if standing is None:
            raise UnauthenticatedError("This account is deactivated, or its id belongs to another sign-in.")
        return Caller(profile.id, None, standing.is_admin, claims.expires_at)

    async def _standing(self, profile: Profile) -> Standing | None:
        async with self._database.read() as session:
            row = await _find(session, profile.id)
        if row is None:
            row = await self._welcome(profile)
        if row.issuer != profile.issuer or not row.is_active:
            return None
        if _is_news(profile, row):
            await self._database.write(lambda session: _update(session, profile))
        return Standing(row.is_admin)

    async def _welcome(self, profile: Profile) -> Row[Any]:
        """Make the user's row; where another request was quicker, take the one it made."""
        with suppress(IntegrityError):
            await self._database.write(lambda session: _insert(session, profile))
        async with self._database.read() as session:
            row = await _find(session, profile.id)
        if row is None:
            raise UnauthenticatedError("This account was deleted.")
        return row

    async def close(self) -> None:
        """Close the connections to the server."""
        await self._keys.close()


def origin_of(url: str) -> str:
    """Return a URL's origin as browsers write it: no port where it is the scheme's own."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if not parsed.host:
        raise SettingsError("BETTER_AUTH_URL is wrong: it is no URL; write it such as https://app.example.com")
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"


def read_profile(claims: Claims, issuer: str) -> Profile:
    """Return what the claims say of the user; refuse them where there is no address."""
    payload = claims.payload
    email = _text(payload.get("email")).lower()
    if not 1 <= len(email) <= _MOST_EMAIL_LENGTH:
        raise UnauthenticatedError("The access token names no usable email address; sign in again.")
    name = _text(payload.get("name")) or email.split("@", maxsplit=1)[0]
    image = _text(payload.get("image"))
    return Profile(
        id=claims.subject,
        issuer=issuer,
        email=email,
        name=name[:MOST_NAME_LENGTH],
        image=image if is_image_address(image) else None,
        email_verified=payload.get("emailVerified") is True,
        stated_at=claims.issued_at,
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and is_storable(value) else ""


async def _find(session: AsyncSession, user_id: str) -> Row[Any] | None:
    return (await execute(session, select(_USERS).where(_USERS.c.id == user_id))).one_or_none()


def _is_news(profile: Profile, row: Row[Any]) -> bool:
    """Tell whether the token says something else than the row, and not something older."""
    told = (profile.email, profile.name, profile.image, profile.email_verified)
    return told != (row.email, row.name, row.image, row.email_verified) and profile.stated_at >= row.updated_at


async def _insert(session: AsyncSession, profile: Profile) -> None:
    values = _values(profile)
    statement = insert(_USERS).values(id=profile.id, issuer=profile.issuer, created_at=values["updated_at"], **values)
    await execute(session, statement)


async def _update(session: AsyncSession, profile: Profile) -> None:
    revision = await next_revision(session, profile.id)
    row = await _find(session, profile.id)
    if row is None or not _is_news(profile, row):
        leave_unchanged(session)
        return
    values = _values(profile) | {"profile_revision": revision}
    await execute(session, update(_USERS).where(_USERS.c.id == profile.id).values(**values))


def _values(profile: Profile) -> dict[str, Any]:
    return {
        "email": profile.email,
        "name": profile.name,
        "image": profile.image,
        "email_verified": profile.email_verified,
        # The moment of the token, so that one that is older but still valid does not undo this.
        "updated_at": min(profile.stated_at, utc_now()),
    }
