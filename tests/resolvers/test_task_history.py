"""The history of tasks and undoRun, as clients see them."""

from typing import Any, Final

from models import Task
from models.columns import recorded_columns
from tests.histories import Assisted, Hand
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


UNDO: Final = """mutation ($id: ID!) { undoRun(input: {id: $id}) {
    run { id status undoneAt revision toolCalls { name } }
    tasks { id title revision parent { title } history(last: 1) { totalCount nodes { kind by } } }
    deletedIds kept { taskId field message } errors { code message path }
} }"""


async def undo(api: UserApi, run_id: str) -> Any:
    return (await api.query(UNDO, id=run_id))["undoRun"]


async def test_undo_run_returns_changed_deleted_and_kept_tasks_once(api: UserApi, run: Assisted) -> None:
    person = Hand(api.database, api.caller)
    parent, changed = await person.make("parent"), await person.make("changed")
    made = await run.make("made")
    await run.change(changed, title="x", parent_id=parent.id)
    await person.change(changed, parent_id=None)
    payload = await undo(api, run.run.id.upper())
    stamp, undone_at = payload["run"]["revision"], payload["run"].pop("undoneAt")
    assert payload["run"] == {
        "id": run.run.id,
        "status": "COMPLETED",
        "revision": stamp,
        "toolCalls": [{"name": "add_task"}],
    }
    (task,) = payload["tasks"]
    assert (task["id"], task["title"], task["revision"], task["parent"]) == (changed.id, "changed", stamp, None)
    assert task["history"] == {"totalCount": 4, "nodes": [{"kind": "UPDATED", "by": "USER"}]}
    told = "It was changed since, and stays as it is."
    assert payload["kept"] == [{"taskId": changed.id, "field": "parentId", "message": told}]
    assert (payload["deletedIds"], payload["errors"]) == ([made.id], [])
    again = await undo(api, run.run.id)
    message = f"This run was undone already, at {undone_at}; it cannot be undone twice."
    assert again["errors"] == [{"code": "CONFLICT", "message": message, "path": ["input", "id"]}]
    assert (again["run"]["undoneAt"], again["tasks"], again["deletedIds"], again["kept"]) == (undone_at, [], [], [])


async def test_run_of_the_assistant_is_undone(api: UserApi) -> None:
    asking = 'mutation { sendMessage(input: {content: "add buy milk"}) { run { id toolCalls { id } } } }'
    run = (await api.query(asking))["sendMessage"]["run"]
    query = "{ tasks { nodes { id history { nodes { kind by run { id } toolCall { id } } } } } }"
    (task,) = (await api.query(query))["tasks"]["nodes"]
    assert task["history"]["nodes"] == [
        {"kind": "CREATED", "by": "ASSISTANT", "run": {"id": run["id"]}, "toolCall": run["toolCalls"][0]}
    ]
    payload = await undo(api, run["id"])
    assert (payload["errors"], payload["deletedIds"], payload["kept"]) == ([], [task["id"]], [])
    assert await api.query(query) == {"tasks": {"nodes": []}}
