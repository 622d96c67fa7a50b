"""The outbox: e-mails are sent at least once, whatever happens to a process or to the mail server."""

import asyncio
import logging
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.database import Database
from core.settings import Settings
from services.accounts import outbox
from services.sync.housekeeping import delete_old_emails
from tests.factories import make_user
from tests.graph_client import GraphClient
from tests.mail import (
    Mailbox,
    certificate,
    change_emails,
    mail_server,
    rows_of,
    sending,
    was_given_up,
    was_sent,
    was_tried,
    write_email,
)
from tests.servers import serve_with
from tests.services.account_services import PASSWORD, new_email
from tests.waiting import until, until_so


async def test_outbox_of_one_process_sends_what_another_has_left(
    mail_database: Database, mail_settings: Settings, own_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = mail_settings.model_copy(update=own_mailbox.settings)
    user = await make_user(mail_database)
    unreachable = settings.model_copy(update={"email_url": "smtp://127.0.0.1:1"})
    monkeypatch.setattr(outbox, "_WAITS_S", (0.01,))
    async with sending(mail_database, unreachable) as broken:
        # The last attempt is never made: two are all that fail before it is given up.
        await write_email(broken, user.email, user.id)
        await until_so(partial(was_given_up, mail_database, user.email))
        monkeypatch.setattr(outbox, "_WAITS_S", (3_600.0,))
        await write_email(broken, user.email, user.id)
        await until_so(partial(was_tried, mail_database, user.email))
    await change_emails(mail_database, user.email, due_at=user.created_at)
    # As after a process that was killed while it sent, whose lease has run out. Two that begin now send it once.
    async with sending(mail_database, settings), sending(mail_database, settings):
        await own_mailbox.next()
        await until_so(partial(was_sent, mail_database, user.email))
    assert own_mailbox.messages == []


async def test_lease_keeps_others_from_an_email_that_is_being_sent(
    mail_database: Database, mail_settings: Settings
) -> None:
    user = await make_user(mail_database)
    written = outbox.Outbox(mail_database, mail_settings)
    await write_email(written, user.email, user.id)
    claims = await asyncio.gather(*(mail_database.write(outbox._claim) for _ in range(4)))  # noqa: SLF001 - the lease itself
    assert [each.address for each in claims if each is not None] == [user.email]
    await change_emails(mail_database, user.email, due_at=None, expires_at=user.created_at)
    await mail_database.write(delete_old_emails)
    assert await rows_of(mail_database, user.email) == []


async def test_refused_recipient_is_given_up_and_not_named_in_the_log(
    mail_database: Database, mail_settings: Settings, own_mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    user = await make_user(mail_database)
    settings = mail_settings.model_copy(update=own_mailbox.settings)
    own_mailbox.refuses_message = f"451 {user.email} is not wanted now"
    with caplog.at_level(logging.INFO):
        async with sending(mail_database, settings) as sender:
            await write_email(sender, user.email, user.id)
            await until_so(partial(was_tried, mail_database, user.email))
            await until(lambda: "is tried again in 5 s: SMTPDataError, 451" in caplog.text)
            own_mailbox.refuses_message, own_mailbox.refuses_recipient = "", f"550 {user.email} is unknown"
            await change_emails(mail_database, user.email, due_at=user.created_at)
            sender.wake()
            await until_so(partial(was_given_up, mail_database, user.email))
    own_mailbox.refuses_recipient = ""
    assert "was given up after 2 attempts: the recipient was refused: [550]" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name == outbox.__name__]
    assert (len(ours), [line for line in ours if user.email in line]) == (2, [])


async def test_password_of_the_mail_server_is_sent_over_tls_alone(
    mail_database: Database, mail_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    seen: list[Any] = []

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        seen.append((data.login, data.password))
        return AuthResult(success=True)

    user = await make_user(mail_database)
    url = "smtp://ada:p%40ss@localhost:{}"
    async with mail_server() as plain, mail_server(tls_context=context, authenticator=check) as encrypted:
        settings = mail_settings.model_copy(update=plain.settings | {"email_url": url.format(plain.port)})
        async with sending(mail_database, settings) as sender:
            await write_email(sender, user.email, user.id)
            await until_so(partial(was_tried, mail_database, user.email))
        await change_emails(mail_database, user.email, due_at=user.created_at)
        settings = settings.model_copy(update={"email_url": url.format(encrypted.port)})
        async with sending(mail_database, settings):
            await encrypted.next()
    assert (plain.messages, seen) == ([], [(b"ada", b"p@ss")])


async def test_development_prints_messages_and_keeps_them_in_a_folder(
    mail_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("core.mail.MAIL_FOLDER", tmp_path / "mail")
    with caplog.at_level(logging.INFO):
        async with serve_with(mail_settings) as server, server.client() as http:
            client, email = GraphClient(http), new_email()
            account = {"email": email, "password": PASSWORD, "name": "Ada"}
            token = (await client.mutate("signUp", account))["accessToken"]
            assert await client.mutate("requestEmailVerification", as_=token) == {"errors": []}
            await until(lambda: "E-mail to" in caplog.text)
            (kept,) = (tmp_path / "mail").iterdir()
            link = re.search(r"token=(\S+)", caplog.text)
            assert link is not None
            assert (kept.stat().st_mode & 0o777, email in kept.read_text()) == (0o600, True)
            assert (await client.mutate("verifyEmail", {"token": link[1]}))["user"]["emailVerified"] is True
