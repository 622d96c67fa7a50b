"""The history of a task as clients read it."""

from typing import Any, Final

import pytest

from core.database import Database
from tests.factories import SignedIn, make_task
from tests.graph_client import GraphClient
from tests.histories import Assisted, assisted

HISTORY: Final = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { task(id: $id) {
    history(first: $first, after: $after, last: $last, before: $before) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        nodes { id kind by createdAt fields { name before after } run { id status } toolCall { id name } }
    }
} }"""


@pytest.fixture
async def run(database: Database, user: SignedIn) -> Assisted:
    return await assisted(database, user)


async def read(client: GraphClient, user: SignedIn, task_id: str, **page: Any) -> Any:
    return (await client.query(HISTORY, {"id": task_id} | page, as_=user))["task"]["history"]


async def test_history_has_changes_of_user_and_assistant(
    client: GraphClient, database: Database, user: SignedIn, run: Assisted
) -> None:
    parent = await make_task(database, user.caller)
    made = await client.mutate("createTask", {"title": "first", "dueAt": "2026-03-01T09:30:00+02:00"}, as_=user)
    task_id = made["task"]["id"]
    await run.change(parent, title="x")
    given = {"id": task_id, "parentId": parent.id, "tags": ["a"], "priority": "HIGH"}
    changed = await client.mutate("updateTask", given, as_=user)
    history = await read(client, user, task_id)
    first, second = history["nodes"]
    assert (first["kind"], first["by"], first["run"], first["toolCall"]) == ("CREATED", "USER", None, None)
    assert first["createdAt"] == made["task"]["createdAt"]
    assert first["fields"] == [
        {"name": "title", "before": None, "after": "first"},
        {"name": "description", "before": None, "after": None},
        {"name": "completed", "before": None, "after": False},
        {"name": "completedAt", "before": None, "after": None},
        {"name": "priority", "before": None, "after": "MEDIUM"},
        {"name": "dueAt", "before": None, "after": made["task"]["dueAt"]},
        {"name": "tags", "before": None, "after": []},
        {"name": "parentId", "before": None, "after": None},
        {"name": "createdAt", "before": None, "after": made["task"]["createdAt"]},
    ]
    assert second["createdAt"] == changed["task"]["updatedAt"]
    assert second["fields"] == [
        {"name": "priority", "before": "MEDIUM", "after": "HIGH"},
        {"name": "tags", "before": [], "after": ["a"]},
        {"name": "parentId", "before": None, "after": parent.id},
    ]
    (_, by_run) = (await read(client, user, parent.id))["nodes"]
    assert (by_run["kind"], by_run["by"]) == ("UPDATED", "ASSISTANT")
    assert by_run["run"] == {"id": run.run.id, "status": "COMPLETED"}
    assert by_run["toolCall"] == {"id": run.answered.calls[0].id, "name": "add_task"}


async def test_change_by_a_deleted_run_names_the_assistant(client: GraphClient, user: SignedIn, run: Assisted) -> None:
    task = await run.make()
    deleted = await client.mutate("deleteConversation", {"id": run.run.conversation_id}, as_=user)
    assert deleted["errors"] == []
    (made,) = (await read(client, user, task.id))["nodes"]
    assert (made["by"], made["run"], made["toolCall"]) == ("ASSISTANT", None, None)
