"""Sign-up, sign-in, sessions and passwords over GraphQL, and how soon another process refuses what ended."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from core.clock import utc_now
from core.ids import new_id
from core.settings import Settings
from tests.factories import NOBODYS_ID, SignedIn, sign_in
from tests.graph_client import GraphClient, refusal
from tests.resolvers.user_api import UserApi
from tests.servers import serve_with
from tests.waiting import PATIENCE_S, until_so

PASSWORD = "correct horse battery"
VIEWER = "{ viewer { id email name } }"


async def sign_up(client: GraphClient) -> tuple[dict[str, Any], dict[str, Any]]:
    account = {"email": f"{new_id()}@example.com", "password": PASSWORD, "name": "Ada"}
    payload = await client.mutate("signUp", account)
    assert payload["errors"] == []
    return account, payload


async def refused(client: GraphClient, *tokens: str) -> list[bool]:
    """Return which tokens are refused with 401, even where an anonymous caller would be served."""
    answers = [await client.execute(VIEWER, as_=token) for token in tokens]
    for answer in answers:
        assert (answer.status, answer.codes) in ((200, []), (401, ["UNAUTHENTICATED"]))
    return [answer.status == 401 for answer in answers]


async def test_sign_up_and_sign_in_return_tokens_of_the_user(client: GraphClient) -> None:
    account, signed_up = await sign_up(client)
    left = datetime.fromisoformat(signed_up["expiresAt"]) - utc_now()
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    signed_in = await client.mutate("signIn", {"email": account["email"].upper(), "password": PASSWORD})
    assert (signed_in["errors"], signed_in["user"]) == ([], signed_up["user"])
    viewer = {"id": signed_up["user"]["id"], "email": account["email"], "name": "Ada"}
    for payload in (signed_up, signed_in):
        assert await client.query(VIEWER, as_=payload["accessToken"]) == {"viewer": viewer}
    taken = "There is already an account with this email address; sign in instead."
    assert refusal(await client.mutate("signUp", account)) == ("CONFLICT", "input.email", taken)
    for name, value in (("email", "ada"), ("password", "short"), ("name", " ")):
        payload = await client.mutate("signUp", account | {name: value})
        assert refusal(payload)[:2] == ("BAD_USER_INPUT", f"input.{name}")


async def test_refresh_token_used_twice_ends_the_session(client: GraphClient) -> None:
    _, first = await sign_up(client)
    second = await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]})
    assert (second["errors"], second["user"]) == ([], first["user"])
    assert await refused(client, second["accessToken"]) == [False]
    reused = await client.mutate("refreshSession", {"refreshToken": first["refreshToken"]})
    assert refusal(reused)[:2] == ("UNAUTHENTICATED", "input.refreshToken")
    assert await refused(client, first["accessToken"], second["accessToken"]) == [True] * 2
    for token in (second["refreshToken"], "", "x", "\0", "é", "x" * 100_000, f"{NOBODYS_ID}.0.{'x' * 43}"):
        assert await client.mutate("refreshSession", {"refreshToken": token}) == reused


async def test_sign_out_ends_one_session(api: UserApi, settings: Settings) -> None:
    other = await sign_in(api.database, settings, api.user.user)
    assert await api.client.mutate("signOut", as_=api.user) == {"errors": []}
    assert await refused(api.client, api.user.token, other.token) == [True, False]


async def test_password_change_and_account_deletion_need_the_password(client: GraphClient) -> None:
    account, first = await sign_up(client)
    credentials = {"email": account["email"], "password": PASSWORD}
    token = (await client.mutate("signIn", credentials))["accessToken"]
    given = {"currentPassword": PASSWORD, "newPassword": "another password"}
    wrong = await client.mutate("changePassword", given | {"currentPassword": "not it"}, as_=token)
    assert refusal(wrong) == ("BAD_USER_INPUT", "input.currentPassword", "The current password is wrong.")
    assert await refused(client, first["accessToken"]) == [False]
    payload = await client.mutate("changePassword", given, as_=token)
    assert (payload["errors"], payload["user"]["id"]) == ([], first["user"]["id"])
    assert await refused(client, first["accessToken"], token) == [True, False]
    old = await client.mutate("signIn", credentials)
    assert refusal(old) == ("UNAUTHENTICATED", None, "The email address or the password is wrong.")
    await client.mutate("createTask", {"title": "x"}, as_=token)
    wrong = await client.mutate("deleteAccount", {"password": PASSWORD}, as_=token)
    assert refusal(wrong) == ("BAD_USER_INPUT", "input.password", "The current password is wrong.")
    deleted = await client.mutate("deleteAccount", {"password": "another password"}, as_=token)
    assert deleted == {"deletedIds": [first["user"]["id"]], "errors": []}
    assert await refused(client, token) == [True]
    again = await client.mutate("signUp", account)
    listed = await client.query("{ tasks { totalCount } }", as_=again["accessToken"])
    assert listed == {"tasks": {"totalCount": 0}}


async def test_wrong_passwords_are_rate_limited_with_the_time_of_retry(client: GraphClient, settings: Settings) -> None:
    account, _ = await sign_up(client)
    guess = {"email": account["email"], "password": "a guess"}
    guesses = await asyncio.gather(*(client.mutate("signIn", guess) for _ in range(settings.sign_in_attempts + 2)))
    codes = [refusal(payload)[0] for payload in guesses]
    assert sorted(codes) == ["RATE_LIMITED"] * 2 + ["UNAUTHENTICATED"] * settings.sign_in_attempts
    limited = await client.mutate("signIn", guess | {"password": PASSWORD})
    (error,) = limited["errors"]
    retry_at = datetime.fromisoformat(error["retryAt"])
    assert (error["code"], limited["accessToken"]) == ("RATE_LIMITED", None)
    assert datetime.now(UTC) < retry_at <= datetime.now(UTC) + timedelta(minutes=5)
    assert retry_at.isoformat(timespec="seconds") in error["message"]


async def test_ended_session_is_refused_at_once_here_and_soon_in_another_process(
    api: UserApi, settings: Settings, admin: SignedIn
) -> None:
    client, as_admin = api.client, api.as_(admin)
    deactivated, deleted, left = [await sign_in(api.database, settings) for _ in range(3)]
    tokens = [each.token for each in (deactivated, deleted, left)]
    async with (
        serve_with(settings) as second,
        httpx2.AsyncClient(base_url=second.url, timeout=PATIENCE_S) as http,
    ):
        elsewhere = GraphClient(http)
        for each in (client, elsewhere):
            assert await refused(each, *tokens) == [False] * 3
        changed = await as_admin.ok("setUserActive", id=deactivated.user.id, isActive=False)
        assert changed["user"]["isActive"] is False
        await as_admin.ok("deleteUser", id=deleted.user.id)
        await client.mutate("signOut", as_=left)
        assert await refused(client, *tokens) == [True] * 3
        creating = 'mutation { createTask(input: {title: "x"}) { errors { code } } }'
        written = await elsewhere.execute(creating, as_=tokens[0])
        assert written.data is None or written.data["createTask"]["errors"] == [{"code": "UNAUTHENTICATED"}]

        async def all_refused() -> bool:
            return all(await refused(elsewhere, *tokens))

        await until_so(all_refused)
    await as_admin.ok("setUserActive", id=deactivated.user.id, isActive=True)
    assert await refused(client, tokens[0]) == [True]
    assert await refused(client, (await sign_in(api.database, settings, deactivated.user)).token) == [False]
