"""Accounts that sign in with a password: sign-up, sign-in, sessions, passwords, deletion."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import (
    BadUserInputError,
    ConflictError,
    ErrorReason,
    ForbiddenError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
    check_all,
)
from core.passwords import MAX_PASSWORD_LENGTH, PasswordCheck, Passwords, require_new_password
from core.settings import Settings
from core.tasks import start_task
from core.text import require_length
from core.tokens import RefreshTokens, invalid_refresh_token
from core.workload import end_abandoning
from models import AuditEventKind, EmailKind, User
from services.accounts import sessions, users
from services.accounts.audit import Client, record_event
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.accounts.outbox import Outbox, void_links
from services.accounts.rate_limit import AccountRateLimits
from services.entities.revision import next_revision
from services.entities.values import check_values
from services.query.sql import execute, table_of

_USERS: Final = table_of(User)
_EMAIL_PATH: Final = ("input", "email")
_PASSWORD_PATH: Final = ("input", "password")
_CURRENT_PASSWORD_PATH: Final = ("input", "currentPassword")
# How old a token of another issuer may be that is taken in place of a password.
_PROOF_LASTS: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """A user and the tokens of their session."""

    user: User = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    # Unless it is refreshed before.
    session_ends_at: datetime


class Accounts:
    """Use cases of accounts: each hashes outside of its transaction, then writes, then invalidates caches."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        passwords: Passwords,
        authenticator: Authenticator,
        rate_limits: AccountRateLimits,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._refresh_tokens = RefreshTokens(settings.secret_key, settings.secret_key_previous)
        self._session_lifetime = timedelta(days=settings.refresh_token_expire_days)
        grace = timedelta(seconds=settings.refresh_grace_s)
        self._rotation = sessions.Rotation(self._refresh_tokens, self._session_lifetime, grace)
        self._authenticator = authenticator
        self.rate_limits = rate_limits
        self._max_sessions = settings.max_sessions_per_user
        self._is_following = settings.better_auth_table is not None
        self.outbox = Outbox(database, settings)
        self._has_sign_up = settings.local_sign_up
        self._needs_verified = settings.require_verified_email
        self._recording: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Record what is still to be recorded, and close the connections of the rate limits."""
        await asyncio.gather(*self._recording, return_exceptions=True)
        await self.rate_limits.close()

    async def sign_up(self, *, email: str, password: str, name: str, client: Client) -> SessionTokens | None:
        """Create an account and sign its user in.

        Where addresses must be verified, return None and send a message, whether or not there was an account.
        """
        if self._is_following:
            raise ForbiddenError("Accounts are made where everybody signs in, by Better Auth; sign up there.")
        if not self._has_sign_up:
            raise ForbiddenError("Accounts are not made here; sign in with one that you have.")
        address, _, profile = check_all(
            partial(read_email, email),
            partial(require_new_password, password, _PASSWORD_PATH),
            partial(check_values, User, {"name": name}),
        )
        await self.rate_limits.count_sign_up(client.address)
        if self.outbox.sends_on_sign_up:
            await self.rate_limits.count_email("SIGN_UP", address, client.address)
        if not self._needs_verified:
            async with self._database.read() as session:
                if await find_account(session, address) is not None:
                    raise email_taken(_EMAIL_PATH)
        password_hash = await self._passwords.hash_for_sign_up(password)
        user = User(email=address, password_hash=password_hash, **profile)
        store = partial(self._store_account, user=user, client=client)
        try:
            tokens = await self._database.write(store)
        except IntegrityError:
            if not self._needs_verified:
                raise email_taken(_EMAIL_PATH) from None
            # Two signed up at once: now there is an account.
            tokens = await self._database.write(store)
        if self.outbox.sends_on_sign_up:
            self.outbox.wake()
        return tokens

    async def _store_account(self, session: AsyncSession, user: User, client: Client) -> SessionTokens | None:
        if self._needs_verified and (known_id := await find_account(session, user.email)) is not None:
            await self.outbox.add(session, EmailKind.ACCOUNT_EXISTS, user.email, known_id)
            return None
        session.add(user := User(**user.model_dump()))
        await session.flush()
        await record_event(session, client, AuditEventKind.SIGNED_UP, user.id)
        if self.outbox.sends_on_sign_up:
            await self.outbox.add(session, EmailKind.VERIFY_EMAIL, user.email, user.id)
        return None if self._needs_verified else await self._start_session(session, user, client)

    async def sign_in(self, *, email: str, password: str, client: Client) -> SessionTokens:
        """Start a session; neither the error nor the time it takes tells whether the account exists."""
        require_length(password, _PASSWORD_PATH, min_length=0, max_length=MAX_PASSWORD_LENGTH)
        address = users.normalize_email(email)
        known = None
        if address is not None:
            async with self._database.read() as session:
                known = await find_by_email(session, address)
        check = await self._check_password(address or email, client, password, known)
        if known is None or not check.matches:
            raise self._wrong_credentials()
        if not known.is_active:
            self._record_failure(known.id, client)
            raise ForbiddenError("This account is deactivated; ask an administrator to activate it.")
        if self._needs_verified and not known.email_verified:
            self._start_behind_answer(self._send_verification(known, client))
            raise self._wrong_credentials()

        async def work(session: AsyncSession) -> tuple[SessionTokens, bool]:
            user = await _lock_if_unchanged(session, known)
            if user is None:
                raise self._wrong_credentials()
            if check.replacement is not None:
                await _replace_hash(session, user.id, check.replacement)
            tokens = await self._start_session(session, user, client)
            ended = await sessions.end_longest_unused(session, user.id, self._max_sessions)
            for session_id in ended:
                await record_event(session, client, AuditEventKind.SESSION_ENDED, user.id, subject_id=session_id)
            return tokens, bool(ended)

        tokens, has_ended_others = await self._database.write(work)
        if has_ended_others:
            self._authenticator.invalidate(known.id)
        return tokens

    async def refresh(self, refresh_token: str, client: Client) -> SessionTokens:
        """Exchange a refresh token for new tokens; one that was used a while before ends its session."""
        used = self._refresh_tokens.read(refresh_token)

        async def work(session: AsyncSession) -> SessionTokens | sessions.Ended:
            outcome = await self._rotation.refresh(session, used, client)
            # Returned, not raised, so that the transaction which revokes is committed.
            if isinstance(outcome, sessions.Ended):
                return outcome
            return self._session_tokens(await users.find(session, outcome.user_id), outcome)

        outcome = await self._database.write(work)
        if isinstance(outcome, sessions.Ended):
            self._authenticator.invalidate(outcome.user_id)
            raise invalid_refresh_token()
        return outcome

    async def sign_out(self, caller: Caller, client: Client) -> None:
        """End the caller's session."""
        session_id = caller.session_id
        if session_id is None:
            raise ForbiddenError("Your session is kept where you signed in; sign out there.")

        async def work(session: AsyncSession) -> None:
            if await sessions.revoke(session, caller.user_id, session_id):
                await record_event(session, client, AuditEventKind.SIGNED_OUT, caller.user_id, subject_id=session_id)

        await self._database.write(work)
        self._authenticator.invalidate(caller.user_id)

    async def revoke_session(self, caller: Caller, session_id: str, client: Client) -> list[str]:
        """End one of the caller's sessions and return its id."""
        work = partial(sessions.revoke_by_user, caller=caller, session_id=session_id, client=client)
        revoked = await self._database.write(work)
        self._authenticator.invalidate(caller.user_id)
        return revoked

    async def change_password(
        self, caller: Caller, *, current_password: str, new_password: str, client: Client
    ) -> User:
        """Change the caller's password and end their other sessions."""
        require_new_password(new_password, ("input", "newPassword"))
        checked = await self.check_own_password(caller, current_password, client, _CURRENT_PASSWORD_PATH)
        password_hash = await self._passwords.hash(new_password)

        async def work(session: AsyncSession) -> User:
            if await _lock_if_unchanged(session, checked) is None:
                raise _wrong_password(_CURRENT_PASSWORD_PATH)
            await _replace_hash(session, caller.user_id, password_hash)
            await sessions.revoke_all(session, caller.user_id, but=caller.session_id)
            await void_links(session, caller.user_id)
            await record_event(session, client, AuditEventKind.PASSWORD_CHANGED, caller.user_id)
            return await users.find(session, caller.user_id)

        user = await self._database.write(work)
        self._authenticator.invalidate(caller.user_id)
        return user

    async def delete_account(self, caller: Caller, *, password: str, client: Client) -> list[str]:
        """Delete the caller's account with all its rows; return its id.

        Who has signed in at another issuer proves it by a fresh token in place of a password.
        """
        if caller.session_id is None:
            return await self._delete_external_account(caller)
        checked = await self.check_own_password(caller, password, client)

        async def work(session: AsyncSession) -> None:
            await self.require_unchanged(session, checked)
            await users.delete(session, caller.user_id)

        await self._database.write(work)
        self._authenticator.invalidate(caller.user_id)
        return [caller.user_id]

    async def _delete_external_account(self, caller: Caller) -> list[str]:
        if caller.authenticated_at is None or utc_now() - caller.authenticated_at > _PROOF_LASTS:
            minutes = _PROOF_LASTS // timedelta(minutes=1)
            message = f"Get a new token where you sign in: an account is deleted by one of at most {minutes} minutes."
            raise ForbiddenError(message)

        async def work(session: AsyncSession) -> None:
            await next_revision(session, caller.user_id)
            await users.delete(session, caller.user_id)

        await self._database.write(work)
        self._authenticator.invalidate(caller.user_id)
        return [caller.user_id]

    async def set_user_active(self, caller: Caller, user_id: str, client: Client, *, is_active: bool) -> User:
        """Activate or deactivate a user, effective at once; for admins."""
        user = await self._database.write(
            lambda session: users.set_active(session, caller, user_id, client, is_active=is_active)
        )
        self._authenticator.invalidate(user_id)
        return user

    async def delete_user(self, caller: Caller, user_id: str, client: Client) -> list[str]:
        """Delete a user with all their rows; return the id; for admins."""
        await self._database.write(lambda session: users.delete_user(session, caller, user_id, client))
        self._authenticator.invalidate(user_id)
        return [user_id]

    async def check_own_password(
        self, caller: Caller, password: str, client: Client, path: tuple[str, ...] = _PASSWORD_PATH
    ) -> User:
        """Return the caller's row if the password is theirs; a wrong one is counted and recorded."""
        require_length(password, path, min_length=0, max_length=MAX_PASSWORD_LENGTH)
        async with self._database.read() as session:
            own = await find_own(session, caller)
        if own is None:
            raise ForbiddenError("Your account and its password are kept where you sign in; change them there.")
        check = await self._check_password(own.email, client, password, own)
        if not check.matches:
            raise _wrong_password(path)
        return own

    async def require_unchanged(self, session: AsyncSession, checked: User) -> None:
        """Lock the user's row; refuse if the password has changed since it was checked."""
        if await _lock_if_unchanged(session, checked) is None:
            raise _wrong_password(_PASSWORD_PATH)

    async def _check_password(self, account: str, client: Client, password: str, known: User | None) -> PasswordCheck:
        async with self.rate_limits.attempt(account, client.address) as attempt:
            check = await self._passwords.verify(password, known.password_hash if known is not None else None)
            # The right one of an account that is not verified is answered, and so counted, as a wrong one.
            is_open = known is None or known.email_verified or not self._needs_verified
            attempt.is_correct = check.matches and is_open
        if known is not None and not check.matches:
            self._record_failure(known.id, client)
        return check

    def _record_failure(self, user_id: str, client: Client) -> None:
        """Record a failed sign-in behind the answer, whose time must not tell whether there is such an account."""
        work = partial(record_event, client=client, kind=AuditEventKind.SIGN_IN_FAILED, user_id=user_id)
        self._start_behind_answer(self._database.write(work))

    async def _send_verification(self, known: User, client: Client) -> None:
        """Send whoever knows the password of an unverified account another link, unless they had many."""
        await self.rate_limits.count_email(EmailKind.VERIFY_EMAIL, known.email, client.address)
        add = partial(self.outbox.add, kind=EmailKind.VERIFY_EMAIL, address=known.email, user_id=known.id)
        await self._database.write(add)
        self.outbox.wake()

    def _start_behind_answer(self, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            # A client that hangs up must not go unrecorded.
            end_abandoning()
            # The account may be deleted meanwhile.
            with suppress(IntegrityError, UnavailableError, RateLimitedError):
                await work

        start_task(run(), self._recording)

    async def _start_session(self, session: AsyncSession, user: User, client: Client) -> SessionTokens:
        started = await sessions.start(session, self._refresh_tokens, user.id, client, lifetime=self._session_lifetime)
        await record_event(session, client, AuditEventKind.SIGNED_IN, user.id, subject_id=started.token.session_id)
        return self._session_tokens(user, started)

    def _session_tokens(self, user: User, refreshed: sessions.Refreshed) -> SessionTokens:
        token = refreshed.token
        access_token = self._authenticator.tokens.issue(user.id, token.session_id, token.generation, refreshed.began_at)
        return SessionTokens(user, access_token.text, token.text, access_token.expires_at, refreshed.ends_at)

    def _wrong_credentials(self) -> UnauthenticatedError:
        if self._needs_verified:
            message = "The email address or the password is wrong, or the address is not verified yet."
            return UnauthenticatedError(message)
        return UnauthenticatedError("The email address or the password is wrong.")


async def find_by_email(session: AsyncSession, email: str) -> User | None:
    """Return the user who signs in with that address; those of another issuer sign in with none."""
    return await _find_by(session, _USERS.c.email == email)


async def find_account(session: AsyncSession, email: str) -> str | None:
    """Return whose address it is, here or verified at the other issuer: it shall not have two accounts."""
    is_local = _USERS.c.password_hash.is_not(None)
    is_verified_elsewhere = and_(_USERS.c.issuer.is_not(None), _USERS.c.email_verified)
    statement = select(_USERS.c.id).where(_USERS.c.email == email, or_(is_local, is_verified_elsewhere))
    user_id: str | None = (await execute(session, statement.order_by(is_local.desc()).limit(1))).scalar()
    return user_id


async def find_own(session: AsyncSession, caller: Caller) -> User | None:
    """Return the caller's row, if they sign in here."""
    return await _find_by(session, _USERS.c.id == caller.user_id)


async def _find_by(session: AsyncSession, condition: ColumnElement[bool]) -> User | None:
    statement = select(User).where(condition, _USERS.c.password_hash.is_not(None))
    return (await session.exec(statement)).one_or_none()


async def _lock_if_unchanged(session: AsyncSession, checked: User) -> User | None:
    """Lock and return the user's row; None if the password changed since it was checked, or the user is inactive."""
    is_unchanged = _USERS.c.id == checked.id, _USERS.c.password_hash == checked.password_hash, _USERS.c.is_active
    return (await session.exec(select(User).where(*is_unchanged).with_for_update(key_share=True))).one_or_none()


async def _replace_hash(session: AsyncSession, user_id: str, password_hash: str) -> None:
    await next_revision(session, user_id)
    await execute(session, update(_USERS).where(_USERS.c.id == user_id).values(password_hash=password_hash))


def read_email(text: str) -> str:
    """Return the address as it is stored; refuse what is none."""
    if (address := users.normalize_email(text)) is None:
        form = f"an address such as name@example.com, of at most {users.MAX_EMAIL_LENGTH} characters"
        raise BadUserInputError(f"email must be {form}.", path=_EMAIL_PATH)
    return address


def email_taken(path: tuple[str, ...]) -> ConflictError:
    """Return the error for an address that somebody else signs in with."""
    message = "There is already an account with this email address; sign in instead."
    return ConflictError(ErrorReason.EMAIL_TAKEN, message, path=path)


def _wrong_password(path: tuple[str, ...]) -> BadUserInputError:
    return BadUserInputError("The current password is wrong.", path=path)
