"""Accounts: signing up, in and out, passwords, and leaving for good."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.email_address import MOST_EMAIL_LENGTH, normal_email
from core.errors import BadUserInputError, ConflictError, ForbiddenError, UnauthenticatedError
from core.passwords import LEAST_PASSWORD_LENGTH, MOST_PASSWORD_LENGTH, PasswordCheck, Passwords
from core.refresh_tokens import RefreshToken, RefreshTokens, invalid_refresh_token
from core.settings import Settings
from core.text import require_length
from models import User
from services.accounts import credentials, sessions, users
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.accounts.credentials import Credentials
from services.accounts.rate_limit import SignInLimit

_EMAIL_PATH = ("input", "email")
_PASSWORD_PATH = ("input", "password")
_CURRENT_PASSWORD_PATH = ("input", "currentPassword")
_NEW_PASSWORD_PATH = ("input", "newPassword")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user and the tokens of their session."""

    user: User = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime


class Accounts:
    """Does what takes several steps: hashes outside of the transaction, writes, then tells the gate."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        passwords: Passwords,
        authenticator: Authenticator,
        sign_in_limit: SignInLimit,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._access_tokens = authenticator.tokens
        self._refresh_tokens = RefreshTokens(settings.secret_key)
        self._session_lifetime = timedelta(days=settings.refresh_token_expire_days)
        self._authenticator = authenticator
        self._sign_in_limit = sign_in_limit

    async def close(self) -> None:
        """Close what the accounts alone use."""
        await self._sign_in_limit.close()

    async def sign_up(self, *, email: str, password: str, name: str) -> SignedIn:
        """Make an account and sign its user in."""
        address = _check_email(email)
        checked_name = users.check_name(name, ("input", "name"))
        _check_new_password(password, _PASSWORD_PATH)
        async with self._database.read() as session:
            if await credentials.of_email(session, address) is not None:
                raise _taken()
        password_hash = await self._passwords.hash(password)

        async def work(session: AsyncSession) -> SignedIn:
            user = User(email=address, name=checked_name, password_hash=password_hash)
            session.add(user)
            await session.flush()
            return await self._begin_session(session, user)

        try:
            return await self._database.write(work)
        except IntegrityError:
            raise _taken() from None

    async def sign_in(self, *, email: str, password: str, client_address: str) -> SignedIn:
        """Begin a session; what is wrong, the address or the password, is not told, nor to be seen by the time."""
        require_length(password, _PASSWORD_PATH, least=0, most=MOST_PASSWORD_LENGTH)
        address = normal_email(email)
        known = None
        if address is not None:
            async with self._database.read() as session:
                known = await credentials.of_email(session, address)
        check = await self._check_password(address or email, client_address, password, known)
        if known is None or not check.matches:
            raise _wrong_credentials()
        if not known.is_active:
            raise ForbiddenError("This account is deactivated; ask an administrator to activate it.")
        return await self._database.write(lambda session: self._sign_in_checked(session, known, check))

    async def _sign_in_checked(self, session: AsyncSession, checked: Credentials, check: PasswordCheck) -> SignedIn:
        user = await credentials.hold(session, checked)
        if user is None:
            raise _wrong_credentials()
        if check.replacement is not None:
            await credentials.replace_hash(session, user.id, check.replacement)
        return await self._begin_session(session, user)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Exchange a refresh token for new tokens; one that was exchanged before ends its session."""
        spent = self._refresh_tokens.read(refresh_token)
        outcome = await self._database.write(lambda session: self._rotate(session, spent))
        if isinstance(outcome, SignedIn):
            return outcome
        if outcome.revoked_user_id is not None:
            self._authenticator.forget(outcome.revoked_user_id)
        raise invalid_refresh_token()

    async def _rotate(self, session: AsyncSession, spent: RefreshToken) -> SignedIn | sessions.Refused:
        outcome = await sessions.rotate(session, self._refresh_tokens, spent, expires_at=self._session_end())
        if isinstance(outcome, sessions.Refused):
            return outcome
        return self._signed_in(await users.find(session, outcome.user_id), outcome.token)

    async def sign_out(self, caller: Caller) -> None:
        """End the caller's session."""
        session_id = caller.session_id
        if session_id is None:
            raise ForbiddenError("Your session is kept where you signed in; sign out there.")
        await self._database.write(lambda session: sessions.revoke(session, caller.user_id, session_id))
        self._authenticator.forget(caller.user_id)

    async def change_password(
        self, caller: Caller, *, current_password: str, new_password: str, client_address: str
    ) -> User:
        """Change the caller's password and end their other sessions."""
        _check_new_password(new_password, _NEW_PASSWORD_PATH)
        checked = await self._check_own_password(caller, current_password, _CURRENT_PASSWORD_PATH, client_address)
        password_hash = await self._passwords.hash(new_password)

        async def work(session: AsyncSession) -> User:
            if await credentials.hold(session, checked) is None:
                raise _wrong_password(_CURRENT_PASSWORD_PATH)
            await credentials.replace_hash(session, caller.user_id, password_hash)
            await sessions.revoke_all(session, caller.user_id, but=caller.session_id)
            return await users.find(session, caller.user_id)

        user = await self._database.write(work)
        self._authenticator.forget(caller.user_id)
        return user

    async def delete_account(self, caller: Caller, *, password: str, client_address: str) -> None:
        """Delete the caller and everything of theirs."""
        checked = await self._check_own_password(caller, password, _PASSWORD_PATH, client_address)

        async def work(session: AsyncSession) -> None:
            if await credentials.hold(session, checked) is None:
                raise _wrong_password(_PASSWORD_PATH)
            await users.delete(session, caller.user_id)

        await self._database.write(work)
        self._authenticator.forget(caller.user_id)

    async def set_user_active(self, caller: Caller, user_id: str, *, is_active: bool) -> User:
        """Let a user in or shut them out, at once; for admins."""
        user = await self._database.write(
            lambda session: users.set_active(session, caller, user_id, is_active=is_active)
        )
        self._authenticator.forget(user_id)
        return user

    async def delete_user(self, caller: Caller, user_id: str) -> None:
        """Delete a user and everything of theirs; for admins."""
        await self._database.write(lambda session: users.delete_user(session, caller, user_id))
        self._authenticator.forget(user_id)

    async def _check_own_password(
        self, caller: Caller, password: str, path: tuple[str, ...], client_address: str
    ) -> Credentials:
        require_length(password, path, least=0, most=MOST_PASSWORD_LENGTH)
        async with self._database.read() as session:
            own = await credentials.of_caller(session, caller)
        check = await self._check_password(own.email, client_address, password, own)
        if not check.matches:
            raise _wrong_password(path)
        return own

    async def _check_password(
        self, account: str, client_address: str, password: str, known: Credentials | None
    ) -> PasswordCheck:
        async with self._sign_in_limit.guess(account, client_address) as guess:
            check = await self._passwords.verify(password, known.password_hash if known is not None else None)
            guess.is_right = check.matches
        return check

    async def _begin_session(self, session: AsyncSession, user: User) -> SignedIn:
        token = await sessions.start(session, self._refresh_tokens, user.id, expires_at=self._session_end())
        return self._signed_in(user, token)

    def _signed_in(self, user: User, refresh_token: RefreshToken) -> SignedIn:
        access_token = self._access_tokens.issue(user.id, refresh_token.session_id)
        return SignedIn(user, access_token.text, refresh_token.text, access_token.expires_at)

    def _session_end(self) -> datetime:
        return utc_now() + self._session_lifetime


def _check_email(text: str) -> str:
    email = normal_email(text)
    if email is None:
        raise BadUserInputError(
            f"email must be an address such as name@example.com, of at most {MOST_EMAIL_LENGTH} characters.",
            path=_EMAIL_PATH,
        )
    return email


def _check_new_password(password: str, path: tuple[str, ...]) -> None:
    require_length(password, path, least=LEAST_PASSWORD_LENGTH, most=MOST_PASSWORD_LENGTH)


def _taken() -> ConflictError:
    return ConflictError("There is already an account with this email address; sign in instead.", path=_EMAIL_PATH)


def _wrong_credentials() -> UnauthenticatedError:
    return UnauthenticatedError("The email address or the password is wrong.")


def _wrong_password(path: tuple[str, ...]) -> BadUserInputError:
    return BadUserInputError("The current password is wrong.", path=path)
