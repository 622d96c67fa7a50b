"""Servers that require verified addresses, and those that make no accounts."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from core.tokens import LinkPurpose, LinkTokens
from server.rest.api import describe
from tests.access_tokens import make_access_token
from tests.factories import SignedIn, make_user, sign_in
from tests.graph_client import GraphClient, mutation, refusal
from tests.mail import (
    Mailbox,
    Mailing,
    serve_mail,
    write_email,
)
from tests.schema_walk import Operation, operations
from tests.server.mcp.client import connected, text_of
from tests.server.rest.client import RestClient
from tests.server.rest.client import refusal as rest_refusal
from tests.servers import serve_with
from tests.services.account_services import PASSWORD, new_email
from tests.socket_client import signed_in_socket
from tests.waiting import until

VERIFY: Final = "Verify your email address"
UNVERIFIED: Final = "Verify your email address first: ask for a link by requestEmailVerification."
WRONG: Final = "The email address or the password is wrong, or the address is not verified yet."
# What somebody may do whose address is not verified.
OPEN: Final = {
    *("signUp", "signIn", "refreshSession", "signOut", "revokeSession", "deleteAccount"),
    *("requestEmailVerification", "verifyEmail", "requestPasswordReset", "resetPassword", "changeEmail"),
}
OPEN_ROUTES: Final = {
    *("logout", "requestEmailVerification", "changeEmail", "revokeSession", "deleteMe"),
}


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


async def test_right_password_that_is_answered_as_a_wrong_one_is_counted_as_one(strict: Mailing) -> None:
    account = await strict.sign_up()
    for address in (account["email"], new_email()):
        credentials = {"email": address, "password": PASSWORD}
        answers = [refusal(await strict.ask("signIn", credentials))[0] for _ in range(11)]
        assert answers == ["UNAUTHENTICATED"] * 10 + ["RATE_LIMITED"]


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
            if operation.get("security") and method != "get" and operation["operationId"] not in OPEN_ROUTES:
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
