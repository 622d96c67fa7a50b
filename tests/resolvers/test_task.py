"""Making and changing a task."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import utc_now
from core.database import Database
from core.ids import new_id
from tests.factories import SignedIn, make_task
from tests.graph_client import GraphClient, refusal
from tests.state import state_of


async def create(client: GraphClient, user: SignedIn, **given: Any) -> dict[str, Any]:
    payload = await client.mutate("createTask", {"title": "Water the plants"} | given, as_=user)
    assert payload["errors"] == []
    task: dict[str, Any] = payload["task"]
    return task


async def test_task_of_a_title_has_the_defaults(client: GraphClient, user: SignedIn) -> None:
    before = utc_now()
    task = await create(client, user)
    made = datetime.fromisoformat(task.pop("createdAt"))
    assert before <= made <= utc_now()
    assert made.utcoffset() == timedelta(0)
    assert task.pop("updatedAt") == made.isoformat()
    assert task == {
        "id": task["id"],
        "title": "Water the plants",
        "description": None,
        "completed": False,
        "completedAt": None,
        "priority": "MEDIUM",
        "dueAt": None,
        "tags": [],
        "revision": 1,
    }


async def test_null_for_a_required_value_is_refused(client: GraphClient, user: SignedIn) -> None:
    for name in ["priority", "tags", "title"]:
        query = "mutation ($input: CreateTaskInput!) { createTask(input: $input) { task { id } } }"
        answer = await client.execute(query, {"input": {"title": "x", name: None}}, as_=user)
        assert (answer.status, answer.codes) == (400, ["BAD_USER_INPUT"])
        assert f"at .{name}: Expected value of non-null type" in answer.errors[0]["message"]


async def test_values_out_of_bounds_are_refused(client: GraphClient, database: Database, user: SignedIn) -> None:
    for name in ["createTask", "updateTask"]:
        cases: list[tuple[dict[str, Any], str, str]] = [
            ({"title": "x" * 501}, "title", "title must be 1 to 500 characters long; it has 501."),
            ({"title": ""}, "title", "title must be 1 to 500 characters long; it has 0."),
            ({"title": " \t\n\u3000"}, "title", "title must be 1 to 500 characters long; it has 0."),
            (
                {"description": "x" * 10_001},
                "description",
                "description must be at most 10000 characters long; it has 10001.",
            ),
            ({"tags": ["x"] * 21}, "tags", "A task has at most 20 tags; these are 21."),
            ({"tags": ["ok", "x" * 51]}, "tags.1", "tags[1] must be 1 to 50 characters long; it has 51."),
            ({"tags": ["ok", "ok", " "]}, "tags.2", "tags[2] must be 1 to 50 characters long; it has 0."),
        ]
        for given, path, message in cases:
            ref = {"title": "x"} if name == "createTask" else {"id": (await make_task(database, user.caller)).id}
            before = await state_of(database, user.user.id)
            payload = await client.mutate(name, ref | given, as_=user)
            assert refusal(payload) == ("BAD_USER_INPUT", f"input.{path}", message)
            assert await state_of(database, user.user.id) == before


async def test_longest_texts_are_stored(client: GraphClient, user: SignedIn) -> None:
    longest = {
        "title": "\N{ROCKET}" * 500,
        "description": "\N{ROCKET}" * 10_000,
        "tags": [f"{number:02}{'é' * 48}" for number in range(20)],
    }
    task = await create(client, user, **longest | {"title": f"  {longest['title']} "})
    assert {name: task[name] for name in longest} == longest
    empty = await create(client, user, description="")
    assert empty["description"] == ""


async def test_update_keeps_fields_that_are_left_out(client: GraphClient, user: SignedIn) -> None:
    task = await create(client, user, description="Twice", dueAt="2026-03-01T09:30:00Z", tags=["home"], priority="LOW")
    changed = await client.mutate("updateTask", {"id": task["id"].upper(), "title": "  Feed the cat "}, as_=user)
    assert changed["errors"] == []
    assert changed["task"].pop("updatedAt") > task.pop("updatedAt")
    assert changed["task"] == task | {"title": "Feed the cat", "revision": 2}


async def test_update_with_null_for_a_required_field_is_refused(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    for name in ["title", "completed", "priority"]:
        task = await create(client, user)
        before = await state_of(database, user.user.id)
        payload = await client.mutate("updateTask", {"id": task["id"], name: None}, as_=user)
        message = f"{name} cannot be cleared; leave it out to keep it as it is."
        assert refusal(payload) == ("BAD_USER_INPUT", f"input.{name}", message)
        assert await state_of(database, user.user.id) == before


async def test_update_without_a_change_takes_no_revision(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    cases: list[dict[str, Any]] = [
        {},
        {"title": " Water the plants "},
        {"completed": False},
        {"priority": "MEDIUM", "tags": ["home", "home "]},
        {"dueAt": "2026-03-01T10:30:00+01:00"},
        {"description": None, "parentId": None},
    ]
    for given in cases:
        task = await create(client, user, dueAt="2026-03-01T09:30:00Z", tags=["home"])
        before = await state_of(database, user.user.id)
        payload = await client.mutate("updateTask", {"id": task["id"]} | given, as_=user)
        assert payload == {"task": task, "errors": []}
        assert await state_of(database, user.user.id) == before


async def test_completed_at_is_the_moment_of_completion(client: GraphClient, user: SignedIn) -> None:
    task = await create(client, user)
    before = utc_now()
    done = (await client.mutate("updateTask", {"id": task["id"], "completed": True}, as_=user))["task"]
    completed_at = datetime.fromisoformat(done["completedAt"])
    assert before <= completed_at <= datetime.now(UTC)
    again = (await client.mutate("updateTask", {"id": task["id"], "completed": True, "title": "New"}, as_=user))["task"]
    assert again["completedAt"] == done["completedAt"]
    opened = (await client.mutate("updateTask", {"id": task["id"], "completed": False}, as_=user))["task"]
    assert (opened["completed"], opened["completedAt"]) == (False, None)


@pytest.mark.parametrize("name", ["updateTask", "toggleTask", "deleteTask"])
@pytest.mark.parametrize("expected", [0, 1, 3, -(2**31), 2**31 - 1])
async def test_stale_revision_is_a_conflict_with_the_current_task(
    client: GraphClient, database: Database, user: SignedIn, name: str, expected: int
) -> None:
    task = await make_task(database, user.caller)
    (current,) = [(await client.mutate("toggleTask", {"id": task.id}, as_=user))["task"]]
    before = await state_of(database, user.user.id)
    payload = await client.mutate(name, {"id": task.id, "expectedRevision": expected}, as_=user)
    (error,) = payload["errors"]
    assert (error["code"], error["path"]) == ("CONFLICT", ["input", "expectedRevision"])
    assert error["message"] == (f"It has changed since: its revision is 2, not {expected}. Read it again, then retry.")
    assert payload.get("task", current) == current
    assert payload.get("deletedIds", []) == []
    assert await state_of(database, user.user.id) == before


@pytest.mark.parametrize("name", ["updateTask", "toggleTask", "deleteTask"])
async def test_current_revision_is_accepted(client: GraphClient, database: Database, user: SignedIn, name: str) -> None:
    task = await make_task(database, user.caller)
    payload = await client.mutate(name, {"id": task.id, "expectedRevision": task.revision}, as_=user)
    assert payload["errors"] == []


async def test_mutations_of_one_operation_run_one_after_another(
    client: GraphClient, database: Database, user: SignedIn
) -> None:
    query = """mutation ($id: ID!) {
        made: createTask(input: {id: $id, title: "Parent"}) { task { revision subtasks { totalCount } } }
        child: createTask(input: {title: "Child", parentId: $id}) {
            task { revision parent { title revision subtasks { totalCount nodes { title } } } }
        }
        renamed: updateTask(input: {id: $id, title: "Renamed"}) { task { revision subtasks { totalCount } } }
        refused: updateTask(input: {id: $id, title: " "}) { task { id } errors { code } }
        stale: toggleTask(input: {id: $id, expectedRevision: 1}) { task { title completed } errors { code } }
        deleted: deleteTask(input: {id: $id}) { errors { code } }
        gone: toggleTask(input: {id: $id}) { task { id } errors { code } }
    }"""
    answer = await client.query(query, {"id": new_id()}, as_=user)
    parent = {"title": "Parent", "revision": 1, "subtasks": {"totalCount": 1, "nodes": [{"title": "Child"}]}}
    assert answer == {
        "made": {"task": {"revision": 1, "subtasks": {"totalCount": 0}}},
        "child": {"task": {"revision": 2, "parent": parent}},
        "renamed": {"task": {"revision": 3, "subtasks": {"totalCount": 1}}},
        "refused": {"task": None, "errors": [{"code": "BAD_USER_INPUT"}]},
        "stale": {"task": {"title": "Renamed", "completed": False}, "errors": [{"code": "CONFLICT"}]},
        "deleted": {"errors": []},
        "gone": {"task": None, "errors": [{"code": "NOT_FOUND"}]},
    }
    state = await state_of(database, user.user.id)
    assert (state.revision, len(state.rows), len(state.deletions)) == (4, 0, 2)
