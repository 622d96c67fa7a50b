"""The outbox: e-mails are rows of the transaction that they are about, and are sent behind its answer, at least once.

A row is claimed by a lease, so that one process sends it, and another one if that process dies. Its id is the secret
part of no token: `LinkTokens` signs it.
"""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, delete, insert, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import ForbiddenError, UnavailableError
from core.ids import new_id
from core.mail import TIMEOUT_S, Mailer, MailError
from core.settings import Settings
from core.tokens import LinkPurpose, LinkTokens
from models import Email, EmailKind
from services.accounts.email_messages import LinkBase, compose, kinds_for, purpose_of
from services.query.sql import database_time, execute, fetch_all, table_of

LINK_LIFETIME: Final = timedelta(hours=1)
# After each attempt but the last; it is given up after nine hours.
_WAITS_S: Final = (5, 30, 120, 600, 1_800, 7_200, 21_600)
_LEASE: Final = timedelta(seconds=2 * TIMEOUT_S)
# What other processes have left; its own this process sends at once.
_POLL_S: Final = 30.0
# Whoever asks again may still use the link that comes first, but for a new address only the one named last.
_KEPT: Final = {EmailKind.CHANGE_EMAIL: 1}
_KEPT_OF_OTHERS: Final = 3

_EMAILS: Final = table_of(Email)
_log = logging.getLogger(__name__)


class Outbox:
    """Writes e-mails and sends them."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.sends = settings.sends_email
        # In development not every new account is worth a message in the terminal.
        self.sends_on_sign_up = settings.email_url is not None or settings.require_verified_email
        self.tokens = LinkTokens(settings.secret_key, settings.secret_key_previous)
        self._database = database
        self._mailer = Mailer(settings)
        self._base = LinkBase(settings.email_from, settings.link_url)
        self._has_mail = asyncio.Event()

    def require_mail(self) -> None:
        """Raise ForbiddenError where no e-mail can be sent."""
        if not self.sends:
            raise ForbiddenError("This server sends no e-mail: whoever runs it has to set EMAIL_URL.")

    async def add(self, session: AsyncSession, kind: EmailKind, address: str, user_id: str | None) -> None:
        """Write an e-mail to a user; to nobody, which takes as long, where there is no user."""
        moment = utc_now()
        values = {"id": new_id(), "user_id": user_id, "kind": kind, "address": address, "attempts": 0}
        times = {"due_at": moment, "expires_at": moment + LINK_LIFETIME, "created_at": moment}
        await execute(session, insert(_EMAILS), values | times)
        owner = bindparam("owner", user_id, type_=_EMAILS.c.user_id.type)
        of_kind = and_(_EMAILS.c.user_id == owner, _EMAILS.c.kind == kind)
        newest_first = select(_EMAILS.c.id).where(of_kind).order_by(_EMAILS.c.created_at.desc(), _EMAILS.c.id.desc())
        older = newest_first.offset(_KEPT.get(kind, _KEPT_OF_OTHERS))
        await execute(session, delete(_EMAILS).where(of_kind, _EMAILS.c.id.in_(older)))

    def wake(self) -> None:
        """Send what was written, now that it is committed."""
        self._has_mail.set()

    async def find(self, session: AsyncSession, purpose: LinkPurpose, email_id: str) -> Row[Any] | None:
        """Return the e-mail whose link may be used for the purpose; None if there is none."""
        is_good = _EMAILS.c.id == email_id, _EMAILS.c.kind.in_(kinds_for(purpose)), _EMAILS.c.expires_at > utc_now()
        found = await execute(session, select(_EMAILS).where(*is_good, _EMAILS.c.user_id.is_not(None)))
        return found.one_or_none()

    async def take(self, session: AsyncSession, email: Row[Any]) -> bool:
        """Use the link of an e-mail up; return whether it was there. The user's row must be locked."""
        own = _EMAILS.c.user_id == email.user_id, _EMAILS.c.id == email.id
        return bool((await execute(session, delete(_EMAILS).where(*own))).rowcount)

    async def run(self) -> None:
        """Send e-mails until cancelled."""
        while True:
            self._has_mail.clear()
            try:
                with suppress(UnavailableError):
                    while await self._send_next():
                        pass
            except Exception:  # noqa: BLE001 - the next round may do better
                _log.exception("The outbox failed")
            # A library may have taken the cancellation for a connection that was lost.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._has_mail.wait()

    async def _send_next(self) -> bool:
        """Send an e-mail that is due; return whether there was one."""
        async with self._database.read() as session:
            is_due = _EMAILS.c.due_at <= database_time(session)
            if (await execute(session, select(_EMAILS.c.id).where(is_due).limit(1))).first() is None:
                return False
        email = await self._database.write(_claim)
        if email is None:
            return True
        try:
            if email.user_id is not None:
                await self._mailer.send(self._compose(email))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one does not hold up the others
            # What cannot be written will not be the next time either.
            unsent = MailError(type(error).__name__, is_final=isinstance(error, ValueError))
            await self._put_off(email, error if isinstance(error, MailError) else unsent)
        else:
            await self._database.write(lambda session: _finish(session, email))
        return True

    def _compose(self, email: Row[Any]) -> Any:
        purpose = purpose_of(email.kind)
        token = None if purpose is None else self.tokens.issue(purpose, email.id)
        return compose(email.kind, email.id, email.address, token, self._base)

    async def _put_off(self, email: Row[Any], error: MailError) -> None:
        """Let it be sent later, or give it up."""
        if error.is_final or email.attempts > len(_WAITS_S):
            _log.error("E-mail %s was given up after %d attempts: %s", email.id, email.attempts, error)
            await self._database.write(lambda session: execute(session, _of(email, delete(_EMAILS))))
            return
        wait_s = _WAITS_S[email.attempts - 1]
        _log.warning("E-mail %s was not sent and is tried again in %d s: %s", email.id, wait_s, error)
        wait = timedelta(seconds=wait_s)

        async def work(session: AsyncSession) -> None:
            await execute(session, _of(email, update(_EMAILS)).values(due_at=database_time(session) + wait))

        await self._database.write(work)
        asyncio.get_running_loop().call_later(wait_s, self.wake)


