"""changes: all there is, page by page, and what changed since, while others write."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import pytest

from core.clock import utc_now
from core.database import Database
from core.ids import new_id
from models import Deletion
from services.conversations.messages import MessageCursor
from services.sync.changes import Cursor
from services.sync.housekeeping import delete_old_tombstones
from services.tasks.tasks import tasks as task_service
from tests.factories import SignedIn, make_conversation, make_message, make_task, new_task, store
from tests.graph.operations import run
from tests.graph_client import GraphClient
from tests.servers import RunningServer
from tests.services.rows import change_user

QUERY: Final = """query ($since: String, $first: Int) { changes(since: $since, first: $first) {
    changed {
        __typename id
        ... on Task { title revision }
        ... on Conversation { title revision }
        ... on Message { content revision }
        ... on User { name }
    }
    deletedIds cursor hasMore
} }"""
Page = dict[str, Any]


@dataclass(slots=True)
class Replica:
    """A copy of what a user has, kept by its cursor alone, as an app that is offline at times would."""

    client: GraphClient
    user: SignedIn
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    cursor: str | None = None

    async def read(self, first: int | None = None) -> Page:
        variables = {"since": self.cursor, "first": first}
        page: Page = (await self.client.query(QUERY, variables, as_=self.user))["changes"]
        assert not {row["id"] for row in page["changed"]} & set(page["deletedIds"])
        self.rows |= {row["id"]: row for row in page["changed"]}
        for row_id in page["deletedIds"]:
            self.rows.pop(row_id, None)
        self.deleted += page["deletedIds"]
        self.cursor = page["cursor"]
        return page

    async def read_all(self, first: int | None = None) -> None:
        while (await self.read(first))["hasMore"]:
            pass

    def named(self, kind: str) -> set[str]:
        """Return what the rows of a kind say."""
        name = {"Message": "content", "User": "name"}.get(kind, "title")
        return {row[name] for row in self.rows.values() if row["__typename"] == kind}


@pytest.fixture
def replica(client: GraphClient, user: SignedIn) -> Replica:
    return Replica(client, user)


async def test_changes_are_all_rows_then_later_ones(database: Database, user: SignedIn, replica: Replica) -> None:
    await replica.read_all()
    assert replica.rows == {user.user.id: {"__typename": "User", "id": user.user.id, "name": "Ada"}}
    task = await make_task(database, user.caller, "Sweep")
    conversation = await make_conversation(database, user.caller, "Plans")
    message = await make_message(database, user.caller, conversation.id, "Hello")
    page = await replica.read()
    assert page["changed"] == [
        {"__typename": "Task", "id": task.id, "title": "Sweep", "revision": 1},
        *sorted(
            (
                {"__typename": "Conversation", "id": conversation.id, "title": "Plans", "revision": 3},
                {"__typename": "Message", "id": message.id, "content": "Hello", "revision": 3},
            ),
            key=lambda row: str(row["id"]),
        ),
    ]
    assert (page["deletedIds"], page["hasMore"]) == ([], False)
    page = await replica.read()
    assert (page["changed"], page["deletedIds"], page["hasMore"]) == ([], [], False)


async def test_first_pages_name_no_earlier_deletions(database: Database, user: SignedIn, replica: Replica) -> None:
    tasks = [await make_task(database, user.caller, str(number)) for number in range(4)]
    delete = partial(task_service.delete_many, caller=user.caller)
    await database.write(partial(delete, row_ids=[tasks[0].id]))
    await replica.read(1)
    # While pages are read, one goes that was to come yet, and one that is new.
    new = await make_task(database, user.caller, "new")
    await replica.read(1)
    await database.write(partial(delete, row_ids=[tasks[3].id, new.id]))
    await replica.read_all(1)
    assert replica.named("Task") == {"1", "2"}
    assert set(replica.deleted) == {tasks[3].id, new.id}


@pytest.mark.parametrize("first", [1, 3, 100])
async def test_pages_lose_no_change_while_others_write(
    database: Database, user: SignedIn, replica: Replica, first: int
) -> None:
    tasks = await database.write(
        partial(task_service.create_many, caller=user.caller, new=[new_task(f"{number}") for number in range(12)])
    )

    async def write() -> None:
        for number in range(12):
            await make_task(database, user.caller, f"new {number}")
            changes = {"title": f"changed {number}"}
            await database.write(
                partial(task_service.update, caller=user.caller, row_id=tasks[number].id, changes=changes)
            )
            if number % 3 == 0:
                await database.write(partial(task_service.delete_many, caller=user.caller, row_ids=[tasks[number].id]))

    async def read(writing: asyncio.Task[None]) -> None:
        while not writing.done():
            await replica.read(first)

    async with asyncio.TaskGroup() as group:
        await read(group.create_task(write()))
    await replica.read_all(first)
    kept = [number for number in range(12) if number % 3]
    assert replica.named("Task") == {f"new {number}" for number in range(12)} | {f"changed {each}" for each in kept}
    assert set(replica.deleted) <= {tasks[number].id for number in range(0, 12, 3)}
    assert len(replica.deleted) == len(set(replica.deleted))


async def test_page_has_at_most_a_hundred_changes(
    client: GraphClient, database: Database, user: SignedIn, replica: Replica
) -> None:
    for _ in range(2):
        await database.write(partial(task_service.create_many, caller=user.caller, new=[new_task("x")] * 100))
    page = await replica.read()
    assert (len(page["changed"]), page["hasMore"]) == (100, True)
    for size in (0, -1, 101, 2**31 - 1):
        answer = await client.execute(QUERY, {"first": size}, as_=user)
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.errors[0]["extensions"]["inputPath"] == ["first"]


async def test_malformed_cursor_is_refused(client: GraphClient, user: SignedIn) -> None:
    for cursor in ["", "x", "\0", "W10", "\N{ROCKET}", MessageCursor(1).write(), "x" * 100_000, "MQ", "=" * 7]:
        answer = await client.execute(QUERY, {"since": cursor}, as_=user)
        assert answer.codes == ["BAD_USER_INPUT"]
        assert answer.errors[0]["extensions"]["inputPath"] == ["since"]


async def test_cursor_before_forgotten_deletions_is_expired(
    client: GraphClient, database: Database, user: SignedIn, replica: Replica
) -> None:
    task = await make_task(database, user.caller)
    await replica.read_all()
    old = replica.cursor
    await change_user(database, user.user.id, revision=5)
    moment = utc_now().replace(year=2020)
    row = Deletion(user_id=user.user.id, id=new_id(), kind="TASK", revision=3, deleted_at=moment)
    await store(database, row)
    await database.write(lambda session: delete_old_tombstones(session, 90))
    answer = await client.execute(QUERY, {"since": old}, as_=user)
    assert answer.codes == ["CURSOR_EXPIRED"]
    assert answer.errors[0]["message"].endswith("begin anew, without a cursor.")
    replica.cursor = None
    await replica.read_all()
    assert set(replica.rows) == {user.user.id, task.id}
    for cursor in (Cursor(3), Cursor(4, "x"), Cursor(0, None, 3)):
        assert (await client.execute(QUERY, {"since": cursor.write()}, as_=user)).errors == []
    assert (await client.execute(QUERY, {"since": Cursor(3, "x").write()}, as_=user)).codes == ["CURSOR_EXPIRED"]
    assert (await client.execute(QUERY, {"since": Cursor(6).write()}, as_=user)).codes == ["CURSOR_EXPIRED"]


async def test_statement_count_is_independent_of_the_number_of_changes(
    server: RunningServer, database: Database, user: SignedIn
) -> None:
    empty = await run(server, user, "{ changes { cursor } }")
    # Where the counter stands, which rows there are, and one for each kind: here the user's own row alone.
    assert len(empty.statements) == 3
    for count in (1, 30):
        for _ in range(count):
            await make_task(database, user.caller)
            conversation = await make_conversation(database, user.caller)
            await make_message(database, user.caller, conversation.id)
        query = "{ changes { changed { id ... on Task { title } ... on Message { conversation { title } } } } }"
        done = await run(server, user, query)
        assert len(done.statements) == 7
