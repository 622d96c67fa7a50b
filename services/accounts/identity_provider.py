"""Users of another issuer: their accounts are made, linked and kept up to date from what it says of them."""

from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeGuard

from sqlalchemy import Row, Select, and_, column, delete, func, insert, literal_column, or_, select, table, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.cache import LRUCache
from core.clock import utc_now
from core.database import Database
from core.errors import AccountGoneError, UnauthenticatedError
from core.key_sets import RemoteKeySet
from core.settings import Settings
from core.tokens import invalid_token, verify_token
from core.transaction import leave_unchanged
from core.trusted_issuer import TrustedIssuer
from models import AccessToken, DeletedIdentity, User
from services.accounts import users
from services.accounts.caller import Caller
from services.accounts.external_profile import ExternalProfile, read_profile
from services.accounts.outbox import void_links
from services.accounts.session_cache import SessionCache, SessionStatus
from services.accounts.sessions import revoke_all
from services.entities.revision import next_revision
from services.query.sql import execute, fetch_all, table_of

_USERS: Final = table_of(User)
_TOKENS: Final = table_of(AccessToken)
_DELETED: Final = table_of(DeletedIdentity)
# The columns that the issuer tells.
_TOLD: Final = ("email", "name", "image", "email_verified")
_LINK_BYTES: Final = 400


