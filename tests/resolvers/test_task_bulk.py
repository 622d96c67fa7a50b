"""Making, completing and deleting several tasks: all or none."""

from typing import Any

from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_task
from tests.graph_client import GraphClient, refusal
from tests.state import state_of

NO_TASK = "There is no such task."


async def test_create_tasks_creates_all_with_one_revision(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    given = [{"title": f" Task {number} ", "priority": "LOW", "tags": [str(number)]} for number in range(100)]
    payload = await client.mutate("createTasks", {"tasks": given}, as_=user)
    assert payload["errors"] == []
    assert [(task["title"], task["tags"]) for task in payload["tasks"]] == [
        (f"Task {number}", [str(number)]) for number in range(100)
    ]
    ids = [task["id"] for task in payload["tasks"]]
    assert ids == sorted(ids)
    state = await state_of(database, user.user.id)
    assert (state.revision, state.stamps) == (1, [1] * 100)


async def test_create_tasks_creates_a_tree(client: GraphClient, database: Database, user: SignedIn) -> None:
    stored = await make_task(database, user.caller)
    root, child, leaf = new_id(), new_id(), new_id()
    given = [
        {"title": "root", "id": root, "parentId": stored.id},
        {"title": "child", "id": child, "parentId": root.upper()},
        {"title": "leaf", "id": leaf, "parentId": child},
        {"title": "other leaf", "parentId": child},
    ]
    payload = await client.mutate("createTasks", {"tasks": given}, as_=user)
    assert payload["errors"] == []
    rows = (await state_of(database, user.user.id)).rows
    assert [rows[task["id"]].parent_id for task in payload["tasks"]] == [stored.id, root, child, child]


def of_list(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"tasks": [{"title": "x"} | change for change in changes]}


ID = "0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e"


async def test_create_tasks_with_one_invalid_task_creates_none(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    for given, code, path, message in [
        (of_list({}, {"title": " "}), "BAD_USER_INPUT", "1.title", "title must be 1 to 500 characters long; it has 0."),
        (
            of_list({}, {}, {"tags": ["x", ""]}),
            "BAD_USER_INPUT",
            "2.tags.1",
            "tags[1] must be 1 to 50 characters long; it has 0.",
        ),
        (
            of_list({}, {"description": "\0"}),
            "BAD_USER_INPUT",
            "1.description",
            "description contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode.",
        ),
        (
            of_list({}, {"id": "x"}),
            "BAD_USER_INPUT",
            "1.id",
            "id must be a UUID, such as 0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e.",
        ),
        (of_list({"id": ID}, {}, {"id": ID.upper()}), "CONFLICT", "2.id", "This id is given twice."),
        (of_list({}, {"parentId": ID}), "NOT_FOUND", "1.parentId", NO_TASK),
        (of_list({}, {"parentId": "x"}), "NOT_FOUND", "1.parentId", NO_TASK),
        (of_list({"parentId": ID}, {"id": ID}), "NOT_FOUND", "0.parentId", NO_TASK),
        (of_list({"id": ID, "parentId": ID}), "NOT_FOUND", "0.parentId", NO_TASK),
        (
            of_list({}, {"idempotencyKey": "k"}),
            "BAD_USER_INPUT",
            "1.idempotencyKey",
            "Tasks made together have one idempotencyKey, beside the tasks; leave it out here.",
        ),
    ]:
        before = await state_of(database, user.user.id)
        payload = await client.mutate("createTasks", given | {"idempotencyKey": "once"}, as_=user)
        assert refusal(payload) == (code, f"input.tasks.{path}", message)
        assert await state_of(database, user.user.id) == before


async def test_more_than_a_hundred_are_refused(client: GraphClient, database: Database, user: SignedIn) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("createTasks", {"tasks": [{"title": "x"}] * 101}, "tasks"),
        ("setTasksCompleted", {"ids": [ID] * 101, "completed": True}, "ids"),
        ("deleteTasks", {"ids": [ID] * 101}, "ids"),
    ]
    for name, given, path in cases:
        before = await state_of(database, user.user.id)
        payload = await client.mutate(name, given, as_=user)
        assert refusal(payload) == ("BAD_USER_INPUT", f"input.{path}", f"{path} takes at most 100 at once; it has 101.")
        assert await state_of(database, user.user.id) == before


async def test_empty_list_changes_nothing(client: GraphClient, database: Database, user: SignedIn) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("createTasks", {"tasks": []}, "tasks"),
        ("createTasks", {"tasks": [], "idempotencyKey": "none"}, "tasks"),
        ("setTasksCompleted", {"ids": [], "completed": True}, "tasks"),
        ("deleteTasks", {"ids": []}, "deletedIds"),
    ]
    for name, given, result in cases:
        before = await state_of(database, user.user.id)
        for _ in range(2):
            assert await client.mutate(name, given, as_=user) == {result: [], "errors": []}
        assert (await state_of(database, user.user.id)).revision == before.revision


async def test_set_tasks_completed_changes_all(client: GraphClient, database: Database, user: SignedIn) -> None:
    open_one, done, other = [await make_task(database, user.caller) for _ in range(3)]
    await client.mutate("toggleTask", {"id": done.id}, as_=user)
    before = await state_of(database, user.user.id)
    ids = [other.id, done.id.upper(), open_one.id, other.id]
    payload = await client.mutate("setTasksCompleted", {"ids": ids, "completed": True}, as_=user)
    assert payload["errors"] == []
    assert [task["id"] for task in payload["tasks"]] == [other.id, done.id, open_one.id, other.id]
    assert [task["revision"] for task in payload["tasks"]] == [5, 4, 5, 5]
    assert all(task["completed"] and task["completedAt"] for task in payload["tasks"])
    after = await state_of(database, user.user.id)
    assert after.revision == 5
    assert after.rows[done.id] == before.rows[done.id]
    again = await client.mutate("setTasksCompleted", {"ids": ids, "completed": True}, as_=user)
    assert again == payload
    assert await state_of(database, user.user.id) == after
    opened = await client.mutate("setTasksCompleted", {"ids": ids, "completed": False}, as_=user)
    assert not any(task["completed"] or task["completedAt"] for task in opened["tasks"])
