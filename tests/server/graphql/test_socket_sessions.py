"""The life of tokens and sessions while sockets and event streams are open."""

import asyncio
from datetime import timedelta
from typing import Final

import pytest

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from core.tokens import AccessTokens
from server.http import connections
from services.accounts import sessions
from tests.clock import MovableClock
from tests.event_client import open_events
from tests.factories import SignedIn, make_task, make_user, sign_in
from tests.graph_client import GraphClient
from tests.servers import RunningServer, serve_with
from tests.socket_client import SocketClient, open_socket, signed_in_socket

CHANGES: Final = "subscription { changes { changed { id } } }"
PASSWORD: Final = "correct horse battery staple"
OVER: Final = "The session is over; sign in again."
EXPIRED: Final = "The access token has expired; refresh the session or sign in again."
LIFE: Final = timedelta(minutes=30)


def token_of(settings: Settings, user: SignedIn, life: timedelta) -> str:
    """Return another token of the user's session."""
    assert user.caller.session_id is not None
    return AccessTokens(settings.secret_key, life).issue(user.user.id, user.caller.session_id).text


async def follow(server: RunningServer, socket: SocketClient, user: SignedIn, count: int = 2) -> None:
    """Begin two operations that do not end by themselves; wait until that many of the user's are under way."""
    await socket.subscribe(CHANGES, operation_id="1")
    await socket.subscribe(CHANGES, operation_id="2")
    await server.until_followed(user.user.id, count)


async def assert_over(server: RunningServer, socket: SocketClient, user: SignedIn, reason: str = OVER) -> None:
    """Expect the end of those operations and of the socket."""
    ends: list[tuple[str, str, str]] = []
    while len(ends) < 2:
        message = await socket.receive()
        # The end may itself be a change that was seen first.
        if message["type"] != "next":
            ends.append((message["type"], message["id"], message["payload"][0]["extensions"]["code"]))
    assert ends == [("error", "1", "UNAUTHENTICATED"), ("error", "2", "UNAUTHENTICATED")]
    assert await socket.closing() == (4403, reason)
    await server.until_followed(user.user.id, 0)


async def test_expired_token_ends_sockets_and_streams(
    server: RunningServer, settings: Settings, user: SignedIn, clock: MovableClock
) -> None:
    token = token_of(settings, user, LIFE)
    async with signed_in_socket(server, token) as socket, open_events(server, CHANGES, token=token) as events:
        await follow(server, socket, user, count=3)
        clock.move_on(LIFE - timedelta(minutes=5))
        await socket.round_trip()
        clock.move_on(timedelta(minutes=5))
        assert await events.codes() == ["UNAUTHENTICATED"]
        await events.complete()
        await assert_over(server, socket, user, EXPIRED)


async def test_fresh_token_in_a_ping_keeps_the_socket_open(
    server: RunningServer, settings: Settings, user: SignedIn, clock: MovableClock
) -> None:
    old, fresh = token_of(settings, user, LIFE), token_of(settings, user, 2 * LIFE)
    async with signed_in_socket(server, old) as socket, signed_in_socket(server, old) as other:
        await follow(server, socket, user)
        await socket.send({"type": "ping", "payload": {"Authorization": f"Bearer {fresh}"}})
        assert await socket.receive() == {"type": "pong"}
        clock.move_on(LIFE)
        assert await other.closing() == (4403, EXPIRED)
        await socket.round_trip()
        task = await make_task(server.runtime.database, user.caller)
        payloads = [(await socket.receive())["payload"] for _ in range(2)]
        assert payloads == [{"data": {"changes": {"changed": [{"id": task.id}]}}}] * 2


async def test_token_of_another_user_closes_socket(server: RunningServer, user: SignedIn, stranger: SignedIn) -> None:
    for token in (user.token, None):
        async with signed_in_socket(server, token) as socket:
            await socket.send({"type": "ping", "payload": stranger.headers})
            assert await socket.closing() == (4403, "The fresh token is another user's.")


async def test_sign_out_ends_sockets_and_streams(server: RunningServer, client: GraphClient, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as socket, open_events(server, CHANGES, token=user.token) as events:
        await follow(server, socket, user, count=3)
        await client.query("mutation { signOut { errors { code } } }", as_=user)
        assert await events.codes() == ["UNAUTHENTICATED"]
        await events.complete()
        await assert_over(server, socket, user)
    async with open_socket(server) as socket:
        await socket.send({"type": "connection_init", "payload": user.headers})
        assert (await socket.closing())[0] == 4403


async def test_sign_out_over_a_socket_is_answered_before_it_closes(server: RunningServer, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as socket:
        assert await socket.result("mutation { signOut { errors { code } } }") == {"data": {"signOut": {"errors": []}}}
        assert await socket.closing() == (4403, OVER)


async def test_changed_password_ends_the_other_sessions(server: RunningServer, client: GraphClient) -> None:
    answer = await client.mutate("signUp", {"email": f"{new_id()}@example.com", "password": PASSWORD, "name": "Ada"})
    assert answer["errors"] == []
    own = answer["accessToken"]
    other = await client.mutate("signIn", {"email": answer["user"]["email"], "password": PASSWORD})
    async with signed_in_socket(server, own) as mine, signed_in_socket(server, other["accessToken"]) as theirs:
        given = {"currentPassword": PASSWORD, "newPassword": PASSWORD[::-1]}
        assert (await client.mutate("changePassword", given, as_=own))["errors"] == []
        assert await theirs.closing() == (4403, OVER)
        await mine.round_trip()
        assert (await client.mutate("deleteAccount", {"password": PASSWORD[::-1]}, as_=own))["errors"] == []
        assert await mine.closing() == (4403, OVER)


@pytest.mark.parametrize("mutation", ["setUserActive", "deleteUser"])
async def test_socket_ends_when_an_admin_deactivates_or_deletes_its_user(
    server: RunningServer, database: Database, user: SignedIn, client: GraphClient, mutation: str
) -> None:
    admin = await sign_in(database, server.runtime.settings, await make_user(database, is_admin=True))
    given = {"id": user.user.id} | ({"isActive": False} if mutation == "setUserActive" else {})
    async with signed_in_socket(server, user.token) as socket:
        await follow(server, socket, user)
        assert (await client.mutate(mutation, given, as_=admin))["errors"] == []
        await assert_over(server, socket, user)


async def test_check_ends_connections_that_another_process_revoked(
    settings: Settings, database: Database, user: SignedIn, stranger: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connections.CHECK_EVERY_S < 5
    monkeypatch.setattr(connections, "CHECK_EVERY_S", 0.05)
    async with (
        serve_with(settings) as server,
        signed_in_socket(server, user.token) as socket,
        open_events(server, CHANGES, token=user.token) as events,
        signed_in_socket(server, stranger.token) as other,
        signed_in_socket(server, None) as anonymous,
    ):
        await follow(server, socket, user, count=3)
        await database.write(lambda session: sessions.revoke_all(session, user.user.id))
        assert await events.codes() == ["UNAUTHENTICATED"]
        await assert_over(server, socket, user)
        await asyncio.gather(other.round_trip(), anonymous.round_trip())