class IdentityProvider:
    """Authenticates the tokens of one issuer.

    An account has the subject of the token as its id, unless it was made here and linked. With the table of the
    issuer's users in the same database, what the row says counts, not what the token says.
    """

    def __init__(
        self,
        database: Database,
        session_cache: SessionCache,
        linked: LRUCache[str, str],
        issuer: TrustedIssuer,
        settings: Settings,
    ) -> None:
        self._database = database
        self._session_cache = session_cache
        # The ids of linked accounts by subject.
        self._linked = linked
        self._issuer = issuer
        self._needs_verified = settings.require_verified_email
        self._is_following = settings.better_auth_table is not None
        self._rows = _user_rows(settings.better_auth_table)
        self._keys = RemoteKeySet(issuer.key_set_url)

    async def authenticate(self, token: str, key_id: str) -> Caller:
        """Return the caller that a token authenticates; their session is kept by the issuer."""
        key = await self._keys.key(key_id)
        if key is None:
            raise invalid_token()
        claims = verify_token(token, key, issuer=self._issuer.name, audience=self._issuer.audience)
        profile = read_profile(claims.payload, claims.subject, claims.issued_at)
        user_id = self._linked.get(profile.subject) or profile.subject
        status = await self._session_cache.get(user_id, profile, lambda: self._load_status(profile))
        if status is not None and status.user_id != user_id:
            self._linked.put(profile.subject, user_id := status.user_id, _LINK_BYTES)
            # Kept once more under the id by which it is invalidated.
            status = await self._session_cache.get(user_id, profile, lambda: self._load_status(profile))
        if status is None or status.user_id != user_id:
            raise UnauthenticatedError("This account is deactivated, or its id belongs to another sign-in.")
        return Caller(
            user_id,
            None,
            status.is_admin,
            claims.expires_at,
            authenticated_at=claims.authenticated_at,
            may_write=status.may_write,
        )

    async def update(self, profile: ExternalProfile) -> None:
        """Bring an account up to date, if there is one, with what its issuer says in a webhook."""
        row = None if self._is_following else await self._find(profile.subject)
        if self._is_theirs(row) and row.is_active and self._is_newer(profile, row):
            await self._database.write(lambda session: self._update(session, profile))

    async def delete(self, subject: str) -> str | None:
        """Delete the account of a user whom the issuer has deleted; return its id, None where there is none."""

        async def work(session: AsyncSession) -> str | None:
            row = await self._select(session, subject)
            if self._is_theirs(row):
                await users.delete(session, row.id)
                return str(row.id)
            await users.remember_deleted(session, self._issuer.name, subject)
            return None

        return await self._database.write(work)

    async def close(self) -> None:
        """Close the connections to the issuer."""
        await self._keys.close()

    async def _load_status(self, profile: ExternalProfile) -> SessionStatus | None:
        row = await self._find(profile.subject)
        if row is None:
            # A concurrent request may have created it, or the user is not in the table that is followed.
            with suppress(IntegrityError):
                await self._database.write(lambda session: self._add(session, profile))
            row = await self._find(profile.subject)
        if row is None:
            raise AccountGoneError
        if not (self._is_theirs(row) and row.is_active):
            return None
        is_verified = row.email_verified
        if self._is_newer(profile, row):
            user_id = await self._database.write(lambda session: self._update(session, profile))
            if user_id != row.id:
                return await self._load_status(profile)
            is_verified = self._current(profile, row).email_verified
        return SessionStatus(row.is_admin, row.id, may_write=is_verified or not self._needs_verified)

    def _is_theirs(self, row: Row[Any] | None) -> TypeGuard[Row[Any]]:
        """Tell whether an account is there and the issuer's: an id may be that of somebody who signs in elsewhere."""
        return row is not None and row.issuer == self._issuer.name and row.removed_at is None

    async def _find(self, subject: str) -> Row[Any] | None:
        async with self._database.read() as session:
            return await self._select(session, subject)

    async def _select(self, session: AsyncSession, subject: str) -> Row[Any] | None:
        """Return the row of a linked account, or else the one with the subject as its id, whoever made it."""
        is_linked = and_(_USERS.c.issuer == self._issuer.name, _USERS.c.subject == subject)
        condition = or_(is_linked, and_(_USERS.c.id == subject, _USERS.c.subject.is_(None)))
        found = await fetch_all(session, self._rows.where(condition).order_by(_USERS.c.subject.is_(None)).limit(1))
        return found[0] if found else None

    def _current(self, profile: ExternalProfile, row: Row[Any]) -> ExternalProfile:
        """Return the profile that counts."""
        if not (self._is_following and self._is_theirs(row)):
            return profile
        if row.followed is None:
            raise AccountGoneError
        return read_profile(row.followed, profile.subject, utc_now())

    def _is_newer(self, profile: ExternalProfile, row: Row[Any]) -> bool:
        """Return whether the profile differs from the row and is not older than it."""
        current = self._current(profile, row)
        differs = any(getattr(current, name) != getattr(row, name) for name in _TOLD)
        return differs and current.as_of >= row.updated_at

    async def _add(self, session: AsyncSession, profile: ExternalProfile) -> None:
        """Link the account that was made here with the same address, or make one."""
        issuer, subject = self._issuer.name, profile.subject
        await _refuse_deleted(session, issuer, subject, profile.as_of)
        # A concurrent request may have linked it, while this one waited for the row.
        if await self._link(session, profile) is not None or await self._select(session, subject) is not None:
            return
        values = _values(profile)
        await execute(
            session, insert(_USERS).values(id=subject, issuer=issuer, created_at=values["updated_at"], **values)
        )

    async def _link(self, session: AsyncSession, profile: ExternalProfile, empty: Row[Any] | None = None) -> str | None:
        """Link the account with a password and the same address, verified on both sides, in place of an empty one.

        Return its id, None where there is none.
        """
        own = _USERS.c.password_hash.is_not(None), _USERS.c.issuer.is_(None)
        same = _USERS.c.email == profile.email, _USERS.c.email_verified, *own
        found = select(_USERS.c.id).where(*same).with_for_update()
        user_id: str | None = (await execute(session, found)).scalar() if profile.email_verified else None
        if user_id is None:
            return None
        if empty is not None:
            await execute(session, delete(_USERS).where(_USERS.c.id == empty.id))
        # Somebody else may have made the account, and its owner have verified the address by mistake.
        link = {"issuer": self._issuer.name, "subject": profile.subject, "password_hash": None}
        await execute(session, update(_USERS).where(_USERS.c.id == user_id).values(link))
        await execute(session, delete(_TOKENS).where(_TOKENS.c.user_id == user_id))
        await revoke_all(session, user_id)
        await void_links(session, user_id)
        return user_id

    async def _update(self, session: AsyncSession, profile: ExternalProfile) -> str:
        """Bring an account up to date and return its id: that of another where the address proves to be theirs."""
        row = await self._select(session, profile.subject)
        if row is None:
            raise AccountGoneError
        revision = await next_revision(session, row.id)
        row = await self._select(session, profile.subject)
        if row is None:
            raise AccountGoneError
        if not self._is_newer(profile, row):
            leave_unchanged(session)
            return str(row.id)
        current = self._current(profile, row)
        # Nothing was ever written in it.
        if row.subject is None and revision == 1 and not row.email_verified:
            user_id = await self._link(session, current, row)
            if user_id is not None:
                return user_id
        values = _values(current) | {"profile_revision": revision}
        await execute(session, update(_USERS).where(_USERS.c.id == row.id).values(**values))
        return str(row.id)


def _user_rows(followed_table: str | None) -> Select[Any]:
    """Return the statement that reads users, with the rows that they follow."""
    if followed_table is None:
        return select(_USERS)
    schema, name = followed_table.strip('"').split('"."')
    followed = table(name, column("id"), schema=schema).alias("followed")
    joined = _USERS.outerjoin(followed, followed.c.id == literal_column("users.better_auth_id"))
    whole_row = func.to_jsonb(followed.table_valued(), type_=JSONB).label("followed")
    return select(_USERS, whole_row).select_from(joined)


async def _refuse_deleted(session: AsyncSession, issuer: str, subject: str, issued_at: datetime) -> None:
    """Refuse a token that is older than the deletion of its user's account."""
    is_same = _DELETED.c.issuer == issuer, _DELETED.c.subject == subject
    later = await fetch_all(session, select(_DELETED.c.deleted_at).where(*is_same, _DELETED.c.deleted_at >= issued_at))
    if later:
        raise AccountGoneError


def _values(profile: ExternalProfile) -> dict[str, Any]:
    # The time of what was said, so that an older token that is still valid does not revert the change.
    updated_at = min(profile.as_of, utc_now())
    return {"updated_at": updated_at} | {name: getattr(profile, name) for name in _TOLD}
