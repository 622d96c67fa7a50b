"""Sessions in a browser: two tabs at once, the cookie, tokens that are over, devices, and a new SECRET_KEY."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import pytest
from jose import jws

from core.database import Database
from core.errors import UnauthenticatedError
from core.settings import Settings
from services.accounts.audit import NO_CLIENT
from tests.factories import SignedIn, sign_in
from tests.graph_client import GraphClient, mutation
from tests.hardening.test_audit import kinds_of
from tests.servers import IN_PRODUCTION, RunningServer, serve_with
from tests.services.account_services import PASSWORD, AccountServices, new_email, open_account_services
from tests.services.rows import change_sessions, end_grace
from tests.socket_client import signed_in_socket
from tests.waiting import until_so

ROUNDS: Final = 200
# They share the rounds, so that SQLite's waits for its lock overlap.
USERS: Final = 4
VIEWER: Final = "{ viewer { id } }"


async def refresh(http: httpx2.AsyncClient, token: str) -> dict[str, Any] | None:
    """Return the tokens that a refresh token gives; None where it is refused."""
    answer = await http.post("/api/auth/refresh", json={"refresh_token": token})
    assert answer.status_code in (200, 401)
    tokens = {name: answer.json().get(name) for name in ("access_token", "refresh_token", "expires_at")}
    return tokens if answer.status_code == 200 else None


async def is_served(http: httpx2.AsyncClient, token: str) -> bool:
    return (await http.get("/api/me", headers={"Authorization": f"Bearer {token}"})).status_code == 200


async def test_two_tabs_that_refresh_at_once_keep_their_session(
    settings: Settings, database: Database, http: httpx2.AsyncClient
) -> None:
    users = [await sign_in(database, settings) for _ in range(USERS)]
    async with serve_with(settings) as other, other.client() as there:

        async def use_two_tabs(user: SignedIn) -> None:
            token, seen = user.refresh_token, set[str]()
            for _ in range(ROUNDS // USERS):
                first, second = await asyncio.gather(refresh(http, token), refresh(there, token))
                assert first is not None
                assert first == second
                seen |= {token := first["refresh_token"], first["access_token"]}
            assert len(seen) == 2 * ROUNDS // USERS

        await asyncio.gather(*map(use_two_tabs, users))


async def test_tab_that_was_left_behind_gets_the_present_tokens_until_the_grace_is_over(
    settings: Settings, database: Database, http: httpx2.AsyncClient, user: SignedIn
) -> None:
    async with serve_with(settings) as other, other.client() as there:
        second = await refresh(http, user.refresh_token)
        assert second is not None
        third = await refresh(http, second["refresh_token"])
        assert third is not None
        for spent in (user.refresh_token, second["refresh_token"]):
            assert await refresh(there, spent) == third
        assert await is_served(http, third["access_token"])
        await end_grace(database, user.user.id)
        assert [await refresh(http, each["refresh_token"]) for each in (second, third)] == [None, None]
        assert not await is_served(http, third["access_token"])
        assert not await is_served(there, third["access_token"])
    assert await kinds_of(database, user.user.id) == ["SESSION_ENDED"]


async def _is_refused(http: httpx2.AsyncClient, token: str) -> bool:
    return not await is_served(http, token)


@pytest.mark.parametrize("case", ["no grace", "rotated by the release before", "left behind long ago"])
async def test_spent_token_that_nothing_explains_ends_the_session(services: AccountServices, case: str) -> None:
    first = await services.sign_up()
    settings = services.settings.model_copy(update={"refresh_grace_s": 0 if case == "no grace" else 30})
    async with open_account_services(services.database, settings) as opened:
        second = await opened.accounts.refresh(first.refresh_token, NO_CLIENT)
        if case == "rotated by the release before":
            await change_sessions(opened.database, first.user.id, generation=2, token_hash="0" * 64)
        elif case == "left behind long ago":
            await end_grace(opened.database, first.user.id)
            await opened.accounts.refresh(second.refresh_token, NO_CLIENT)
        with pytest.raises(UnauthenticatedError):
            await opened.accounts.refresh(first.refresh_token, NO_CLIENT)
        (row,) = await opened.sessions(first.user.id)
    assert row.revoked_at is not None
    # Only what the grace needs is kept.
    assert len(row.rotations) == 1


@dataclass(frozen=True, slots=True)
class Door:
    """One of the two ways to sign in."""

    http: httpx2.AsyncClient
    name: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return "/graphql" if self.name == "graphql" else "/api/auth/refresh"

    async def sign_up(self, **headers: str) -> httpx2.Response:
        given = {"email": new_email(), "password": PASSWORD, "name": "Ada"}
        return await self._send("signUp", "/api/auth/register", given, headers)

    async def refresh(self, token: str | None = None, **headers: str) -> httpx2.Response:
        if self.name == "graphql":
            return await self._send("refreshSession", "", {"refreshToken": token or ""}, headers)
        return await self._send("", self.path, token and {"refresh_token": token}, headers)

    async def sign_out(self, access_token: str) -> httpx2.Response:
        return await self._send("signOut", "/api/auth/logout", None, {"Authorization": f"Bearer {access_token}"})

    async def _send(self, name: str, path: str, given: Any, headers: dict[str, str]) -> httpx2.Response:
        sent = self.headers | {key.replace("_", "-"): value for key, value in headers.items()}
        # No jar: a test says what the browser sends.
        self.http.cookies.clear()
        if self.name == "graphql":
            body = {"query": mutation(name), "variables": {"input": given}}
            return await self.http.post("/graphql", json=body, headers=sent)
        return await self.http.post(path, json=given, headers=sent)

    def tokens(self, answer: httpx2.Response) -> tuple[str | None, str | None]:
        """Return the access token and the refresh token in the body of an answer."""
        body = answer.json()
        if self.name == "graphql":
            (payload,) = body["data"].values()
            return payload["accessToken"], payload["refreshToken"]
        return body.get("access_token"), body.get("refresh_token")


@pytest.fixture(params=["graphql", "rest"])
async def door(http: httpx2.AsyncClient, request: pytest.FixtureRequest) -> Door:
    return Door(http, request.param, {"X-Auth-Mode": "cookie"})


def cookie_of(answer: httpx2.Response, door: Door, more: str = "; Secure", prefix: str = "") -> str | None:
    """Return the value of the cookie that an answer sets, with the attributes that it must have."""
    if (header := answer.headers.get("set-cookie")) is None:
        return None
    form = rf"tasktalk_refresh=(.*); Max-Age=(\d+); Path={prefix}{door.path}; HttpOnly{more}; SameSite=Lax"
    found = re.fullmatch(form, header)
    assert found, header
    assert (found[2] == "0") is (found[1] == "")
    assert not found[1] or abs(int(found[2]) - 30 * 24 * 3600) < 60
    return found[1]


async def test_cookie_carries_the_refresh_token_from_sign_in_to_sign_out(door: Door) -> None:
    signed_up = await door.sign_up()
    token = cookie_of(signed_up, door)
    assert token
    assert door.tokens(signed_up)[1] is None
    refreshed = await door.refresh(Cookie=f"other=1; tasktalk_refresh={token}; theme=dark")
    fresh, (access_token, in_body) = cookie_of(refreshed, door), door.tokens(refreshed)
    assert (bool(fresh and access_token), fresh == token, in_body) == (True, False, None)
    # Without the header the cookie is not there, and what is given in the body is answered in the body.
    plain = Door(door.http, door.name, {})
    assert (await plain.refresh(Cookie=f"tasktalk_refresh={fresh}")).headers.get("set-cookie") is None
    answer = await plain.refresh(fresh)
    in_body = plain.tokens(answer)[1]
    assert (in_body not in (None, fresh), answer.headers.get("set-cookie")) == (True, None)
    assert access_token is not None
    assert cookie_of(await door.sign_out(access_token), door) == ""
    # So does a refusal, of what the cookie holds and of no cookie at all.
    for cookie in ({"Cookie": f"tasktalk_refresh={in_body}"}, {}):
        refused = await door.refresh(**cookie)
        assert (cookie_of(refused, door), "UNAUTHENTICATED" in refused.text) == ("", True)


ORIGINS: Final = ("https://app.example.com", "http://localhost:5173")


async def test_cookie_is_for_named_origins_alone(settings: Settings, door: Door) -> None:
    cookie, app, local = f"tasktalk_refresh={cookie_of(await door.sign_up(), door)}", *ORIGINS
    cases: dict[tuple[str, ...], list[tuple[dict[str, str], int]]] = {
        (): [
            ({"Origin": "https://evil.example.com"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec_Fetch_Site": "cross-site"}, 403),
            ({"Origin": local, "Sec_Fetch_Site": "same-site"}, 200),
            ({"X_Auth_Mode": "other"}, 400),
        ],
        ("*",): [({"Origin": app}, 403)],
        (app,): [({"Origin": app}, 200), ({"Origin": local}, 403)],
    }
    for allowed, requests in cases.items():
        async with serve_with(settings, allowed_origins=allowed) as server, server.client() as http:
            for headers, status in requests:
                answer = await Door(http, door.name, door.headers).refresh(Cookie=cookie, **headers)
                assert (answer.status_code, "set-cookie" in answer.headers) == (status, status == 200), headers
                is_named = headers.get("Origin") in ((app,) if allowed else (local,))
                assert ("access-control-allow-credentials" in answer.headers) is (is_named and allowed != ("*",))


async def test_cookie_is_secure_but_for_a_development_server_in_the_network(settings: Settings, door: Door) -> None:
    lan, page = "192.168.1.7:8000", "https://app.example.com"
    for overrides, requests in (
        ({}, (({"Host": lan}, ""), ({"Host": "localhost"}, "; Secure"))),
        (IN_PRODUCTION | {"public_url": f"{page}/api"}, (({"Host": lan, "Origin": page}, "; Secure"),)),
    ):
        async with serve_with(settings, **overrides) as server, server.client() as http:
            for headers, more in requests:
                answer = await Door(http, door.name, door.headers).sign_up(**headers)
                assert cookie_of(answer, door, more, prefix="/api" if overrides else "")


async def test_what_cannot_set_a_cookie_says_so_or_answers_as_without(server: RunningServer, user: SignedIn) -> None:
    async with server.client() as http:
        headers = {"X-Auth-Mode": "cookie", "Accept": "text/event-stream"}
        query, variables = mutation("refreshSession"), {"input": {"refreshToken": user.refresh_token}}
        refused = await http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
    assert (refused.status_code, "set-cookie" in refused.headers) == (400, False)
    async with signed_in_socket(server, None) as socket:
        await socket.subscribe(query, variables)
        answer = (await socket.receive())["payload"]["data"]["refreshSession"]
    assert (answer["errors"], bool(answer["refreshToken"])) == ([], True)


async def test_token_that_is_over_does_not_keep_from_signing_in(
    door: Door, client: GraphClient, database: Database, settings: Settings
) -> None:
    over = await sign_in(database, settings)
    await client.mutate("signOut", as_=over)
    for credentials in (f"Bearer {over.token}", "Bearer nonsense", "nonsense"):
        plain = Door(door.http, door.name, {"Authorization": credentials})
        access_token, refresh_token = plain.tokens(await plain.sign_up())
        assert access_token is not None
        assert plain.tokens(await plain.refresh(refresh_token))[0] is not None
        # All else is refused as ever.
        assert (await plain.sign_out(credentials)).status_code == 401
        assert not await is_served(door.http, credentials)
    both = "mutation ($a: SignInInput!) { signIn(input: $a) { accessToken } signOut { errors { code } } }"
    answer = await client.execute(both, {"a": {"email": "nobody@example.com", "password": "x"}}, as_=over)
    assert (answer.status, answer.codes) == (200, ["UNAUTHENTICATED"])
    assert answer.errors[0]["message"] == "The session is over; sign in again."


SESSIONS: Final = "sessions { id userAgent address current createdAt lastUsedAt }"


async def test_person_sees_and_ends_their_sessions_and_nobody_elses(
    settings: Settings, server: RunningServer, client: GraphClient, admin: SignedIn
) -> None:
    given = {"email": new_email(), "password": PASSWORD}
    async with httpx2.AsyncClient(base_url=server.url, headers={"user-agent": "Phone " + "x" * 400}) as phone:
        there = await GraphClient(phone).mutate("signUp", given | {"name": "Ada"})
        here = await client.mutate("signIn", given)
        user_id, token = here["user"]["id"], here["accessToken"]
        listed = (await client.query(f"{{ viewer {{ {SESSIONS} }} }}", as_=token))["viewer"]["sessions"]
        assert [(each["current"], each["address"]) for each in listed] == [(True, "127.0.0.1"), (False, "127.0.0.1")]
        assert listed[1]["userAgent"] == ("Phone " + "x" * 400)[:300]
        assert all(each["createdAt"] <= each["lastUsedAt"] for each in listed)
        await GraphClient(phone).mutate("refreshSession", {"refreshToken": there["refreshToken"]})
    latest, *_ = (await client.query(f"{{ viewer {{ {SESSIONS} }} }}", as_=token))["viewer"]["sessions"]
    assert (latest["id"], latest["lastUsedAt"] > listed[1]["lastUsedAt"]) == (listed[1]["id"], True)
    fields = "__typename id ... on Session { userAgent } ... on User { sessions { id } }"
    node = f"query ($id: ID!) {{ node(id: $id) {{ {fields} }} }}"
    shown = {"__typename": "Session", "id": latest["id"], "userAgent": latest["userAgent"]}
    assert await client.query(node, {"id": latest["id"]}, as_=token) == {"node": shown}
    for other in (admin, await sign_in(server.runtime.database, settings)):
        assert await client.query(node, {"id": latest["id"]}, as_=other) == {"node": None}
        refused = await client.mutate("revokeSession", {"id": latest["id"]}, as_=other)
        assert [error["code"] for error in refused["errors"]] == ["NOT_FOUND"]
    seen = await client.query(node, {"id": user_id}, as_=admin)
    assert seen["node"]["sessions"] == []
    async with AsyncExitStack() as stack:
        other_server = await stack.enter_async_context(serve_with(settings))
        elsewhere = await stack.enter_async_context(other_server.client())
        # On SQLite other processes look for themselves, every four seconds.
        assert server.runtime.database.is_sqlite or await is_served(elsewhere, there["accessToken"])
        revoked = await client.mutate("revokeSession", {"id": latest["id"]}, as_=token)
        assert revoked == {"deletedIds": [latest["id"]], "errors": []}
        await until_so(lambda: _is_refused(elsewhere, there["accessToken"]))
    assert (await kinds_of(server.runtime.database, user_id))[-1] == "SIGNED_OUT"
    assert await client.query(node, {"id": latest["id"]}, as_=token) == {"node": None}


async def test_sessions_over_rest(
    http: httpx2.AsyncClient, database: Database, settings: Settings, user: SignedIn
) -> None:
    other = await sign_in(database, settings, user.user)
    listed = (await http.get("/api/sessions", headers=user.headers)).json()["items"]
    assert {each["id"]: each["current"] for each in listed} == {
        user.caller.session_id: True,
        other.caller.session_id: False,
    }
    assert all(each["last_used_at"] == each["created_at"] for each in listed)
    for status in (200, 404):
        answer = await http.delete(f"/api/sessions/{other.caller.session_id}", headers=user.headers)
        assert answer.status_code == status
    assert not await is_served(http, other.token)


NEW_KEY: Final = "a key that signs the tokens of tests from now on"


@pytest.fixture
async def renewed(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a client of a server with a new key, which knows the one before."""
    overrides = {"secret_key": NEW_KEY, "secret_key_previous": (settings.secret_key,)}
    async with serve_with(settings, **overrides) as server, server.client() as client:
        yield client


async def test_previous_key_verifies_and_signs_no_more(
    http: httpx2.AsyncClient, renewed: httpx2.AsyncClient, settings: Settings, user: SignedIn
) -> None:
    before = await refresh(http, user.refresh_token)
    assert before is not None
    assert await is_served(renewed, before["access_token"])
    # A tab that asks again meanwhile keeps the session, too.
    again = await refresh(renewed, user.refresh_token)
    assert again is not None
    assert again["refresh_token"] == before["refresh_token"]
    after = await refresh(renewed, before["refresh_token"])
    assert after is not None
    keys = [jws.get_unverified_header(each["access_token"])["kid"] for each in (before, again, after)]
    assert (keys[1] == keys[2], keys[0] == keys[1]) == (True, False)
    async with serve_with(settings, secret_key=NEW_KEY) as server, server.client() as last:
        assert [await is_served(last, each["access_token"]) for each in (before, after)] == [False, True]
        assert await refresh(last, user.refresh_token) is None
        assert await refresh(last, after["refresh_token"]) is not None
