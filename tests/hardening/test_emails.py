"""Links in e-mails: used once, for what they were sent for, telling nobody who has an account."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Final

import pytest

from core.database import Database
from core.settings import Settings
from server.graphql.sockets import CloseCode
from services.accounts.audit import Client
from tests.access_tokens import access_token_rows, make_access_token
from tests.clock import MovableClock
from tests.databases import counted
from tests.factories import make_user
from tests.graph_client import GraphClient, mutation, refusal
from tests.mail import (
    Mailbox,
    Mailing,
    plain_text,
    serve_mail,
    token_of,
)
from tests.server.rest.client import RestClient
from tests.servers import IN_PRODUCTION, serve_with
from tests.services.account_services import HERE, PASSWORD, new_email
from tests.services.rows import read_user
from tests.socket_client import signed_in_socket
from tests.waiting import until_so

VERIFY, CHANGE, RESET, EXISTS, CHANGED = (
    "Verify your email address",
    "Verify your new email address",
    "Set a new password",
    "You already have an account",
    "Your email address was changed",
)
INVALID: Final = ("NOT_FOUND", "input.token", "The link is not valid any more; ask for another one.")


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
        assert sorted(each.status_code for each in answers) == [204, 404]
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
    # That an address is taken is told to nobody but its owner, not by what becomes of an earlier link either.
    given = {"email": new_email(), "password": PASSWORD}
    assert await mailing.ask("changeEmail", given, as_=token) == {"errors": []}
    earlier = await mailing.mailbox.token(CHANGE)
    for address in (other["email"], new):
        given = {"email": address, "password": PASSWORD}
        assert await mailing.ask("changeEmail", given, as_=token) == {"errors": []}
        assert refusal(await mailing.ask("verifyEmail", {"token": earlier})) == INVALID
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


async def test_emails_are_limited_by_recipient_and_by_address(
    mail_settings: Settings, mail_database: Database, own_mailbox: Mailbox
) -> None:
    limits = {"emails_per_recipient": 2, "emails_per_address": 7}
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