async def void_links(session: AsyncSession, user_id: str, *kinds: EmailKind) -> None:
    """Make the links in e-mails to a user void, in all of them after a change of their password or address."""
    has_link = kinds or [kind for kind in EmailKind if purpose_of(kind) is not None]
    await execute(session, delete(_EMAILS).where(_EMAILS.c.user_id == user_id, _EMAILS.c.kind.in_(has_link)))


async def _claim(session: AsyncSession) -> Row[Any] | None:
    """Lease an e-mail that is due to this process; its link is good from now on."""
    now = database_time(session)
    due = select(_EMAILS.c.id).where(_EMAILS.c.due_at <= now).order_by(_EMAILS.c.due_at).limit(1)
    statement = (
        update(_EMAILS)
        .where(_EMAILS.c.id == due.with_for_update(skip_locked=True).scalar_subquery())
        .values(attempts=_EMAILS.c.attempts + 1, due_at=now + _LEASE, expires_at=now + LINK_LIFETIME)
        .returning(*_EMAILS.c)
    )
    claimed = await fetch_all(session, statement)
    return claimed[0] if claimed else None


async def _finish(session: AsyncSession, email: Row[Any]) -> None:
    """Delete an e-mail that was sent; one with a link stays until that is used or expires."""
    if email.user_id is None or purpose_of(email.kind) is None:
        await execute(session, _of(email, delete(_EMAILS)))
    else:
        await execute(session, _of(email, update(_EMAILS)).values(due_at=None))


def _of(email: Row[Any], statement: Any) -> Any:
    return statement.where(_EMAILS.c.id == email.id)
