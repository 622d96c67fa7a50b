"""Operations over a socket, their errors and their ends; and the end of tokens and sessions meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from types import ModuleType
from typing import Final
from unittest.mock import DEFAULT, AsyncMock, patch

import pytest

import graph.relations
import graph.sync
from core.database import Database
from core.errors import UnavailableError
from core.ids import new_id
from core.settings import Settings
from core.tokens import AccessTokens
from server.app import create_app
from server.http import connections
from services.accounts import sessions
from services.conversations.messages import MessageCursor
from services.query.lookup import rows_by_id
from services.sync.changes import Cursor
from tests.clock import MovableClock
from tests.databases import only_sqlite
from tests.event_client import open_events
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.graph_client import GraphClient
from tests.server import sample
from tests.servers import RunningServer, serve, serve_with
from tests.socket_client import SocketClient, open_socket, signed_in_socket

CHANGES: Final = "subscription { changes { changed { id } } }"


@pytest.fixture(scope="module")
async def sample_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    settings = sample.sample_settings(tmp_path_factory.mktemp("sockets"), graphql_max_cost=100)
    async with serve(create_app(settings, sample.schema)) as running:
        yield running


async def test_query_and_mutation_give_one_result(server: RunningServer, user: SignedIn) -> None:
    create = "mutation ($title: String!) { createTask(input: {title: $title}) { task { title } errors { code } } }"
    async with signed_in_socket(server, user.token) as socket:
        for title, task, errors in (("Sweep", {"title": "Sweep"}, []), ("", None, [{"code": "BAD_USER_INPUT"}])):
            made = await socket.result(create, {"title": title})
            assert made == {"data": {"createTask": {"task": task, "errors": errors}}}
        query = "query ($n: Int) { tasks(first: $n) { nodes { title } } }"
        assert await socket.result(query, {"n": 1}) == {"data": {"tasks": {"nodes": [{"title": "Sweep"}]}}}
        payload = {"query": "query A { a: __typename } query B { b: __typename }", "operationName": "B"}
        await socket.send({"type": "subscribe", "id": "1", "payload": payload})
        assert await socket.data() == {"b": "Query"}


INVALID: Final = {
    "{ nope }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { changes { cursor } messageAdded(conversationId: 1) { cursor } }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { __typename }": "GRAPHQL_VALIDATION_FAILED",
    "subscription { changes @skip(if: true) { cursor } }": "GRAPHQL_VALIDATION_FAILED",
    "{ " + "__typename " * 6_000 + "}": "TOO_MANY_TOKENS",
    "subscription ($id: ID!) { messageAdded(conversationId: $id) { cursor } }": "BAD_USER_INPUT",
}


async def test_error_of_an_operation_leaves_the_others_running(server: RunningServer, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(CHANGES, operation_id="other")
        await server.until_followed(user.user.id)
        for query, code in INVALID.items():
            await socket.subscribe(query)
            assert set(await socket.codes()) == {code}
        # The errors of fields are part of a result.
        payload = await socket.result("{ tasks(first: -1) { nodes { id } } }")
        assert payload["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        # The id is free again, and the other operation goes on.
        await socket.subscribe("{ viewer { id } }")
        assert await socket.data() == {"viewer": {"id": user.user.id}}
        assert await socket.receive() == {"type": "complete", "id": "1"}
        task = await make_task(server.runtime.database, user.caller)
        assert await socket.data("other") == {"changes": {"changed": [{"id": task.id}]}}


@only_sqlite
async def test_too_costly_operation_is_refused(settings: Settings, user: SignedIn) -> None:
    messages = "changed { ... on Conversation { messages(first: 100) { nodes { id } } } }"
    async with serve_with(settings, graphql_max_cost=50) as server, signed_in_socket(server, user.token) as socket:
        for query in ("{ tasks(first: 100) { nodes { id } } }", f"subscription {{ changes {{ {messages} }} }}"):
            await socket.subscribe(query)
            assert await socket.codes() == ["QUERY_TOO_COMPLEX"]


async def test_errors_are_shown_or_masked_as_over_http(sample_server: RunningServer) -> None:
    async with signed_in_socket(sample_server, None) as socket:
        for how, code in (("gone", "NOT_FOUND"), ("unforeseen", "INTERNAL_SERVER_ERROR")):
            payload = await socket.result(f'{{ hello fail(how: "{how}") }}')
            assert payload["data"] == {"hello": "Hello, world!", "fail": None}
            assert payload["errors"][0]["extensions"]["code"] == code
            await socket.subscribe(f'subscription {{ broken(how: "{how}") }}')
            assert await socket.data() == {"broken": 1}
            message = await socket.receive()
            assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", code)
            assert sample.SECRET not in json.dumps([payload, message])
        await socket.subscribe("subscription { ticks }")
        assert await socket.data() == {"ticks": 1}
        assert await socket.receive() == {"type": "complete", "id": "1"}


async def test_mutation_outlives_a_disconnect(sample_server: RunningServer, happenings: sample.Happenings) -> None:
    async with signed_in_socket(sample_server, None) as socket:
        await socket.subscribe("mutation { wait }")
        await happenings.began.wait()
    happenings.may_end.set()
    await happenings.over.wait()
    assert happenings.ended == ["done"]


@pytest.mark.parametrize("how", ["completed", "timed out"])
async def test_query_is_cancelled_when_it_is_completed_or_times_out(
    tmp_path: Path, happenings: sample.Happenings, how: str
) -> None:
    limits = {"graphql_timeout_s": 0.05} if how == "timed out" else {}
    app = create_app(sample.sample_settings(tmp_path, **limits), sample.schema)
    async with serve(app) as running, signed_in_socket(running, None) as socket:
        await socket.subscribe("{ wait }")
        await happenings.began.wait()
        if how == "timed out":
            assert await socket.codes() == ["SERVICE_UNAVAILABLE"]
        else:
            await socket.complete()
        await happenings.over.wait()
        assert happenings.ended == ["cancelled"]
        await socket.round_trip()


async def test_complete_ends_an_operation_and_frees_its_id(server: RunningServer, user: SignedIn) -> None:
    async with signed_in_socket(server, user.token) as socket:
        for _ in range(3):
            await socket.subscribe(CHANGES)
            await server.until_followed(user.user.id)
            await socket.complete()
            await server.until_followed(user.user.id, 0)
        await socket.complete("never was")
        await make_task(server.runtime.database, user.caller)
        for _ in range(50):
            await socket.subscribe(CHANGES)
            await socket.complete()
        await socket.subscribe(CHANGES)
        await server.until_followed(user.user.id)
        await socket.round_trip()
        task = await make_task(server.runtime.database, user.caller)
        assert await socket.data() == {"changes": {"changed": [{"id": task.id}]}}
        await socket.round_trip()


@pytest.mark.parametrize("how", ["closed", "cut"])
async def test_disconnect_ends_every_operation(server: RunningServer, user: SignedIn, how: str) -> None:
    async with signed_in_socket(server, user.token) as socket:
        for number in range(10):
            await socket.subscribe(CHANGES, operation_id=str(number))
        await server.until_followed(user.user.id, 10)
        if how == "closed":
            await socket.connection.close()
        else:
            socket.connection.transport.abort()
        await server.until_followed(user.user.id, 0)


async def test_operations_of_a_socket_are_bounded(server: RunningServer, user: SignedIn, database: Database) -> None:
    async with signed_in_socket(server, user.token) as socket:
        for number in range(100):
            await socket.subscribe(CHANGES, operation_id=str(number))
        await socket.subscribe("{ viewer { id } }", operation_id="too many")
        message = await socket.receive()
        assert (message["type"], message["id"]) == ("error", "too many")
        assert message["payload"][0]["extensions"] == {"code": "TOO_MANY_OPERATIONS", "limit": 100}
        # The hundred go on, and where one ends there is room for another.
        await server.until_followed(user.user.id, 100)
        task = await make_task(database, user.caller)
        server.runtime.live.hub.request_poll()
        seen = {message["id"]: message["payload"] for message in [await socket.receive() for _ in range(100)]}
        assert seen == {str(number): {"data": {"changes": {"changed": [{"id": task.id}]}}} for number in range(100)}
        await socket.complete("7")
        await socket.subscribe("{ viewer { id } }", operation_id="7")
        assert await socket.data("7") == {"viewer": {"id": user.user.id}}


ADDED: Final = """subscription ($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) { message { content conversation { owner { id } } } }
}"""


@contextmanager
def failing(module: ModuleType, times: int) -> Iterator[AsyncMock]:
    """Let the module's reading of rows by their ids fail at first, as it does while the database is away."""
    away = [UnavailableError("The database is away.")] * times
    read = AsyncMock(wraps=rows_by_id, side_effect=chain(away, repeat(DEFAULT)))
    with patch.object(module, "rows_by_id", read):
        yield read


