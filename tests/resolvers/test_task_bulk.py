"""Creating, completing and deleting several tasks: all or none."""

from typing import Any

from core.ids import new_id
from tests.resolvers.user_api import UserApi

ID = "0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e"


async def test_create_tasks_creates_all_with_one_revision(api: UserApi) -> None:
    given = [{"title": f" Task {number} ", "priority": "LOW", "tags": [str(number)]} for number in range(100)]
    tasks = (await api.ok("createTasks", tasks=given))["tasks"]
    assert [(task["title"], task["tags"]) for task in tasks] == [
        (f"Task {number}", [f"{number}"]) for number in range(100)
    ]
    ids = [task["id"] for task in tasks]
    assert ids == sorted(ids)
    state = await api.state()
    assert (state.revision, state.stamps) == (1, [1] * 100)


async def test_create_tasks_creates_a_tree(api: UserApi) -> None:
    stored, root, child = (await api.task()).id, new_id(), new_id()
    given = [
        {"title": "root", "id": root, "parentId": stored},
        {"title": "child", "id": child, "parentId": root.upper()},
        *[{"title": "leaf", "parentId": child}] * 2,
    ]
    tasks = (await api.ok("createTasks", tasks=given))["tasks"]
    rows = (await api.state()).rows
    assert [rows[task["id"]].parent_id for task in tasks] == [stored, root, child, child]


async def test_create_tasks_with_one_invalid_task_creates_none(api: UserApi) -> None:
    no_id = "id must be a UUID, such as 0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e."
    one_key = "Tasks made together have one idempotencyKey, beside the tasks; leave it out here."
    no_task = "There is no such task."
    cases: list[tuple[list[dict[str, Any]], str, str, str]] = [
        ([{}, {"title": " "}], "BAD_USER_INPUT", "1.title", "title must be 1 to 500 characters long; it has 0."),
        ([{}, {"tags": ["x", ""]}], "BAD_USER_INPUT", "1.tags.1", "tags[1] must be 1 to 50 characters long; it has 0."),
        ([{}, {"id": "x"}], "BAD_USER_INPUT", "1.id", no_id),
        ([{"id": ID}, {}, {"id": ID.upper()}], "CONFLICT", "2.id", "This id is given twice."),
        ([{}, {"parentId": ID}], "NOT_FOUND", "1.parentId", no_task),
        ([{}, {"parentId": "x"}], "NOT_FOUND", "1.parentId", no_task),
        ([{"parentId": ID}, {"id": ID}], "NOT_FOUND", "0.parentId", no_task),
        ([{"id": ID, "parentId": ID}], "NOT_FOUND", "0.parentId", no_task),
        ([{}, {"idempotencyKey": "k"}], "BAD_USER_INPUT", "1.idempotencyKey", one_key),
    ]
    async with api.unchanged():
        for given, code, path, message in cases:
            tasks = [{"title": "x"} | each for each in given]
            refused = await api.refused("createTasks", tasks=tasks, idempotencyKey="once")
            assert refused == (code, f"input.tasks.{path}", message)


async def test_no_tasks_change_nothing(api: UserApi) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("createTasks", {"tasks": [], "idempotencyKey": "none"}, "tasks"),
        ("setTasksCompleted", {"ids": [], "completed": True}, "tasks"),
        ("deleteTasks", {"ids": []}, "deletedIds"),
    ]
    for name, given, result in [*cases, *cases]:
        assert await api.ok(name, **given) == {result: []}
    assert (await api.state()).revision == 0
    refused = await api.refused("deleteTasks", ids=[ID] * 101)
    assert refused == ("BAD_USER_INPUT", "input.ids", "ids takes at most 100 at once; it has 101.")


async def test_set_tasks_completed_changes_all(api: UserApi) -> None:
    open_one, done, other = [await api.task() for _ in range(3)]
    await api.ok("toggleTask", id=done.id)
    before = await api.state()
    ids = [other.id, done.id.upper(), open_one.id, other.id]
    tasks = (await api.ok("setTasksCompleted", ids=ids, completed=True))["tasks"]
    expected = [(other.id, 5), (done.id, 4), (open_one.id, 5), (other.id, 5)]
    assert [(task["id"], task["revision"]) for task in tasks] == expected
    assert all(task["completed"] and task["completedAt"] for task in tasks)
    after = await api.state()
    assert (after.revision, after.rows[done.id]) == (5, before.rows[done.id])
    async with api.unchanged():
        assert await api.ok("setTasksCompleted", ids=ids, completed=True) == {"tasks": tasks}
    opened = await api.ok("setTasksCompleted", ids=ids, completed=False)
    assert not any(task["completed"] or task["completedAt"] for task in opened["tasks"])
