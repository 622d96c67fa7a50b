"""Signing up, in and out over HTTP, and how soon what ended is refused."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core.clock import utc_now
from core.database import Database
from core.ids import new_id
from core.settings import Settings
from server.app import create_app
from tests.factories import NOBODYS_ID, SignedIn, sign_in
from tests.graph_client import GraphClient, refusal
from tests.servers import serve
from tests.waiting import PATIENCE_S

PASSWORD = "correct horse battery"
WRONG = "The email address or the password is wrong."
VIEWER = "{ viewer { id email name } }"


def new_account() -> dict[str, Any]:
    return {"email": f"{new_id()}@example.com", "password": PASSWORD, "name": "Ada"}


async def sign_up(client: GraphClient) -> tuple[dict[str, Any], dict[str, Any]]:
    account = new_account()
    payload = await client.mutate("signUp", account)
    assert payload["errors"] == []
    return account, payload


async def is_refused(client: GraphClient, token: str) -> bool:
    """Tell whether a token is refused with 401, even where an anonymous caller would be heard."""
    answer = await client.execute(VIEWER, as_=token)
    assert (answer.status, answer.codes) in ((200, []), (401, ["UNAUTHENTICATED"]))
    return answer.status == 401


async def test_signing_up_and_in(client: GraphClient) -> None:
    given = new_account()
    shouted = given | {"email": f" {given['email'].upper()} ", "name": " Ada "}
    signed_up = await client.mutate("signUp", shouted)
    assert signed_up["errors"] == []
    assert (signed_up["user"]["email"], signed_up["user"]["name"]) == (given["email"], "Ada")
    left = datetime.fromisoformat(signed_up["expiresAt"]) - utc_now()
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    credentials = {"email": shouted["email"], "password": PASSWORD}
    signed_in = await client.mutate("signIn", credentials)
    assert signed_in["errors"] == []
    assert signed_in["user"] == signed_up["user"]
    viewer = {name: signed_up["user"][name] for name in ("id", "email", "name")}
    for payload in (signed_up, signed_in):
        assert await client.query(VIEWER, as_=payload["accessToken"]) == {"viewer": viewer}
    taken = await client.mutate("signUp", shouted)
    message = "There is already an account with this email address; sign in instead."
    assert refusal(taken) == ("CONFLICT", "input.email", message)


@pytest.mark.parametrize(
    ("given", "path"),
    [({"email": "ada"}, "email"), ({"password": "short"}, "password"), ({"name": " "}, "name")],
)
async def test_signing_up_with_what_cannot_be(client: GraphClient, given: dict[str, Any], path: str) -> None:
    code, error_path, _ = refusal(await client.mutate("signUp", new_account() | given))
    assert (code, error_path) == ("BAD_USER_INPUT", f"input.{path}")


async def test_a_wrong_address_is_answered_as_a_wrong_password(client: GraphClient) -> None:
    account, _ = await sign_up(client)
    payloads = [
        await client.mutate("signIn", {"email": email, "password": "not the password"})
        for email in (account["email"], f"{new_id()}@example.com", "no address", "", "\0")
    ]
    assert refusal(payloads[0]) == ("UNAUTHENTICATED", None, WRONG)
    assert all(payload == payloads[0] for payload in payloads)


async def test_refresh_tokens_rotate(client: GraphClient) -> None:
    _, first = await sign_up(client)
    second = await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]})
    assert second["errors"] == []
    assert second["user"] == first["user"]
    assert second["refreshToken"] != first["refreshToken"]
    third = await client.mutate("refreshSession", {"refreshToken": second["refreshToken"]})
    assert not await is_refused(client, third["accessToken"])
    reused = await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]})
    code, path, _ = refusal(reused)
    assert (code, path) == ("UNAUTHENTICATED", "input.refreshToken")
    assert [await is_refused(client, each["accessToken"]) for each in (first, second, third)] == [True] * 3
    assert await client.mutate("refreshSession", {"refreshToken": third["refreshToken"]}) == reused


@pytest.mark.parametrize("token", ["", "x", "\0", "é", "." * 5, "x" * 100_000, f"{NOBODYS_ID}.0.{'x' * 43}"])
async def test_a_refresh_token_that_is_none(client: GraphClient, token: str) -> None:
    code, path, _ = refusal(await client.mutate("refreshSession", {"refreshToken": token}))
    assert (code, path) == ("UNAUTHENTICATED", "input.refreshToken")


async def test_a_refresh_token_sent_twice_at_once(client: GraphClient) -> None:
    _, signed_up = await sign_up(client)
    given = {"refreshToken": signed_up["refreshToken"]}
    payloads = await asyncio.gather(*(client.mutate("refreshSession", given) for _ in range(5)))
    assert [bool(payload["errors"]) for payload in payloads].count(False) == 1
    (winner,) = [payload for payload in payloads if not payload["errors"]]
    assert await is_refused(client, winner["accessToken"])


async def test_signing_out(client: GraphClient, database: Database, settings: Settings, user: SignedIn) -> None:
    other = await sign_in(database, settings, user.user)
    assert await client.mutate("signOut", as_=user) == {"errors": []}
    assert await is_refused(client, user.token)
    assert not await is_refused(client, other.token)


async def test_changing_the_password(client: GraphClient) -> None:
    account, first = await sign_up(client)
    second = await client.mutate("signIn", {"email": account["email"], "password": PASSWORD})
    token = second["accessToken"]
    wrong = await client.mutate(
        "changePassword", {"currentPassword": "not it", "newPassword": "another password"}, as_=token
    )
    assert refusal(wrong) == ("BAD_USER_INPUT", "input.currentPassword", "The current password is wrong.")
    assert not await is_refused(client, first["accessToken"])
    given = {"currentPassword": PASSWORD, "newPassword": "another password"}
    payload = await client.mutate("changePassword", given, as_=token)
    assert (payload["errors"], payload["user"]["id"]) == ([], first["user"]["id"])
    assert [await is_refused(client, each) for each in (first["accessToken"], token)] == [True, False]
    refreshed = await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]})
    assert refusal(refreshed)[0] == "UNAUTHENTICATED"
    old = await client.mutate("signIn", {"email": account["email"], "password": PASSWORD})
    assert refusal(old) == ("UNAUTHENTICATED", None, WRONG)
    new = await client.mutate("signIn", {"email": account["email"], "password": "another password"})
    assert new["errors"] == []


async def test_leaving_for_good(client: GraphClient) -> None:
    account, signed_up = await sign_up(client)
    token = signed_up["accessToken"]
    await client.mutate("createTask", {"title": "x"}, as_=token)
    wrong = await client.mutate("deleteAccount", {"password": "not it"}, as_=token)
    assert refusal(wrong) == ("BAD_USER_INPUT", "input.password", "The current password is wrong.")
    payload = await client.mutate("deleteAccount", {"password": PASSWORD}, as_=token)
    assert payload == {"deletedIds": [signed_up["user"]["id"]], "errors": []}
    assert await is_refused(client, token)
    gone = await client.mutate("signIn", {"email": account["email"], "password": PASSWORD})
    assert refusal(gone) == ("UNAUTHENTICATED", None, WRONG)
    again = await client.mutate("signUp", account)
    assert again["errors"] == []
    listed = await client.query("{ tasks { totalCount } }", as_=again["accessToken"])
    assert listed == {"tasks": {"totalCount": 0}}


async def test_too_many_wrong_passwords(client: GraphClient, settings: Settings) -> None:
    account, _ = await sign_up(client)
    guess = {"email": account["email"], "password": "a guess"}
    guesses = await asyncio.gather(*(client.mutate("signIn", guess) for _ in range(settings.sign_in_attempts + 2)))
    codes = [refusal(payload)[0] for payload in guesses]
    assert sorted(codes) == ["RATE_LIMITED"] * 2 + ["UNAUTHENTICATED"] * settings.sign_in_attempts
    refused = await client.mutate("signIn", guess | {"password": PASSWORD})
    (error,) = refused["errors"]
    retry_at = datetime.fromisoformat(error["retryAt"])
    assert (error["code"], refused["accessToken"]) == ("RATE_LIMITED", None)
    assert datetime.now(UTC) < retry_at <= datetime.now(UTC) + timedelta(minutes=5)
    assert retry_at.isoformat(timespec="seconds") in error["message"]


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[GraphClient]:
    """Give a client of a second server on the same database."""
    async with (
        serve(create_app(settings)) as second,
        httpx.AsyncClient(base_url=second.url, timeout=PATIENCE_S) as http,
    ):
        yield GraphClient(http)


async def test_what_ended_is_refused_at_once_here_and_soon_elsewhere(
    client: GraphClient, elsewhere: GraphClient, database: Database, settings: Settings, admin: SignedIn
) -> None:
    deactivated, deleted, left = [await sign_in(database, settings) for _ in range(3)]
    tokens = [each.token for each in (deactivated, deleted, left)]
    for door in (client, elsewhere):
        assert [await is_refused(door, token) for token in tokens] == [False] * 3
    changed = await client.mutate("setUserActive", {"id": deactivated.user.id, "isActive": False}, as_=admin)
    assert (changed["errors"], changed["user"]["isActive"]) == ([], False)
    await client.mutate("deleteUser", {"id": deleted.user.id}, as_=admin)
    await client.mutate("signOut", as_=left)
    assert [await is_refused(client, token) for token in tokens] == [True] * 3
    written = await elsewhere.execute('mutation { createTask(input: {title: "x"}) { errors { code } } }', as_=tokens[0])
    assert written.data is None or written.data["createTask"]["errors"] == [{"code": "UNAUTHENTICATED"}]
    async with asyncio.timeout(PATIENCE_S):
        while not all([await is_refused(elsewhere, token) for token in tokens]):  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.05)
    await client.mutate("setUserActive", {"id": deactivated.user.id, "isActive": True}, as_=admin)
    assert await is_refused(client, tokens[0])
    assert not await is_refused(client, (await sign_in(database, settings, deactivated.user)).token)
