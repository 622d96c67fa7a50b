"""Creating, changing, moving, completing and deleting tasks, one or several."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.ids import new_id
from models import Task
from models.columns import public_columns
from tests.resolvers.user_api import UserApi

DEFAULTS = {column.api_name: column.make_default() for column in public_columns(Task) if not column.is_required}


async def create(api: UserApi, **given: Any) -> dict[str, Any]:
    task: dict[str, Any] = (await api.ok("createTask", **{"title": "Water the plants"} | given))["task"]
    return task


async def test_task_of_a_title_has_the_defaults(api: UserApi) -> None:
    before = utc_now()
    task = await create(api)
    made = datetime.fromisoformat(task["createdAt"])
    assert before <= made <= utc_now()
    assert made.utcoffset() == timedelta(0)
    moments = dict.fromkeys(("createdAt", "updatedAt"), made.isoformat())
    assert task == DEFAULTS | moments | {"id": task["id"], "title": "Water the plants", "revision": 1}


async def test_completed_at_is_the_moment_of_completion(api: UserApi) -> None:
    task = await create(api)
    before = utc_now()
    done, again, opened = [
        (await api.ok("updateTask", id=task["id"], **given))["task"]
        for given in ({"completed": True}, {"completed": True, "title": "New"}, {"completed": False})
    ]
    assert before <= datetime.fromisoformat(done["completedAt"]) <= datetime.now(UTC)
    assert again["completedAt"] == done["completedAt"]
    assert (opened["completed"], opened["completedAt"]) == (False, None)


@pytest.mark.parametrize("name", ["updateTask", "toggleTask", "deleteTask"])
async def test_stale_revision_is_a_conflict_with_the_current_task(api: UserApi, name: str) -> None:
    task = await api.task()
    current = (await api.ok("toggleTask", id=task.id))["task"]
    async with api.unchanged():
        for expected in (0, 1, 3, -(2**31), 2**31 - 1):
            payload = await api.mutate(name, id=task.id, expectedRevision=expected)
            (error,) = payload["errors"]
            assert (error["code"], error["path"]) == ("CONFLICT", ["input", "expectedRevision"])
            message = f"It has changed since: its revision is 2, not {expected}. Read it again, then retry."
            assert error["message"] == message
            assert payload.get("task", current) == current
            assert payload.get("deletedIds", []) == []
    await api.ok(name, id=task.id, expectedRevision=2)


async def test_mutations_of_one_operation_run_one_after_another(api: UserApi) -> None:
    query = """mutation ($id: ID!) {
        made: createTask(input: {id: $id, title: "Parent"}) { task { revision subtasks { totalCount } } }
        child: createTask(input: {title: "Child", parentId: $id}) {
            task { revision parent { title revision subtasks { totalCount nodes { title } } } }
        }
        renamed: updateTask(input: {id: $id, title: "Renamed"}) { task { title subtasks { totalCount } } }
        other: createTask(input: {title: "Other", parentId: $id}) { task { parent { title subtasks { totalCount } } } }
        refused: updateTask(input: {id: $id, title: " "}) { task { id } errors { code } }
        stale: toggleTask(input: {id: $id, expectedRevision: 1}) { task { title completed } errors { code } }
        deleted: deleteTask(input: {id: $id}) { errors { code } }
        gone: toggleTask(input: {id: $id}) { task { id } errors { code } }
    }"""
    parent = {"title": "Parent", "revision": 1, "subtasks": {"totalCount": 1, "nodes": [{"title": "Child"}]}}
    assert await api.query(query, id=new_id()) == {
        "made": {"task": {"revision": 1, "subtasks": {"totalCount": 0}}},
        "child": {"task": {"revision": 2, "parent": parent}},
        "renamed": {"task": {"title": "Renamed", "subtasks": {"totalCount": 1}}},
        "other": {"task": {"parent": {"title": "Renamed", "subtasks": {"totalCount": 2}}}},
        "refused": {"task": None, "errors": [{"code": "BAD_USER_INPUT"}]},
        "stale": {"task": {"title": "Renamed", "completed": False}, "errors": [{"code": "CONFLICT"}]},
        "deleted": {"errors": []},
        "gone": {"task": None, "errors": [{"code": "NOT_FOUND"}]},
    }
    state = await api.state()
    assert (state.revision, len(state.rows), len(state.deletions)) == (5, 0, 3)


BELOW_ITSELF = (
    "BAD_USER_INPUT",
    "input.parentId",
    "A task cannot be below itself; choose a parent outside its subtasks.",
)


async def make_chain(api: UserApi, length: int) -> list[Task]:
    """Make tasks each of which is the parent of the next."""
    chain: list[Task] = []
    for depth in range(length):
        chain.append(await api.task(f"depth {depth}", parent_id=chain[-1].id if chain else None))
    return chain


async def test_moved_task_keeps_its_subtasks(api: UserApi) -> None:
    root, child, leaf = await make_chain(api, 3)
    other = await api.task()
    await api.ok("updateTask", id=child.id, parentId=other.id.upper())
    await api.ok("updateTask", id=leaf.id, parentId=root.id)
    assert await api.refused("updateTask", id=root.id, parentId=leaf.id) == BELOW_ITSELF
    rows = (await api.state()).rows
    assert [rows[task.id].parent_id for task in (root, child, leaf)] == [None, other.id, root.id]


async def test_deletion_takes_the_subtasks_along(api: UserApi) -> None:
    spared = await api.task()
    root, child, leaf = await make_chain(api, 3)
    other_leaf = await api.task(parent_id=child.id)
    deleted = await api.ok("deleteTask", id=child.id.upper(), expectedRevision=3)
    assert deleted == {"deletedIds": [child.id, *sorted([leaf.id, other_leaf.id])]}
    state = await api.state()
    assert (set(state.rows), state.revision) == ({spared.id, root.id}, 6)
    tombstones = {row.id: (row.kind, row.revision) for row in state.deletions.values()}
    assert tombstones == {task.id: ("TASK", 6) for task in (child, leaf, other_leaf)}
    async with api.unchanged():
        for task in (child, leaf):
            gone = await api.refused("deleteTask", id=task.id)
            assert gone == ("NOT_FOUND", "input.id", "There is no such task.")
        # A creation that fails keeps the tombstone.
        assert len((await api.mutate("createTask", title=" ", id=child.id))["errors"]) == 1


async def test_id_of_a_deleted_task_can_be_used_again(api: UserApi) -> None:
    parent, child = await make_chain(api, 2)
    await api.ok("deleteTask", id=parent.id)
    assert (await api.ok("createTask", title="Again", id=child.id))["task"]["revision"] == 4
    state = await api.state()
    assert (set(state.rows), set(state.deletions)) == ({child.id}, {parent.id})
    await api.ok("createConversation", id=parent.id)
    for name, row_id in (("deleteTask", child.id), ("deleteConversation", parent.id)):
        assert await api.ok(name, id=row_id) == {"deletedIds": [row_id]}
    tombstones = {row.id: (row.kind, row.revision) for row in (await api.state()).deletions.values()}
    assert tombstones == {child.id: ("TASK", 6), parent.id: ("CONVERSATION", 7)}


async def test_chain_of_three_hundred_is_deleted_whole(api: UserApi) -> None:
    ids = [new_id() for _ in range(300)]
    chain = [{"title": "x", "id": row_id, "parentId": up} for row_id, up in zip(ids, [None, *ids[:-1]], strict=True)]
    for begin in range(0, 300, 100):
        await api.ok("createTasks", tasks=chain[begin : begin + 100])
    assert await api.refused("updateTask", id=ids[0], parentId=ids[-1]) == BELOW_ITSELF
    assert set((await api.ok("deleteTask", id=ids[0]))["deletedIds"]) == set(ids)
    state = await api.state()
    assert (state.rows, len(state.deletions)) == ({}, 300)


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
