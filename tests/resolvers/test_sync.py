"""changes: all there is, page by page, and what changed since, while others write."""

from typing import Any, Final

from services.conversations.messages import MessageCursor
from services.sync.changes import Cursor
from tests.resolvers.user_api import UserApi
from tests.services.rows import change_user

QUERY: Final = """query ($since: String, $first: Int) { changes(since: $since, first: $first) {
    changed {
        __typename id
        ... on Task { text: title revision } ... on Conversation { text: title revision }
        ... on Message { text: content revision } ... on User { text: name }
    }
    deletedIds cursor hasMore
} }"""


async def read(api: UserApi, since: str | None = None, first: int | None = None) -> dict[str, Any]:
    page: dict[str, Any] = (await api.query(QUERY, since=since, first=first))["changes"]
    return page


async def test_changes_are_all_rows_then_later_ones(api: UserApi) -> None:
    page = await read(api)
    assert page["changed"] == [{"__typename": "User", "id": api.user_id, "text": "Ada"}]
    task, talk = await api.task("Sweep"), await api.conversation()
    message = await api.message(talk.id)
    page = await read(api, page["cursor"])
    told = [("Conversation", talk.id, "Plans", 3), ("Message", message.id, "Hello", 3)]
    expected = [("Task", task.id, "Sweep", 1), *sorted(told, key=lambda row: row[1])]
    assert [tuple(row.values()) for row in page["changed"]] == expected
    assert (page["deletedIds"], page["hasMore"]) == ([], False)
    page = await read(api, page["cursor"])
    assert (page["changed"], page["deletedIds"], page["hasMore"]) == ([], [], False)


async def test_first_pages_name_no_earlier_deletions(api: UserApi) -> None:
    tasks = [await api.task(str(number)) for number in range(4)]
    await api.ok("deleteTask", id=tasks[0].id)
    pages = [await read(api, first=1)]
    # While pages are read, one goes that was to come yet, and one that is new.
    new = await api.task("new")
    pages.append(await read(api, pages[-1]["cursor"], 1))
    await api.ok("deleteTasks", ids=[tasks[3].id, new.id])
    while pages[-1]["hasMore"]:
        pages.append(await read(api, pages[-1]["cursor"], 1))
    assert [row["text"] for page in pages for row in page["changed"] if row["__typename"] == "Task"] == ["1", "2"]
    assert {row_id for page in pages for row_id in page["deletedIds"]} == {tasks[3].id, new.id}


async def test_sizes_and_cursors_are_checked(api: UserApi) -> None:
    for _ in range(2):
        await api.ok("createTasks", tasks=[{"title": "x"}] * 100)
    page = await read(api)
    assert (len(page["changed"]), page["hasMore"]) == (100, True)
    await change_user(api.database, api.user_id, revision=9, forgotten_revision=3)
    no_cursors = ["", "\0", "W10", "\N{ROCKET}", MessageCursor(1).write(), "x" * 100_000, "MQ"]
    too_old = [each.write() for each in (Cursor(2), Cursor(3, "x"), Cursor(0, "x", 2), Cursor(0, None, 2))]
    cases: list[tuple[str, list[Any], str, str]] = [
        ("first", [0, -1, 1_001, 2**31 - 1], "BAD_USER_INPUT", "first must be 1 to 1,000; it is "),
        ("since", no_cursors, "BAD_USER_INPUT", "since is not a cursor of changes"),
        ("since", too_old, "CURSOR_EXPIRED", "too old"),
        ("since", [Cursor(10).write()], "CURSOR_EXPIRED", "ahead of what the account holds"),
    ]
    for name, values, code, told in cases:
        for value in values:
            answer = await api.execute(QUERY, **{name: value})
            (error,) = answer.errors
            assert (answer.codes, told in error["message"]) == ([code], True)
            if code == "BAD_USER_INPUT":
                assert error["extensions"]["path"] == [name]
            else:
                assert error["message"].endswith("begin anew, without a cursor.")
    for cursor in (Cursor(3), Cursor(4, "x"), Cursor(0, None, 3), Cursor(9), Cursor(9, "x")):
        assert (await api.execute(QUERY, since=cursor.write())).errors == []


async def test_entries_and_deleted_name_their_types_and_types_are_asked_for(api: UserApi) -> None:
    query = """query ($since: String, $types: [EntityKind!], $first: Int) {
        changes(since: $since, types: $types, first: $first) {
            changed { __typename id }
            entries { __typename ... on Task { id title } ... on Message { content conversationId } }
            deletedIds deleted { id type } cursor
    } }"""
    task, gone, talk = await api.task("Sweep"), await api.task(), await api.conversation()
    await api.message(talk.id)
    cursor = (await read(api))["cursor"]
    message = await api.message(talk.id, "Hi")
    await api.ok("updateTask", id=task.id, title="Dust")
    await api.ok("deleteTask", id=gone.id)
    page = (await api.query(query, since=cursor))["changes"]
    assert [row["__typename"] for row in page["entries"]] == [row["__typename"] for row in page["changed"]]
    assert {row["__typename"]: row for row in page["entries"]} == {
        "Task": {"__typename": "Task", "id": task.id, "title": "Dust"},
        "Message": {"__typename": "Message", "content": "Hi", "conversationId": message.conversation_id},
        "Conversation": {"__typename": "Conversation"},
    }
    assert (page["deletedIds"], page["deleted"]) == ([gone.id], [{"id": gone.id, "type": "TASK"}])
    tasks = (await api.query(query, since=cursor, types=["TASK"], first=2))["changes"]
    assert ([row["id"] for row in tasks["changed"]], tasks["deletedIds"]) == ([task.id], [gone.id])
    # What the cursor does not know of cannot be asked for.
    for types in (None, ["TASK", "RUN"], []):
        answer = await api.execute(query, since=tasks["cursor"], types=types)
        assert (answer.codes, answer.errors[0]["extensions"]["path"]) == (
            ["BAD_USER_INPUT"],
            ["types" if types == [] else "since"],
        )
    again = await api.query(query, since=tasks["cursor"], types=["TASK"])
    assert (again["changes"]["changed"], again["changes"]["deleted"]) == ([], [])
