"""What people do by links in e-mails: verify or change their address, set a new password."""

from functools import partial
from typing import Any, Final

from sqlalchemy import Row, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import BadUserInputError, ForbiddenError
from core.passwords import Passwords, require_new_password
from core.tokens import LinkPurpose, invalid_link
from models import AccessToken, AuditEventKind, EmailKind, User
from services.accounts import sessions, users
from services.accounts.accounts import Accounts, email_taken, find_account, find_own, read_email
from services.accounts.audit import Client, record_event
from services.accounts.authentication import Authenticator
from services.accounts.caller import Caller
from services.accounts.outbox import void_links
from services.entities.revision import next_revision
from services.query.sql import execute, table_of

_USERS: Final = table_of(User)
_TOKENS: Final = table_of(AccessToken)
_EMAIL_PATH: Final = ("input", "email")


class Emails:
    """Use cases of links in e-mails; neither answers nor times tell who has an account."""

    def __init__(
        self, database: Database, passwords: Passwords, authenticator: Authenticator, accounts: Accounts
    ) -> None:
        self.outbox = accounts.outbox
        self._database = database
        self._passwords = passwords
        self._authenticator = authenticator
        self._accounts = accounts
        self._rate_limits = accounts.rate_limits

    async def request_verification(self, caller: Caller, client: Client) -> None:
        """Send the caller a link that verifies their address, unless it is verified."""
        self.outbox.require_mail()
        async with self._database.read() as session:
            own = await find_own(session, caller)
        if own is None:
            raise ForbiddenError("Your address is kept where you sign in; verify it there.")
        if own.email_verified:
            return
        await self._rate_limits.count_email(EmailKind.VERIFY_EMAIL, own.email, client.address)
        await self._write(EmailKind.VERIFY_EMAIL, own.email, own.id)

    async def verify(self, token: str, client: Client) -> User:
        """Verify the address that a link was sent to, which becomes the account's if it is a new one."""
        email_id = self.outbox.tokens.read(LinkPurpose.VERIFY_EMAIL, token)

        async def work(session: AsyncSession) -> User:
            email, user = await self._take(session, LinkPurpose.VERIFY_EMAIL, email_id)
            is_new = email.kind is EmailKind.CHANGE_EMAIL
            if not is_new and email.address != user.email:
                raise invalid_link()
            if is_new and user.issuer is not None:
                raise invalid_link()
            if is_new and await find_account(session, email.address) is not None:
                raise email_taken(("input", "token"))
            await _verify(session, user.id, email.address)
            if is_new:
                await void_links(session, user.id)
                await self.outbox.add(session, EmailKind.EMAIL_CHANGED, user.email, user.id)
            kind = AuditEventKind.EMAIL_CHANGED if is_new else AuditEventKind.EMAIL_VERIFIED
            await record_event(session, client, kind, user.id)
            return await users.find(session, user.id)

        try:
            user = await self._database.write(work)
        except IntegrityError:
            raise email_taken(("input", "token")) from None
        self.outbox.wake()
        self._authenticator.invalidate(user.id)
        return user

    async def request_password_reset(self, email: str, client: Client) -> None:
        """Send a link that sets a new password, if the address has an account; it does the same if there is none."""
        self.outbox.require_mail()
        address = read_email(email)
        await self._rate_limits.count_email(EmailKind.RESET_PASSWORD, address, client.address)

        async def work(session: AsyncSession) -> None:
            is_theirs = _USERS.c.email == address, _USERS.c.password_hash.is_not(None), _USERS.c.is_active
            user_id = (await execute(session, select(_USERS.c.id).where(*is_theirs))).scalar()
            await self.outbox.add(session, EmailKind.RESET_PASSWORD, address, user_id)

        await self._database.write(work)
        self.outbox.wake()

    async def reset_password(self, token: str, new_password: str, client: Client) -> None:
        """Set a new password by a link, which ends all sessions and verifies the address that it was sent to."""
        require_new_password(new_password, ("input", "newPassword"))
        email_id = self.outbox.tokens.read(LinkPurpose.RESET_PASSWORD, token)
        # A link that was used costs no hash.
        async with self._database.read() as session:
            if await self.outbox.find(session, LinkPurpose.RESET_PASSWORD, email_id) is None:
                raise invalid_link()
        password_hash = await self._passwords.hash(new_password)

        async def work(session: AsyncSession) -> str:
            email, user = await self._take(session, LinkPurpose.RESET_PASSWORD, email_id)
            if email.address != user.email or user.password_hash is None:
                raise invalid_link()
            if not user.email_verified:
                await _verify(session, user.id, user.email)
            # Whoever made the account with somebody else's address keeps no way in.
            await execute(session, delete(_TOKENS).where(_TOKENS.c.user_id == user.id))
            await execute(session, update(_USERS).where(_USERS.c.id == user.id).values(password_hash=password_hash))
            await sessions.revoke_all(session, user.id)
            await void_links(session, user.id)
            await record_event(session, client, AuditEventKind.PASSWORD_RESET, user.id)
            return user.id

        self._authenticator.invalidate(await self._database.write(work))

    async def change_email(self, caller: Caller, *, email: str, password: str, client: Client) -> None:
        """Send a link to a new address, by which it becomes the caller's; a note, if it is somebody's already."""
        self.outbox.require_mail()
        address = read_email(email)
        checked = await self._accounts.check_own_password(caller, password, client)
        if checked.issuer is not None:
            raise ForbiddenError("Your address is kept where you sign in; change it there.")
        if address == checked.email:
            raise BadUserInputError("It is your address already; name another one.", path=_EMAIL_PATH)
        await self._rate_limits.count_email(EmailKind.CHANGE_EMAIL, address, client.address, caller.user_id)

        async def work(session: AsyncSession) -> None:
            await self._accounts.require_unchanged(session, checked)
            other = await find_account(session, address)
            # Whether an earlier link is still good must not tell which it was.
            await void_links(session, caller.user_id, EmailKind.CHANGE_EMAIL)
            kind = EmailKind.CHANGE_EMAIL if other is None else EmailKind.ACCOUNT_EXISTS
            await self.outbox.add(session, kind, address, other or caller.user_id)

        await self._database.write(work)
        self.outbox.wake()

    async def _write(self, kind: EmailKind, address: str, user_id: str) -> None:
        await self._database.write(partial(self.outbox.add, kind=kind, address=address, user_id=user_id))
        self.outbox.wake()

    async def _take(self, session: AsyncSession, purpose: LinkPurpose, email_id: str) -> tuple[Row[Any], User]:
        """Lock the user whom a link was sent to, and use it up: of two at once, one finds it gone."""
        email = await self.outbox.find(session, purpose, email_id)
        if email is None:
            raise invalid_link()
        await next_revision(session, email.user_id)
        if not await self.outbox.take(session, email):
            raise invalid_link()
        return email, await users.find(session, email.user_id)


async def _verify(session: AsyncSession, user_id: str, address: str) -> None:
    """Let an address be the verified one of a user, which clients learn as of other changes of the profile."""
    revision = await next_revision(session, user_id)
    values = {"email": address, "email_verified": True, "profile_revision": revision, "updated_at": utc_now()}
    await execute(session, update(_USERS).where(_USERS.c.id == user_id).values(**values))