@pytest.mark.parametrize("times", [1, 3])
async def test_event_whose_rows_cannot_be_read_is_retried(server: RunningServer, user: SignedIn, times: int) -> None:
    conversation = await make_conversation(server.runtime.database, user.caller)
    async with signed_in_socket(server, user.token) as socket:
        with failing(graph.sync, times) as read:
            since = Cursor(0).write()
            await socket.subscribe(f'subscription {{ changes(since: "{since}") {{ changed {{ id }} }} }}')
            assert (await socket.data())["changes"]["changed"] == [{"id": conversation.id}]
            assert read.call_count == times + 1
            await socket.complete()
        for content in "12":
            await make_message(server.runtime.database, user.caller, conversation.id, content)
        with failing(graph.relations, times) as read:
            await socket.subscribe(ADDED, {"id": conversation.id, "after": MessageCursor(0).write()})
            messages = [(await socket.data())["messageAdded"]["message"] for _ in range(2)]
            assert read.call_count == times + 2
    owner = {"owner": {"id": user.user.id}}
    assert messages == [{"content": content, "conversation": owner} for content in "12"]


PASSWORD: Final = "correct horse battery staple"
OVER: Final = "The session is over; sign in again."
EXPIRED: Final = "The access token has expired; refresh the session or sign in again."
LIFE: Final = timedelta(minutes=30)


def token_of(settings: Settings, user: SignedIn, life: timedelta) -> str:
    assert user.caller.session_id is not None
    return AccessTokens(settings.secret_key, life).issue(user.user.id, user.caller.session_id).text


async def follow(server: RunningServer, socket: SocketClient, user: SignedIn, count: int = 2) -> None:
    """Begin two operations that do not end by themselves; wait until that many of the user's are under way."""
    await socket.subscribe(CHANGES, operation_id="1")
    await socket.subscribe(CHANGES, operation_id="2")
    await server.until_followed(user.user.id, count)


async def assert_over(server: RunningServer, socket: SocketClient, user: SignedIn, reason: str = OVER) -> None:
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
    server: RunningServer, user: SignedIn, admin: SignedIn, client: GraphClient, mutation: str
) -> None:
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
