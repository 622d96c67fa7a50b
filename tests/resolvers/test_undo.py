"""undoRun as clients see it."""

from typing import Any, Final

import pytest

from core.database import Database
from models import Task, TaskPriority
from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.histories import Assisted, Hand, assisted

UNDO: Final = """mutation ($input: RunRefInput!) { undoRun(input: $input) {
    run { id status undoneAt revision toolCalls { name } }
    tasks { id title revision createdAt parent { title } history(last: 1) { totalCount nodes { kind by } } }
    deletedIds kept { taskId field message } errors { code message path }
} }"""


BY_USER: Final = {"by": "USER"}


@pytest.fixture
async def run(database: Database, user: SignedIn) -> Assisted:
    return await assisted(database, user)


@pytest.fixture
def person(database: Database, user: SignedIn) -> Hand:
    return Hand(database, user.caller)


async def undo(client: GraphClient, user: SignedIn, run_id: str) -> Any:
    return (await client.query(UNDO, {"input": {"id": run_id}}, as_=user))["undoRun"]


async def test_undo_run_returns_restored_deleted_and_kept_tasks(
    client: GraphClient, user: SignedIn, person: Hand, run: Assisted
) -> None:
    parent, changed = await person.make("parent"), await person.make("changed")
    deleted = await person.make("deleted", parent_id=parent.id)
    made, grown = await run.make("made"), await run.make("grown")
    await run.change(changed, title="x", due_at=None, parent_id=parent.id, priority=TaskPriority.HIGH)
    await run.delete(deleted)
    await person.change(changed, parent_id=None)
    await person.make(parent_id=grown.id)
    payload = await undo(client, user, run.run.id.upper())
    stamp = payload["run"]["revision"]
    undone_at = payload["run"].pop("undoneAt")
    assert payload == {
        "run": {"id": run.run.id, "status": "COMPLETED", "revision": stamp, "toolCalls": [{"name": "add_task"}]},
        "tasks": [
            taken_back(
                deleted, stamp, {"title": "parent"}, {"totalCount": 3, "nodes": [{"kind": "CREATED"} | BY_USER]}
            ),
            taken_back(changed, stamp, None, {"totalCount": 4, "nodes": [{"kind": "UPDATED"} | BY_USER]}),
        ],
        "deletedIds": [made.id],
        "kept": [
            {"taskId": changed.id, "field": "parentId", "message": "It was changed since, and stays as it is."},
            {"taskId": grown.id, "field": None, "message": "The task has subtasks by now, and stays."},
        ],
        "errors": [],
    }
    again = await undo(client, user, run.run.id)
    message = f"This run was undone already, at {undone_at}; it cannot be undone twice."
    assert again["errors"] == [{"code": "CONFLICT", "message": message, "path": ["input", "id"]}]
    assert (again["run"]["undoneAt"], again["tasks"], again["deletedIds"], again["kept"]) == (undone_at, [], [], [])


def taken_back(task: Task, revision: int, parent: Any, history: Any) -> dict[str, Any]:
    """Return a task as it was made, with what is new of it."""
    return {
        "id": task.id,
        "title": task.title,
        "revision": revision,
        "createdAt": task.created_at.isoformat(),
        "parent": parent,
        "history": history,
    }


async def test_changes_include_what_undo_restored_and_deleted(
    client: GraphClient, user: SignedIn, person: Hand, run: Assisted
) -> None:
    deleted = await person.make("deleted")
    made = await run.make()
    await run.delete(deleted)
    query = "query ($since: String) { changes(since: $since) { changed { __typename id } deletedIds cursor } }"
    cursor = (await client.query(query, as_=user))["changes"]["cursor"]
    await undo(client, user, run.run.id)
    changes = (await client.query(query, {"since": cursor}, as_=user))["changes"]
    expected = [{"__typename": "Run", "id": run.run.id}, {"__typename": "Task", "id": deleted.id}]
    assert sorted(changes["changed"], key=str) == sorted(expected, key=str)
    assert changes["deletedIds"] == [made.id]


async def test_run_of_the_assistant_is_undone(client: GraphClient, user: SignedIn) -> None:
    asking = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
        run { id status toolCalls { id } } errors { message }
    } }"""
    sent = await client.query(asking, {"input": {"content": "add buy milk"}}, as_=user)
    run = sent["sendMessage"]["run"]
    query = "{ tasks { nodes { id title history { nodes { kind by run { id } toolCall { id } } } } } }"
    (task,) = (await client.query(query, as_=user))["tasks"]["nodes"]
    assert task["history"]["nodes"] == [
        {"kind": "CREATED", "by": "ASSISTANT", "run": {"id": run["id"]}, "toolCall": run["toolCalls"][0]}
    ]
    payload = await undo(client, user, run["id"])
    assert (payload["errors"], payload["deletedIds"], payload["kept"]) == ([], [task["id"]], [])
    assert (await client.query(query, as_=user))["tasks"]["nodes"] == []
