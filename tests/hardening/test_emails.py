"""E-mails and their links: sent at least once, used once, telling nobody who has an account; what waits for them."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from sqlalchemy import select, update

from core.database import Database
from core.settings import Settings
from core.tokens import LinkPurpose, LinkTokens
from models import Email, EmailKind
from server.graphql.sockets import CloseCode
from server.rest.api import describe
from services.accounts import outbox
from services.accounts.audit import Client
from services.query.sql import execute, fetch_all, table_of
from services.sync.housekeeping import delete_old_emails
from tests.access_tokens import access_token_rows, make_access_token
from tests.clock import MovableClock
from tests.databases import Databases, counted, make_settings
from tests.factories import SignedIn, make_user, sign_in
from tests.graph_client import GraphClient, mutation, refusal
from tests.mail import Mailbox, certificate, mail_server, plain_text, sending, token_of
from tests.schema_walk import SCHEMA, Operation, operations
from tests.server.mcp.client import connected, text_of
from tests.server.rest.client import RestClient
from tests.server.rest.client import refusal as rest_refusal
from tests.servers import IN_PRODUCTION, RunningServer, serve_with
from tests.services.account_services import HERE, PASSWORD, new_email
from tests.services.rows import read_user
from tests.socket_client import signed_in_socket
from tests.waiting import until, until_so

_EMAILS: Final = table_of(Email)
VERIFY, CHANGE, RESET, EXISTS, CHANGED = (
    "Verify your email address",
    "Verify your new email address",
    "Set a new password",
    "You already have an account",
    "Your email address was changed",
)
INVALID: Final = ("BAD_USER_INPUT", "input.token", "The link is not valid any more; ask for another one.")
UNVERIFIED: Final = "Verify your email address first: ask for a link by requestEmailVerification."
WRONG: Final = "The email address or the password is wrong, or the address is not verified yet."
# What somebody may do whose address is not verified.
OPEN: Final = {
    *("signUp", "signIn", "refreshSession", "signOut", "deleteAccount"),
    *("requestEmailVerification", "verifyEmail", "requestPasswordReset", "resetPassword", "changeEmail"),
}
OPEN_ROUTES: Final = {"/api/auth/logout", "/api/auth/request-email-verification", "/api/auth/change-email"}


@pytest.fixture(scope="module")
async def mail_settings(databases: Databases) -> Settings:
    """Give the settings of a database whose e-mails no other server sends."""
    return make_settings(await databases.create())


@pytest.fixture(scope="module")
async def mail_database(mail_settings: Settings) -> AsyncIterator[Database]:
    database = Database(mail_settings)
    yield database
    await database.close()


@pytest.fixture(scope="module")
async def shared_mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox


@dataclass(frozen=True)
class Mailing:
    """A server that sends e-mail, its clients, and the mailbox of everybody."""

    server: RunningServer
    http: httpx2.AsyncClient
    mailbox: Mailbox
    database: Database

    @property
    def client(self) -> GraphClient:
        return GraphClient(self.http)

    async def sign_up(self, email: str | None = None, **values: Any) -> dict[str, Any]:
        account: dict[str, Any] = {"email": email or new_email(), "password": PASSWORD, "name": "Ada"} | values
        return account | {"payload": await self.client.mutate("signUp", account)}

    async def ask(self, name: str, given: dict[str, Any] | None = None, as_: Any = None) -> dict[str, Any]:
        return await self.client.mutate(name, given, as_=as_)

    async def emails(self, address: str) -> list[Any]:
        async with self.database.read() as session:
            return list(await fetch_all(session, select(_EMAILS).where(_EMAILS.c.address == address)))


@asynccontextmanager
async def serve_mail(
    settings: Settings, database: Database, mailbox: Mailbox, **overrides: Any
) -> AsyncIterator[Mailing]:
    mailbox.messages.clear()
    limits = {"emails_per_address": 1_000}
    async with serve_with(settings, **mailbox.settings | limits | overrides) as server, server.client() as http:
        yield Mailing(server, http, mailbox, database)


@pytest.fixture(scope="module")
async def shared_mailing(
    mail_settings: Settings, mail_database: Database, shared_mailbox: Mailbox
) -> AsyncIterator[Mailing]:
    async with serve_mail(mail_settings, mail_database, shared_mailbox) as mailing:
        yield mailing


@pytest.fixture
def mailing(shared_mailing: Mailing) -> Mailing:
    shared_mailing.mailbox.messages.clear()
    return shared_mailing


@pytest.fixture(scope="module")
async def shared_strict(
    mail_settings: Settings, mail_database: Database, shared_mailbox: Mailbox
) -> AsyncIterator[Mailing]:
    async with serve_mail(mail_settings, mail_database, shared_mailbox, require_verified_email=True) as mailing:
        yield mailing


@pytest.fixture
def strict(shared_strict: Mailing) -> Mailing:
    """Give a server that requires verified addresses."""
    shared_strict.mailbox.messages.clear()
    return shared_strict


@pytest.fixture
async def own_mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as mailbox:
        yield mailbox


@pytest.fixture(scope="module")
async def quiet_settings(databases: Databases) -> Settings:
    """Give the settings of a database that no server has, so that only the test sends its e-mails."""
    return make_settings(await databases.create())


@pytest.fixture(scope="module")
async def quiet_database(quiet_settings: Settings) -> AsyncIterator[Database]:
    database = Database(quiet_settings)
    yield database
    await database.close()


async def test_sign_up_sends_a_message_whose_link_verifies_the_address(mailing: Mailing) -> None:
    name = "Ada\r\nBcc: eve@example.com <script>alert(1)</script>"
    account = await mailing.sign_up(name=name)
    user, token = account["payload"]["user"], account["payload"]["accessToken"]
    message = await mailing.mailbox.next()
    assert (message["From"], message["To"], message["Subject"]) == (
        "Tasktalk <no-reply@example.com>",
        account["email"],
        VERIFY,
    )
    assert set(message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"),
    }
    assert (message.get_content_type(), message["Auto-Submitted"]) == ("multipart/alternative", "auto-generated")
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert [word for word in ("eve", "script", "Ada") if word in message.as_string()] == []
    link = f"http://127.0.0.1:8000/verify-email?token={token_of(message)}"
    html = message.get_body(("html",))
    assert html is not None
    assert f'<a href="{link}">' in html.get_content()
    since = (await mailing.client.query("{ changes { cursor } }", as_=token))["changes"]["cursor"]
    payload = await mailing.ask("verifyEmail", {"token": token_of(message)})
    assert (payload["errors"], payload["user"]["id"], payload["user"]["emailVerified"]) == ([], user["id"], True)
    query = "query ($since: String) { changes(since: $since) { changed { ... on User { emailVerified } } } }"
    assert (await mailing.client.query(query, {"since": since}, as_=token))["changes"]["changed"] == [
        {"emailVerified": True}
    ]
    kinds = (await mailing.client.query("{ viewer { auditEvents { nodes { kind } } } }", as_=token))["viewer"]
    assert kinds["auditEvents"]["nodes"][0] == {"kind": "EMAIL_VERIFIED"}
    # Nothing is sent to whoever has verified it already.
    assert await mailing.ask("requestEmailVerification", as_=token) == {"errors": []}
    assert await mailing.emails(account["email"]) == []


async def test_link_is_good_once_for_its_purpose_and_for_an_hour(mailing: Mailing) -> None:
    account = await mailing.sign_up()
    first = await mailing.mailbox.token()
    token, email = account["payload"]["accessToken"], account["email"]
    await mailing.ask("requestEmailVerification", as_=token)
    second = await mailing.mailbox.token()
    await mailing.ask("requestPasswordReset", {"email": email})
    reset = await mailing.mailbox.token()
    stored = str(await mailing.emails(email))
    assert [each for each in (first, second, reset) if each in stored] == []
    for wrong in (reset, f"{first[:-1]}{'A' if first[-1] != 'A' else 'B'}", first.lower(), "", "x" * 48, "\0"):
        assert refusal(await mailing.ask("verifyEmail", {"token": wrong})) == INVALID
    new = {"token": first, "newPassword": "another password"}
    assert refusal(await mailing.ask("resetPassword", new)) == INVALID
    with pytest.MonkeyPatch.context() as patch:
        clock = MovableClock.put_in(patch)
        clock.move_on(timedelta(hours=1))
        assert refusal(await mailing.ask("verifyEmail", {"token": first})) == INVALID
    attempts = await asyncio.gather(*(mailing.ask("verifyEmail", {"token": first}) for _ in range(4)))
    assert [bool(each["errors"]) for each in attempts].count(False) == 1
    # The one that was asked for later is as good: which of them people find first is up to the mail.
    assert (await mailing.ask("verifyEmail", {"token": second}))["errors"] == []


async def test_reset_sets_the_password_once_and_ends_all_sessions(mailing: Mailing) -> None:
    account = await mailing.sign_up()
    email, token = account["email"], account["payload"]["accessToken"]
    await mailing.mailbox.next()
    rest = RestClient(mailing.http)
    changed = new_email()
    await mailing.ask("changeEmail", {"email": changed, "password": PASSWORD}, as_=token)
    change = await mailing.mailbox.token(CHANGE)
    caller = await mailing.server.runtime.authenticator.authenticate(token)
    await make_access_token(mailing.database, caller)
    assert await rest.ok("POST", "/auth/request-password-reset", {"email": email.upper()}) is None
    link = await mailing.mailbox.token(RESET)
    common = await mailing.ask("resetPassword", {"token": link, "newPassword": "password"})
    assert refusal(common)[:2] == ("BAD_USER_INPUT", "input.newPassword")
    async with signed_in_socket(mailing.server, token) as socket:
        new = {"token": link, "new_password": "another password"}
        answers = await asyncio.gather(*(rest.send("POST", "/auth/reset-password", new) for _ in range(2)))
        assert sorted(each.status_code for each in answers) == [204, 422]
        assert (await socket.closing())[0] == CloseCode.FORBIDDEN
    refreshed = await mailing.ask("refreshSession", {"refreshToken": account["payload"]["refreshToken"]})
    assert refusal(refreshed)[0] == "UNAUTHENTICATED"
    assert (await mailing.ask("signIn", {"email": email, "password": PASSWORD}))["accessToken"] is None
    signed_in = await mailing.ask("signIn", {"email": email, "password": "another password"})
    # The link was opened at the address. Whoever made the account with somebody else's has no way in any more.
    assert signed_in["user"]["emailVerified"] is True
    assert await access_token_rows(mailing.database, caller.user_id) == []
    assert refusal(await mailing.ask("verifyEmail", {"token": change})) == INVALID
    events = await mailing.client.query("{ viewer { auditEvents { nodes { kind } } } }", as_=signed_in["accessToken"])
    assert events["viewer"]["auditEvents"]["nodes"][2] == {"kind": "PASSWORD_RESET"}


async def test_password_change_makes_links_void(mailing: Mailing) -> None:
    account = await mailing.sign_up()
    token = account["payload"]["accessToken"]
    await mailing.ask("requestPasswordReset", {"email": account["email"]})
    link = await mailing.mailbox.token(RESET)
    passwords = {"currentPassword": PASSWORD, "newPassword": "another password"}
    assert (await mailing.ask("changePassword", passwords, as_=token))["errors"] == []
    new = {"token": link, "newPassword": "a third password"}
    assert refusal(await mailing.ask("resetPassword", new)) == INVALID


async def test_answer_about_a_reset_and_its_work_do_not_tell_who_has_an_account(mailing: Mailing) -> None:
    account = await mailing.sign_up()
    await mailing.mailbox.next()
    deactivated = await make_user(mailing.database, is_active=False, password_hash="some hash")
    federated = await make_user(mailing.database)
    answers, emails = [], mailing.server.runtime.emails
    addresses = [account["email"], new_email(), deactivated.email, federated.email]
    for address in addresses:
        body = {"query": mutation("requestPasswordReset"), "variables": {"input": {"email": address}}}
        response = await mailing.http.post("/graphql", json=body)
        with counted() as statements:
            await emails.request_password_reset(address, Client(HERE))
        answers.append((response.status_code, response.content, statements))
    assert answers[1:] == answers[:1] * 3
    assert answers[0][1] == b'{"data":{"requestPasswordReset":{"errors":[]}}}'
    for _ in range(2):
        assert (await mailing.mailbox.next())["To"] == account["email"]
    for address in addresses[1:]:
        await until_so(partial(_has_no_emails, mailing, address))
    assert mailing.mailbox.messages == []


async def _has_no_emails(mailing: Mailing, address: str) -> bool:
    return await mailing.emails(address) == []


async def test_address_changes_when_the_new_one_is_verified(mailing: Mailing) -> None:
    account, other = await mailing.sign_up(), await mailing.sign_up()
    token, old, new = account["payload"]["accessToken"], account["email"], new_email()
    for _ in range(2):
        await mailing.mailbox.next(VERIFY)
    await mailing.ask("requestPasswordReset", {"email": old})
    reset = await mailing.mailbox.token(RESET)
    wrong = await mailing.ask("changeEmail", {"email": new, "password": "a guess"}, as_=token)
    assert refusal(wrong) == ("BAD_USER_INPUT", "input.password", "The current password is wrong.")
    for address, path in (("ada", "input.email"), (old, "input.email")):
        refused = await mailing.ask("changeEmail", {"email": address, "password": PASSWORD}, as_=token)
        assert refusal(refused)[:2] == ("BAD_USER_INPUT", path)
    # That an address is taken is told to nobody but its owner.
    for address in (new, other["email"]):
        given = {"email": address, "password": PASSWORD}
        assert await mailing.ask("changeEmail", given, as_=token) == {"errors": []}
    assert (await mailing.mailbox.next(EXISTS))["To"] == other["email"]
    message = await mailing.mailbox.next(CHANGE)
    assert (message["To"], (await read_user(mailing.database, account["payload"]["user"]["id"])).email) == (new, old)
    verified = await RestClient(mailing.http).ok("POST", "/auth/verify-email", {"token": token_of(message)})
    assert (verified["email"], verified["email_verified"]) == (new, True)
    told = await mailing.mailbox.next(CHANGED)
    assert (told["To"], "http" in plain_text(told)) == (old, False)
    # The session goes on; the links that went to the old address do not.
    assert (await mailing.client.query("{ viewer { email } }", as_=token)) == {"viewer": {"email": new}}
    assert refusal(await mailing.ask("resetPassword", {"token": reset, "newPassword": "a new password"})) == INVALID


async def test_address_that_was_taken_meanwhile_is_a_conflict(mailing: Mailing) -> None:
    account, new = await mailing.sign_up(), new_email()
    token = account["payload"]["accessToken"]
    await mailing.ask("changeEmail", {"email": new, "password": PASSWORD}, as_=token)
    link = await mailing.mailbox.token(CHANGE)
    await mailing.sign_up(new)
    taken = "There is already an account with this email address; sign in instead."
    assert refusal(await mailing.ask("verifyEmail", {"token": link})) == ("CONFLICT", "input.token", taken)


async def test_outbox_of_one_process_sends_what_another_has_left(
    quiet_database: Database, quiet_settings: Settings, own_mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quiet_settings.model_copy(update=own_mailbox.settings)
    user = await make_user(quiet_database)
    unreachable = settings.model_copy(update={"email_url": "smtp://127.0.0.1:1"})
    monkeypatch.setattr(outbox, "_WAITS_S", (0.01,))
    async with sending(quiet_database, unreachable) as broken:
        # The last attempt is never made: two are all that fail before it is given up.
        await write_email(broken, user.email, user.id)
        await until_so(partial(_was_given_up, quiet_database, user.email))
        monkeypatch.setattr(outbox, "_WAITS_S", (3_600.0,))
        await write_email(broken, user.email, user.id)
        await until_so(partial(_was_tried, quiet_database, user.email))
    await change_emails(quiet_database, user.email, due_at=user.created_at)
    # As after a process that was killed while it sent, whose lease has run out. Two that begin now send it once.
    async with sending(quiet_database, settings), sending(quiet_database, settings):
        await own_mailbox.next()
        await until_so(partial(_was_sent, quiet_database, user.email))
    assert own_mailbox.messages == []


async def write_email(written: outbox.Outbox, address: str, user_id: str) -> None:
    database = written._database  # noqa: SLF001 - that of the test
    await database.write(lambda session: written.add(session, EmailKind.VERIFY_EMAIL, address, user_id))
    written.wake()


async def rows_of(database: Database, address: str) -> list[Any]:
    async with database.read() as session:
        return list(await fetch_all(session, select(_EMAILS).where(_EMAILS.c.address == address)))


async def change_emails(database: Database, address: str, **values: Any) -> None:
    statement = update(_EMAILS).where(_EMAILS.c.address == address).values(values)
    await database.write(lambda session: execute(session, statement))


async def _was_given_up(database: Database, address: str) -> bool:
    return await rows_of(database, address) == []


async def _was_tried(database: Database, address: str) -> bool:
    return [row.attempts for row in await rows_of(database, address)] == [1]


async def _was_sent(database: Database, address: str) -> bool:
    return [row.due_at for row in await rows_of(database, address)] == [None]


async def test_lease_keeps_others_from_an_email_that_is_being_sent(
    quiet_database: Database, quiet_settings: Settings
) -> None:
    user = await make_user(quiet_database)
    written = outbox.Outbox(quiet_database, quiet_settings)
    await write_email(written, user.email, user.id)
    claims = await asyncio.gather(*(quiet_database.write(outbox._claim) for _ in range(4)))  # noqa: SLF001 - the lease itself
    assert [each.address for each in claims if each is not None] == [user.email]
    await change_emails(quiet_database, user.email, due_at=None, expires_at=user.created_at)
    await quiet_database.write(delete_old_emails)
    assert await rows_of(quiet_database, user.email) == []


async def test_refused_recipient_is_given_up_and_not_named_in_the_log(
    quiet_database: Database, quiet_settings: Settings, own_mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    user = await make_user(quiet_database)
    settings = quiet_settings.model_copy(update=own_mailbox.settings)
    own_mailbox.refuses_message = f"451 {user.email} is not wanted now"
    with caplog.at_level(logging.INFO):
        async with sending(quiet_database, settings) as sender:
            await write_email(sender, user.email, user.id)
            await until_so(partial(_was_tried, quiet_database, user.email))
            await until(lambda: "is tried again in 5 s: SMTPDataError, 451" in caplog.text)
            own_mailbox.refuses_message, own_mailbox.refuses_recipient = "", f"550 {user.email} is unknown"
            await change_emails(quiet_database, user.email, due_at=user.created_at)
            sender.wake()
            await until_so(partial(_was_given_up, quiet_database, user.email))
    own_mailbox.refuses_recipient = ""
    assert "was given up after 2 attempts: the recipient was refused: [550]" in caplog.text
    ours = [record.getMessage() for record in caplog.records if record.name == outbox.__name__]
    assert (len(ours), [line for line in ours if user.email in line]) == (2, [])


async def test_password_of_the_mail_server_is_sent_over_tls_alone(
    quiet_database: Database, quiet_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    seen: list[Any] = []

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        seen.append((data.login, data.password))
        return AuthResult(success=True)

    user = await make_user(quiet_database)
    url = "smtp://ada:p%40ss@localhost:{}"
    async with mail_server() as plain, mail_server(tls_context=context, authenticator=check) as encrypted:
        settings = quiet_settings.model_copy(update=plain.settings | {"email_url": url.format(plain.port)})
        async with sending(quiet_database, settings) as sender:
            await write_email(sender, user.email, user.id)
            await until_so(partial(_was_tried, quiet_database, user.email))
        await change_emails(quiet_database, user.email, due_at=user.created_at)
        settings = settings.model_copy(update={"email_url": url.format(encrypted.port)})
        async with sending(quiet_database, settings):
            await encrypted.next()
    assert (plain.messages, seen) == ([], [(b"ada", b"p@ss")])


async def test_emails_are_limited_by_recipient_and_by_address(
    mail_settings: Settings, mail_database: Database, own_mailbox: Mailbox
) -> None:
    limits = {"emails_per_recipient": 2, "emails_per_address": 6}
    async with serve_mail(mail_settings, mail_database, own_mailbox, **limits) as mailing:
        account = await mailing.sign_up()
        token = account["payload"]["accessToken"]
        for address in (account["email"], new_email()):
            for _ in range(2):
                assert (await mailing.ask("requestPasswordReset", {"email": address}))["errors"] == []
            if address == account["email"]:
                code, _, told = refusal(await mailing.ask("requestPasswordReset", {"email": address}))
                assert (code, told.partition(".")[0]) == ("RATE_LIMITED", "Too many e-mails were asked for")
        # Another kind has a window of its own.
        assert (await mailing.ask("requestEmailVerification", as_=token))["errors"] == []
        for name, given in (
            ("requestPasswordReset", {"email": new_email()}),
            ("changeEmail", {"email": new_email(), "password": PASSWORD}),
            ("requestEmailVerification", None),
        ):
            assert refusal(await mailing.ask(name, given, token))[0] == "RATE_LIMITED"


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


async def test_production_without_a_mail_server_says_so(mail_settings: Settings) -> None:
    told = "This server sends no e-mail: whoever runs it has to set EMAIL_URL."
    async with serve_with(mail_settings, **IN_PRODUCTION) as server, server.client() as http:
        client = GraphClient(http)
        account = {"email": new_email(), "password": PASSWORD, "name": "Ada"}
        token = (await client.mutate("signUp", account))["accessToken"]
        for name, given in (
            ("requestPasswordReset", {"email": account["email"]}),
            ("changeEmail", {"email": new_email(), "password": PASSWORD}),
            ("requestEmailVerification", None),
        ):
            assert refusal(await client.mutate(name, given, as_=token)) == ("FORBIDDEN", None, told)


async def test_page_of_a_link_uses_it_only_when_its_form_is_sent(mailing: Mailing) -> None:
    account = await mailing.sign_up()
    email, verify = account["email"], await mailing.mailbox.token()
    await mailing.ask("requestPasswordReset", {"email": email})
    reset = await mailing.mailbox.token(RESET)
    for path, token in (("/verify-email", verify), ("/reset-password", reset)):
        assert (await mailing.http.head(path, params={"token": token})).status_code == 200
        page = await mailing.http.get(path, params={"token": token})
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
        assert ("<script" in page.text, "form-action 'self'" in page.headers["content-security-policy"]) == (
            False,
            True,
        )
        assert f'name="token" value="{token}"' in page.text
        done = [(await mailing.http.post(path, data={"token": token, "password": "a new password"})) for _ in range(2)]
        assert [each.status_code for each in done] == [200, 422]
        assert "The link is not valid any more" in done[1].text
        hostile = await mailing.http.get(path, params={"token": '"><script>'})
        assert "<script" not in hostile.text
    signed_in = await mailing.ask("signIn", {"email": email, "password": "a new password"})
    assert signed_in["user"]["emailVerified"] is True


async def test_pages_are_left_to_the_app_where_it_has_them(
    mail_settings: Settings, mail_database: Database, own_mailbox: Mailbox
) -> None:
    app = {"app_url": "https://app.example.com/start/"}
    async with serve_mail(mail_settings, mail_database, own_mailbox, **app) as mailing:
        await mailing.sign_up()
        assert "https://app.example.com/start/verify-email?token=" in plain_text(await mailing.mailbox.next())
        assert (await mailing.http.get("/verify-email")).status_code == 404


async def test_sign_up_and_sign_in_tell_nobody_who_has_an_account_where_addresses_must_be_verified(
    strict: Mailing,
) -> None:
    account = {"email": new_email(), "password": PASSWORD, "name": "Ada"}
    answers: list[Any] = []
    for given in (account, account | {"password": "of somebody else"}):
        body = {"query": mutation("signUp"), "variables": {"input": given}}
        response = await strict.http.post("/graphql", json=body)
        answers.append((response.status_code, response.content))
        answers.append((await strict.http.post("/api/auth/register", json=given)).content)
    assert answers == answers[:2] * 2
    (payload,) = (await strict.client.query(mutation("signUp"), {"input": account | {"email": new_email()}})).values()
    assert (payload["user"], payload["accessToken"], payload["errors"]) == (None, None, [])
    link = await strict.mailbox.token(VERIFY, account["email"])
    credentials = {name: account[name] for name in ("email", "password")}
    refused = [
        await strict.ask("signIn", credentials | change)
        for change in ({}, {"password": "a guess"}, {"email": new_email()})
    ]
    assert [refusal(each) for each in refused] == [("UNAUTHENTICATED", None, WRONG)] * 3
    # Whoever has the right password gets another link.
    assert await strict.mailbox.token(VERIFY, account["email"]) != link
    assert (await strict.ask("verifyEmail", {"token": link}))["errors"] == []
    assert (await strict.ask("signIn", credentials))["user"]["emailVerified"] is True


async def test_two_sign_ups_with_one_address_at_once_are_answered_alike(strict: Mailing) -> None:
    email = new_email()
    accounts = await asyncio.gather(*(strict.sign_up(email) for _ in range(2)))
    assert accounts[0]["payload"] == accounts[1]["payload"]
    assert accounts[0]["payload"]["errors"] == []
    await until(lambda: [each["To"] for each in strict.mailbox.messages].count(email) == 2)


async def test_person_with_an_unverified_address_reads_and_may_not_write(
    strict: Mailing, mail_settings: Settings
) -> None:
    user = await sign_in(strict.database, mail_settings, await make_user(strict.database, is_admin=True))
    mutations = {each.name: each for each in operations() if each.kind == "mutation"}
    assert SCHEMA.mutation_type is not None
    for name, each in mutations.items():
        if name not in OPEN:
            payload = await mutate(strict.client, each, user)
            assert [(error["code"], error["message"]) for error in payload["errors"]] == [("FORBIDDEN", UNVERIFIED)]
    # Before signing out: what is refused is refused for another reason.
    for name in ("requestEmailVerification", "changeEmail", "deleteAccount", "signOut"):
        payload = await mutate(strict.client, mutations[name], user)
        assert UNVERIFIED not in str(payload), name


async def mutate(client: GraphClient, operation: Operation, user: SignedIn) -> Any:
    return (await client.query(operation.document, operation.least_variables, as_=user))[operation.name]


async def test_unverified_address_is_refused_by_all_apis_until_it_is_verified(
    strict: Mailing, mail_settings: Settings
) -> None:
    user = await sign_in(strict.database, mail_settings)
    rest = RestClient(strict.http, user)
    for path, methods in describe(strict.server.app)["paths"].items():
        for method, operation in methods.items():
            if operation.get("security") and method != "get" and path not in OPEN_ROUTES:
                problem = await rest.problem(method.upper(), re.sub(r"\{.*?\}", "x", path.removeprefix("/api")))
                assert (problem["status"], problem["detail"]) == (403, UNVERIFIED), (method, path)
    assert (await rest.ok("GET", "/tasks"))["items"] == []
    # Made before addresses had to be verified.
    made = await make_access_token(strict.database, user.caller)
    async with connected(strict.server.url, made.text, "auto") as client:
        refused = await client.call_tool("add_task", {"title": "Buy milk"})
        assert (refused.is_error, text_of(refused)) == (True, UNVERIFIED)
        assert (await client.call_tool("list_tasks", {})).structured_content == {"tasks": [], "total": 0}
    create = {"input": {"title": "Buy milk"}}
    async with signed_in_socket(strict.server, user.token) as socket:
        await socket.subscribe("{ viewer { id } }")
        assert (await socket.data())["viewer"] == {"id": user.user.id}
        await socket.receive()
        await socket.subscribe(mutation("createTask", "id"), create)
        assert (await socket.data())["createTask"]["errors"][0]["code"] == "FORBIDDEN"
        await socket.receive()
        link = LinkTokens(mail_settings.secret_key).issue(LinkPurpose.VERIFY_EMAIL, await verification(strict, user))
        assert (await strict.ask("verifyEmail", {"token": link}))["errors"] == []
        await strict.server.app.state.connections.check()
        await socket.subscribe(mutation("createTask", "id"), create)
        assert (await socket.data())["createTask"]["errors"] == []
    assert (await strict.client.mutate("createTask", {"title": "Buy milk"}, as_=user))["errors"] == []
    async with connected(strict.server.url, made.text, "auto") as client:
        assert not (await client.call_tool("add_task", {"title": "Buy milk"})).is_error


async def verification(mailing: Mailing, user: SignedIn) -> str:
    """Return the id of a message to a user who has no password, which none can be asked for."""
    written = mailing.server.runtime.emails.outbox
    await write_email(written, user.user.email, user.user.id)
    (row,) = await mailing.emails(user.user.email)
    return str(row.id)


async def test_sign_up_can_be_closed(mail_settings: Settings) -> None:
    email = new_email()
    account = {"email": email, "password": PASSWORD, "name": "Ada"}
    async with serve_with(mail_settings) as server, server.client() as http:
        assert (await GraphClient(http).mutate("signUp", account))["errors"] == []
    told = "Accounts are not made here; sign in with one that you have."
    async with serve_with(mail_settings, local_sign_up=False) as server, server.client() as http:
        client, other = GraphClient(http), account | {"email": new_email()}
        assert refusal(await client.mutate("signUp", other)) == ("FORBIDDEN", None, told)
        assert rest_refusal(await RestClient(http).problem("POST", "/auth/register", other))[:2] == (403, "FORBIDDEN")
        assert (await client.mutate("signIn", {"email": email, "password": PASSWORD}))["errors"] == []
