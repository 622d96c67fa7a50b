"""The history of a task as clients read it."""

from typing import Any, Final

from models import Task
from models.columns import recorded_columns
from tests.histories import Assisted
from tests.resolvers.user_api import UserApi

HISTORY: Final = """query ($id: ID!) { task(id: $id) { history {
    nodes { kind by createdAt fields { name before after } run { id status } toolCall { id name } }
} } }"""


async def read(api: UserApi, task_id: str) -> Any:
    return (await api.query(HISTORY, id=task_id))["task"]["history"]["nodes"]


async def test_history_has_changes_of_user_and_assistant(api: UserApi, run: Assisted) -> None:
    parent = await api.task()
    made = (await api.ok("createTask", title="first", dueAt="2026-03-01T09:30:00+02:00"))["task"]
    await run.change(parent, title="x")
    given = {"id": made["id"], "parentId": parent.id, "tags": ["a"], "priority": "HIGH"}
    changed = (await api.ok("updateTask", **given))["task"]
    first, second = await read(api, made["id"])
    assert (first["kind"], first["by"], first["run"], first["toolCall"]) == ("CREATED", "USER", None, None)
    assert (first["createdAt"], second["createdAt"]) == (made["createdAt"], changed["updatedAt"])
    names = [*(column.api_name for column in recorded_columns(Task)), "createdAt"]
    assert first["fields"] == [{"name": name, "before": None, "after": made.get(name)} for name in names]
    assert second["fields"] == [
        {"name": "priority", "before": "MEDIUM", "after": "HIGH"},
        {"name": "tags", "before": [], "after": ["a"]},
        {"name": "parentId", "before": None, "after": parent.id},
    ]
    (_, by_run) = await read(api, parent.id)
    assert (by_run["kind"], by_run["by"]) == ("UPDATED", "ASSISTANT")
    assert by_run["run"] == {"id": run.run.id, "status": "COMPLETED"}
    assert by_run["toolCall"] == {"id": run.answered.calls[0].id, "name": "add_task"}


async def test_change_by_a_deleted_run_names_the_assistant(api: UserApi, run: Assisted) -> None:
    task = await run.make()
    await api.ok("deleteConversation", id=run.run.conversation_id)
    (made,) = await read(api, task.id)
    assert (made["by"], made["run"], made["toolCall"]) == ("ASSISTANT", None, None)
