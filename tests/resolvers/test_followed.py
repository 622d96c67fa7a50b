"""Subscriptions to changes and to messages: what lies beyond a cursor, then all that comes, once and in order."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from services.conversations.messages import MessageCursor, NewMessage, add_message
from services.sync.changes import Cursor
from services.tasks.tasks import tasks as task_service
from tests.resolvers.user_api import UserApi
from tests.servers import RunningServer
from tests.services.rows import all_statements, change_user
from tests.socket_client import SocketClient, signed_in_socket
from tests.waiting import until

CHANGES: Final = """subscription ($since: String) { changes(since: $since) {
    changed { id ... on Task { text: title subtasks { totalCount } } } deletedIds cursor hasMore
} }"""
MESSAGES: Final = """subscription ($id: ID!, $since: String) { messageAdded(conversationId: $id, after: $since) {
    cursor message { id text: content revision }
} }"""


@pytest.fixture
def api(api: UserApi, server: RunningServer) -> UserApi:
    """Give the API with the server's own database, whose changes wake its followers."""
    return replace(api, database=server.runtime.database)


async def begin(server: RunningServer, socket: SocketClient, api: UserApi, query: str, **given: Any) -> None:
    """Subscribe, and wait until that has come about."""
    await socket.subscribe(query, given)
    await until(lambda: api.user_id in server.runtime.live.hub.users)


async def event(socket: SocketClient) -> dict[str, Any]:
    (found,) = (await socket.data()).values()
    return dict(found)


async def collect(socket: SocketClient, count: int) -> list[str]:
    """Return the texts of the next rows; after them there must be nothing."""
    texts: list[str] = []
    while len(texts) < count:
        found = await event(socket)
        texts += [row["text"] for row in found.get("changed") or [found["message"]]]
    await socket.round_trip()
    return texts


async def test_changes_without_a_cursor_begin_now(server: RunningServer, api: UserApi) -> None:
    await api.task()
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, CHANGES)
        await socket.round_trip()
        task = await api.task("Sweep")
        found = await event(socket)
        assert found["changed"] == [{"id": task.id, "text": "Sweep", "subtasks": {"totalCount": 0}}]
        assert (found["deletedIds"], found["hasMore"]) == ([], False)
        await api.ok("deleteTask", id=task.id)
        found = await event(socket)
        assert (found["changed"], found["deletedIds"]) == ([], [task.id])
        await change_user(api.database, api.user_id, name="no change that is counted")
        await socket.round_trip()


async def test_changes_from_a_cursor_come_page_by_page(server: RunningServer, api: UserApi) -> None:
    made = [str(number) for number in range(270)]
    for begin_at in range(0, 270, 90):
        await api.ok("createTasks", tasks=[{"title": title} for title in made[begin_at : begin_at + 90]])
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, CHANGES, since=Cursor(0).write())
        pages = [await event(socket) for _ in range(3)]
        assert [(len(each["changed"]), each["hasMore"]) for each in pages] == [(100, True), (100, True), (70, False)]
        assert [row["text"] for each in pages for row in each["changed"]] == made
        await socket.round_trip()
        await socket.complete()
        for each, rest in zip(pages, (170, 70, 0), strict=True):
            await socket.subscribe(CHANGES, {"since": each["cursor"]})
            assert await collect(socket, rest) == made[270 - rest :]
            await socket.complete()


@pytest.mark.parametrize("query", [CHANGES, MESSAGES], ids=["changes", "messages"])
async def test_nothing_is_lost_between_backlog_and_new_rows(server: RunningServer, api: UserApi, query: str) -> None:
    talk, made = await api.conversation(), list[str]()
    given = {"since": Cursor(1).write()} if query == CHANGES else {"id": talk.id, "since": MessageCursor(1).write()}

    async def write(count: int) -> None:
        for _ in range(count):
            made.append(str(len(made)))
            await (api.task(made[-1]) if query == CHANGES else api.message(talk.id, made[-1]))

    async with signed_in_socket(server, api.user.token) as socket:
        for _ in range(6):
            already = len(made)
            await asyncio.gather(write(6), socket.subscribe(query, given))
            assert await collect(socket, already + 6) == made
            await socket.complete()


async def test_changes_of_one_row_come_in_order(server: RunningServer, api: UserApi) -> None:
    task = await api.task("0")
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, CHANGES)
        for number in range(1, 30):
            changes = {"title": str(number)}
            await api.database.write(partial(task_service.update, caller=api.caller, row_id=task.id, changes=changes))
        titles: list[str] = []
        while titles[-1:] != ["29"]:
            titles += [row["text"] for row in (await event(socket))["changed"]]
        # Some were passed over for later ones; none came twice, and none after its successor.
        assert titles == sorted(set(titles), key=int)
        await socket.round_trip()


