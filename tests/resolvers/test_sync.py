"""changes: all there is, page by page, and what changed since, while others write."""

from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from services.conversations.messages import MessageCursor
from services.sync.changes import Cursor
from tests.graph.operations import run
from tests.resolvers.user_api import UserApi
from tests.servers import RunningServer
from tests.services.rows import change_user

QUERY: Final = """query ($since: String, $first: Int) { changes(since: $since, first: $first) {
    changed {
        __typename id
        ... on Task { text: title revision } ... on Conversation { text: title revision }
        ... on Message { text: content revision } ... on User { text: name }
    }
    deletedIds cursor hasMore
} }"""


@dataclass(slots=True)
class Replica:
    """A copy of what a user has, kept by its cursor alone, as an app that is offline at times would."""

    api: UserApi
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    cursor: str | None = None

    async def read(self, first: int | None = None) -> dict[str, Any]:
        page: dict[str, Any] = (await self.api.query(QUERY, since=self.cursor, first=first))["changes"]
        assert not {row["id"] for row in page["changed"]} & set(page["deletedIds"])
        self.rows |= {row["id"]: row for row in page["changed"]}
        self.rows = {row_id: row for row_id, row in self.rows.items() if row_id not in page["deletedIds"]}
        self.deleted += page["deletedIds"]
        self.cursor = page["cursor"]
        return page

    async def read_all(self, first: int | None = None) -> None:
        while (await self.read(first))["hasMore"]:
            pass

    @property
    def titles(self) -> set[str]:
        return {row["text"] for row in self.rows.values() if row["__typename"] == "Task"}


@pytest.fixture
def replica(api: UserApi) -> Replica:
    return Replica(api)


async def test_changes_are_all_rows_then_later_ones(api: UserApi, replica: Replica) -> None:
    await replica.read_all()
    assert replica.rows == {api.user_id: {"__typename": "User", "id": api.user_id, "text": "Ada"}}
    task, talk = await api.task("Sweep"), await api.conversation()
    message = await api.message(talk.id)
    page = await replica.read()
    expected = [
        ("Task", task.id, "Sweep", 1),
        ("Conversation", talk.id, "Plans", 3),
        ("Message", message.id, "Hello", 3),
    ]
    expected[1:] = sorted(expected[1:], key=lambda row: row[1])
    assert [tuple(row.values()) for row in page["changed"]] == expected
    assert (page["deletedIds"], page["hasMore"]) == ([], False)
    page = await replica.read()
    assert (page["changed"], page["deletedIds"], page["hasMore"]) == ([], [], False)


async def test_first_pages_name_no_earlier_deletions(api: UserApi, replica: Replica) -> None:
    tasks = [await api.task(str(number)) for number in range(4)]
    await api.ok("deleteTask", id=tasks[0].id)
    await replica.read(1)
    # While pages are read, one goes that was to come yet, and one that is new.
    new = await api.task("new")
    await replica.read(1)
    await api.ok("deleteTasks", ids=[tasks[3].id, new.id])
    await replica.read_all(1)
    assert (replica.titles, set(replica.deleted)) == ({"1", "2"}, {tasks[3].id, new.id})


async def test_sizes_and_cursors_are_checked(api: UserApi, replica: Replica) -> None:
    for _ in range(2):
        await api.ok("createTasks", tasks=[{"title": "x"}] * 100)
    page = await replica.read()
    assert (len(page["changed"]), page["hasMore"]) == (100, True)
    await change_user(api.database, api.user_id, revision=9, forgotten_revision=3)
    for name, code, values in (
        ("first", "BAD_USER_INPUT", [0, -1, 101, 2**31 - 1]),
        (
            "since",
            "BAD_USER_INPUT",
            ["", "x", "\0", "W10", "\N{ROCKET}", MessageCursor(1).write(), "x" * 100_000, "MQ"],
        ),
        ("since", "CURSOR_EXPIRED", [Cursor(2).write(), Cursor(3, "x").write(), Cursor(10).write()]),
    ):
        for value in values:
            answer = await api.execute(QUERY, **{name: value})
            assert answer.codes == [code]
            if code == "BAD_USER_INPUT":
                assert answer.errors[0]["extensions"]["inputPath"] == [name]
            else:
                assert answer.errors[0]["message"].endswith("begin anew, without a cursor.")
    for cursor in (Cursor(3), Cursor(4, "x"), Cursor(0, None, 3)):
        assert (await api.execute(QUERY, since=cursor.write())).errors == []


async def test_statement_count_is_independent_of_the_number_of_changes(server: RunningServer, api: UserApi) -> None:
    # Where the counter stands, which rows there are, and one for each kind: here the user's own row alone.
    assert len((await run(server, api.user, "{ changes { cursor } }")).statements) == 3
    for count in (1, 30):
        for _ in range(count):
            await api.task()
            await api.message((await api.conversation()).id)
        query = "{ changes { changed { id ... on Task { title } ... on Message { conversation { title } } } } }"
        assert len((await run(server, api.user, query)).statements) == 7
