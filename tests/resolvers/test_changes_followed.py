"""Following changes: what lies beyond a cursor, then each change as it comes, every row with its latest state."""

import asyncio
from functools import partial
from typing import Any, Final

import pytest

from core.database import Database
from core.settings import Settings
from services.conversations.messages import MessageCursor
from services.sync.changes import Cursor
from services.tasks.tasks import tasks as task_service
from tests.factories import SignedIn, make_conversation, make_message, make_task, new_task
from tests.servers import RunningServer, serve_with
from tests.services.rows import all_statements, change_user
from tests.socket_client import SocketClient, signed_in_socket
from tests.waiting import until

QUERY: Final = """subscription ($since: String) { changes(since: $since) {
    changed { id ... on Task { title subtasks { totalCount } } } deletedIds cursor hasMore
} }"""
Page = dict[str, Any]


async def begin(server: RunningServer, socket: SocketClient, user: SignedIn, since: str | None = None) -> None:
    await socket.subscribe(QUERY, {"since": since})
    await until(lambda: user.user.id in server.runtime.live.hub.users)


async def page(socket: SocketClient) -> Page:
    found: Page = (await socket.data())["changes"]
    return found


async def collect(socket: SocketClient, count: int) -> list[str]:
    """Return the ids of the next changes; after them there must be nothing."""
    ids: list[str] = []
    while len(ids) < count:
        ids += [row["id"] for row in (await page(socket))["changed"]]
    await socket.round_trip()
    return ids


async def test_changes_without_a_cursor_begin_now(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    await make_task(database, user.caller)
    async with signed_in_socket(server, user.token) as socket:
        await begin(server, socket, user)
        await socket.round_trip()
        task = await make_task(database, user.caller, "Sweep")
        found = await page(socket)
        assert found["changed"] == [{"id": task.id, "title": "Sweep", "subtasks": {"totalCount": 0}}]
        assert (found["deletedIds"], found["hasMore"]) == ([], False)
        await database.write(partial(task_service.delete_many, caller=user.caller, row_ids=[task.id]))
        found = await page(socket)
        assert (found["changed"], found["deletedIds"]) == ([], [task.id])
        await change_user(database, user.user.id, name="no change that is counted")
        await socket.round_trip()


async def test_changes_from_a_cursor_come_page_by_page(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    made: list[str] = []
    for _ in range(3):
        tasks = await database.write(partial(task_service.create_many, caller=user.caller, new=[new_task("x")] * 90))
        made += [task.id for task in tasks]
    async with signed_in_socket(server, user.token) as socket:
        await begin(server, socket, user, Cursor(0).write())
        pages = [await page(socket) for _ in range(3)]
        assert [(len(each["changed"]), each["hasMore"]) for each in pages] == [(100, True), (100, True), (70, False)]
        assert [row["id"] for each in pages for row in each["changed"]] == made
        await socket.round_trip()
        await socket.complete()
        for each, rest in zip(pages, (170, 70, 0), strict=True):
            await socket.subscribe(QUERY, {"since": each["cursor"]})
            assert await collect(socket, rest) == made[270 - rest :]
            await socket.complete()


async def test_no_change_is_lost_between_backlog_and_new_ones(server: RunningServer, user: SignedIn) -> None:
    database, start, made = server.runtime.database, Cursor(0).write(), list[str]()

    async def write(count: int) -> None:
        for _ in range(count):
            made.append((await make_task(database, user.caller)).id)

    async with signed_in_socket(server, user.token) as socket:
        for _ in range(10):
            already = len(made)
            await asyncio.gather(write(6), socket.subscribe(QUERY, {"since": start}))
            assert await collect(socket, already + 6) == made
            await socket.complete()


async def test_changes_of_one_row_come_in_order(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    task = await make_task(database, user.caller, "0")
    async with signed_in_socket(server, user.token) as socket:
        await begin(server, socket, user)
        for number in range(1, 30):
            changes = {"title": str(number)}
            await database.write(partial(task_service.update, caller=user.caller, row_id=task.id, changes=changes))
        titles: list[str] = []
        while titles[-1:] != ["29"]:
            titles += [row["title"] for row in (await page(socket))["changed"]]
        # Some were passed over for later ones; none came twice, and none after its successor.
        assert titles == sorted(set(titles), key=int)
        await socket.round_trip()


@pytest.mark.parametrize(
    ("cursor", "code"),
    [
        ("", "BAD_USER_INPUT"),
        ("\0", "BAD_USER_INPUT"),
        (MessageCursor(0).write(), "BAD_USER_INPUT"),
        (Cursor(4).write(), "CURSOR_EXPIRED"),
        (Cursor(5, "x").write(), "CURSOR_EXPIRED"),
        (Cursor(10).write(), "CURSOR_EXPIRED"),
    ],
)
async def test_malformed_and_expired_cursors_are_refused(
    server: RunningServer, user: SignedIn, cursor: str, code: str
) -> None:
    await change_user(server.runtime.database, user.user.id, revision=9, forgotten_revision=5)
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe(QUERY, {"since": cursor})
        assert await socket.codes() == [code]
        assert user.user.id not in server.runtime.live.hub.users


async def test_changes_of_another_process_come_by_the_poll(
    settings: Settings, database: Database, user: SignedIn
) -> None:
    async with (
        serve_with(settings, database_listen=False, poll_s=0.02) as server,
        signed_in_socket(server, user.token) as socket,
    ):
        await begin(server, socket, user)
        made = [(await make_task(database, user.caller)).id for _ in range(20)]
        assert await collect(socket, 20) == made


async def test_event_reads_once_a_kind_and_holds_no_connection(server: RunningServer, user: SignedIn) -> None:
    database = server.runtime.database
    conversation = await make_conversation(database, user.caller)
    async with signed_in_socket(server, user.token) as socket:
        await socket.subscribe("subscription { changes { changed { id } cursor } }")
        await until(lambda: user.user.id in server.runtime.live.hub.users)
        await until(lambda: database.pool.in_use == 0)
        with all_statements(database) as statements:
            await make_message(database, user.caller, conversation.id)
            assert len((await page(socket))["changed"]) == 2
        reads = [each for each in statements if each.startswith("SELECT") and user_rows(each)]
        # Which rows there are, then one for each kind.
        assert len(reads) == 3
        await until(lambda: database.pool.in_use == 0)


def user_rows(statement: str) -> bool:
    """Tell whether a statement reads changes: not what the mutation reads for itself, nor what is read by the clock."""
    is_by_the_clock = statement.startswith(("SELECT users.id, users.revision", "SELECT sessions.id"))
    return not is_by_the_clock and ("merged" in statement or "json_each" in statement or "ANY" in statement)