async def test_malformed_and_expired_cursors_are_refused(server: RunningServer, api: UserApi) -> None:
    talk = await api.conversation()
    await change_user(api.database, api.user_id, revision=9, forgotten_revision=5)
    cursors = {
        CHANGES: ([MessageCursor(0), ""], [Cursor(4), Cursor(5, "x"), Cursor(10)]),
        # An account that was restored knows less than its clients.
        MESSAGES: ([Cursor(1), "", "x", "\0", "\N{ROCKET}", "W10", "x" * 100_000], [MessageCursor(1_000_000)]),
    }
    async with signed_in_socket(server, api.user.token) as socket:
        for query, (malformed, expired) in cursors.items():
            for code, tried in (("BAD_USER_INPUT", malformed), ("CURSOR_EXPIRED", expired)):
                for cursor in tried:
                    text = cursor if isinstance(cursor, str) else cursor.write()
                    await socket.subscribe(query, {"id": talk.id, "since": text})
                    assert await socket.codes() == [code]
        assert api.user_id not in server.runtime.live.hub.users


async def test_message_added_resumes_from_every_cursor(server: RunningServer, api: UserApi) -> None:
    talk = await api.conversation()
    await api.message(talk.id, "before")
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, MESSAGES, id=talk.id.upper())
        for number in range(5):
            await api.message(talk.id, str(number))
        cursors = [(await event(socket))["cursor"] for _ in range(5)]
        assert len(set(cursors)) == 5
        await socket.complete()
        for index, cursor in enumerate(cursors):
            await socket.subscribe(MESSAGES, {"id": talk.id, "since": cursor})
            assert await collect(socket, 4 - index) == list("01234")[index + 1 :]
            await socket.complete()


async def test_messages_of_one_transaction_have_cursors_of_their_own(server: RunningServer, api: UserApi) -> None:
    talk, said = await api.conversation(), [str(number) for number in range(250)]

    async def add(session: AsyncSession) -> None:
        for content in said:
            await add_message(session, api.caller, NewMessage(talk.id, content))

    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, MESSAGES, id=talk.id)
        await api.database.write(add)
        events = [await event(socket) for _ in said]
        await socket.complete()
        assert [each["message"]["text"] for each in events] == said
        assert len({each["message"]["revision"] for each in events}) == 1
        # A cursor within the transaction knows what came before it, and no more.
        await socket.subscribe(MESSAGES, {"id": talk.id, "since": events[120]["cursor"]})
        assert await collect(socket, 129) == said[121:]


def reads_changes(statement: str) -> bool:
    """Tell whether a statement reads changes: not what a mutation reads for itself, nor what is read by the clock."""
    is_by_the_clock = statement.startswith(("SELECT users.id, users.revision", "SELECT sessions.id"))
    has_changes = any(word in statement for word in ("merged", "json_each", "ANY"))
    return statement.startswith("SELECT") and has_changes and not is_by_the_clock


@pytest.mark.parametrize("query", [CHANGES, MESSAGES], ids=["changes", "messages"])
async def test_event_takes_few_reads_and_holds_no_connection(server: RunningServer, api: UserApi, query: str) -> None:
    talk, pool = await api.conversation(), api.database.pool
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, query, id=talk.id)
        await api.message(talk.id, "warm")
        await event(socket)
        # No connection is held while there is nothing to do.
        await until(lambda: pool.in_use == 0)
        with all_statements(api.database) as statements:
            await api.message(talk.id, "counted")
            found = await event(socket)
        if query == MESSAGES:
            reads = [each for each in statements if "FROM messages" in each]
            assert (found["message"]["text"], len(reads), "role" in reads[0]) == ("counted", 1, False)
        else:
            # Which rows there are, then one for each kind.
            assert (len(found["changed"]), len([each for each in statements if reads_changes(each)])) == (2, 3)
        await until(lambda: pool.in_use == 0)


async def test_message_added_ends_with_its_conversation(server: RunningServer, api: UserApi) -> None:
    talk = await api.conversation()
    async with signed_in_socket(server, api.user.token) as socket:
        await begin(server, socket, api, MESSAGES, id=talk.id)
        await api.ok("deleteConversation", id=talk.id)
        assert await socket.codes() == ["NOT_FOUND"]
    await until(lambda: api.user_id not in server.runtime.live.hub.users)
