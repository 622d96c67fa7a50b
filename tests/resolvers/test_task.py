"""Creating and changing a task."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.ids import new_id
from models import Task
from models.columns import Kind, public_columns
from tests.resolvers.user_api import UserApi

DEFAULTS = {
    column.api_name: column.make_default()
    for column in public_columns(Task)
    if not column.is_required and column.kind is not Kind.REFERENCE
}


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


async def test_null_for_a_required_value_is_refused(api: UserApi) -> None:
    query = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { task { id } } }"
    for name in ("priority", "tags", "title"):
        answer = await api.execute(query, input={"title": "x", name: None})
        assert (answer.status, answer.codes) == (400, ["BAD_USER_INPUT"])
        assert f"at .{name}: Expected value of non-null type" in answer.errors[0]["message"]
    task = await create(api)
    async with api.unchanged():
        for name in ("title", "completed", "priority"):
            message = f"{name} cannot be cleared; leave it out to keep it as it is."
            refused = await api.refused("updateTask", id=task["id"], **{name: None})
            assert refused == ("BAD_USER_INPUT", f"input.{name}", message)


async def test_longest_texts_are_stored(api: UserApi) -> None:
    longest = {
        "title": "\N{ROCKET}" * 500,
        "description": "\N{ROCKET}" * 10_000,
        "tags": [f"{number:02}{'é' * 48}" for number in range(20)],
    }
    task = await create(api, **longest | {"title": f"  {longest['title']} "})
    assert {name: task[name] for name in longest} == longest
    assert (await create(api, description=""))["description"] == ""


async def test_update_without_a_change_takes_no_revision(api: UserApi) -> None:
    cases: list[dict[str, Any]] = [
        {},
        {"title": " Water the plants ", "completed": False},
        {"priority": "MEDIUM", "tags": ["home", "home "]},
        {"dueAt": "2026-03-01T10:30:00+01:00"},
        {"description": None, "parentId": None},
    ]
    task = await create(api, dueAt="2026-03-01T09:30:00Z", tags=["home"])
    async with api.unchanged():
        for given in cases:
            assert await api.ok("updateTask", id=task["id"], **given) == {"task": task}


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
