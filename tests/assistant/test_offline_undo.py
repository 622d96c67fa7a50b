"""What the assistant did is told of each task, and taken back at a word."""

from typing import Any, Final

import pytest

from core.database import Database
from tests.assistant.chat import Chat
from tests.factories import NOBODYS_ID, make_task

_HISTORY: Final = """query ($id: ID!) { task(id: $id) { title completed history { nodes {
    kind by run { id } toolCall { id name } fields { name before after }
} } } }"""
_UNDO: Final = """mutation ($input: RunRefInput!) { undoRun(input: $input) {
    run { id undoneAt } tasks { id title completed } deletedIds kept { taskId field message } errors { code message }
} }"""


@pytest.fixture
def provider_settings() -> dict[str, Any]:
    """Give no provider, as a server has none at first."""
    return {}


async def undo(chat: Chat, run_id: str) -> Any:
    return (await chat.client.query(_UNDO, {"input": {"id": run_id}}, as_=chat.user))["undoRun"]


async def history(chat: Chat, task_id: str) -> list[dict[str, Any]]:
    found = (await chat.client.query(_HISTORY, {"id": task_id}, as_=chat.user))["task"]
    nodes: list[dict[str, Any]] = found["history"]["nodes"]
    return nodes


async def test_a_task_tells_who_changed_it(chat: Chat) -> None:
    run = (await chat.send("add buy milk"))["run"]
    (task,) = await chat.tasks()
    await chat.client.mutate("updateTask", {"id": task["id"], "title": "Buy oat milk"}, as_=chat.user)
    other = (await chat.send("I bought oat milk"))["run"]
    assert other["toolCalls"][-1]["name"] == "complete_task"
    made, renamed, done = await history(chat, task["id"])
    assert (made["kind"], made["by"], made["run"]) == ("CREATED", "ASSISTANT", {"id": run["id"]})
    assert made["toolCall"] == {"id": run["toolCalls"][0]["id"], "name": "add_task"}
    assert renamed == {
        "kind": "UPDATED",
        "by": "USER",
        "run": None,
        "toolCall": None,
        "fields": [{"name": "title", "before": "buy milk", "after": "Buy oat milk"}],
    }
    assert (done["by"], done["run"]) == ("ASSISTANT", {"id": other["id"]})
    assert done["toolCall"] == {"id": other["toolCalls"][-1]["id"], "name": "complete_task"}
    assert {"name": "completed", "before": False, "after": True} in done["fields"]


async def test_what_was_added_goes_again(chat: Chat, database: Database) -> None:
    await make_task(database, chat.user.caller, "Sweep")
    run = (await chat.send("add milk, eggs and bread"))["run"]
    added = [task["id"] for task in (await chat.tasks())[1:]]
    undone = await undo(chat, run["id"])
    assert (undone["errors"], undone["kept"], undone["tasks"]) == ([], [], [])
    assert sorted(undone["deletedIds"]) == sorted(added)
    assert undone["run"]["undoneAt"] is not None
    assert await chat.titles() == ["Sweep"]


async def test_what_was_completed_is_open_again(chat: Chat, database: Database) -> None:
    task = await make_task(database, chat.user.caller, "Sweep")
    run = (await chat.send("complete sweep"))["run"]
    undone = await undo(chat, run["id"])
    assert undone["tasks"] == [{"id": task.id, "title": "Sweep", "completed": False}]
    by = [(change["by"], change["run"]) for change in await history(chat, task.id)]
    assert by == [("USER", None), ("ASSISTANT", {"id": run["id"]}), ("USER", None)]


async def test_what_was_deleted_is_back_as_it_was(chat: Chat, database: Database) -> None:
    task = await make_task(database, chat.user.caller, "Sweep", description="Under the bed", tags=["home"])
    below = await make_task(database, chat.user.caller, "Fetch the broom", parent_id=task.id)
    before = await chat.tasks()
    run = (await chat.send("delete sweep"))["run"]
    (waiting,) = [call for call in run["toolCalls"] if call["status"] == "AWAITING_APPROVAL"]
    early = await undo(chat, run["id"])
    assert [error["code"] for error in early["errors"]] == ["CONFLICT"]
    await chat.resolve(waiting["id"], approve=True)
    await chat.until(run["id"], "COMPLETED")
    assert await chat.tasks() == []
    undone = await undo(chat, run["id"])
    assert (undone["errors"], undone["kept"], undone["deletedIds"]) == ([], [], [])
    assert sorted(each["id"] for each in undone["tasks"]) == sorted([task.id, below.id])
    assert sorted(await chat.tasks(), key=str) == sorted(before, key=str)
    assert [change["kind"] for change in await history(chat, task.id)] == ["CREATED", "DELETED", "CREATED"]


async def test_what_somebody_has_changed_since_stays_and_is_named(chat: Chat, database: Database) -> None:
    task = await make_task(database, chat.user.caller, "Sweep")
    run = (await chat.send("rename sweep to clean up"))["run"]
    await chat.client.mutate("updateTask", {"id": task.id, "title": "Mop"}, as_=chat.user)
    undone = await undo(chat, run["id"])
    assert (undone["errors"], [(kept["taskId"], kept["field"]) for kept in undone["kept"]]) == (
        [],
        [(task.id, "title")],
    )
    assert undone["kept"][0]["message"]
    assert await chat.titles() == ["Mop"]


async def test_once_is_enough(chat: Chat, database: Database) -> None:
    await make_task(database, chat.user.caller, "Sweep")
    run = (await chat.send("complete sweep"))["run"]
    await undo(chat, run["id"])
    await chat.send("complete sweep")
    again = await undo(chat, run["id"])
    assert [error["code"] for error in again["errors"]] == ["CONFLICT"]
    assert [task["completed"] for task in await chat.tasks()] == [True]
    never = await undo(chat, NOBODYS_ID)
    assert never["errors"] == [{"code": "NOT_FOUND", "message": "There is no such run."}]


async def test_the_assistant_knows_what_is_open_after_an_undo(chat: Chat) -> None:
    answer = await chat.send("add milk")
    await undo(chat, answer["run"]["id"])
    talk = answer["conversation"]["id"]
    assert (await chat.send("what is open?", conversationId=talk))["reply"]["content"] == "You have no open tasks."
    gone = await chat.send("complete milk", conversationId=talk)
    assert gone["run"]["status"] == "COMPLETED"
    assert await chat.tasks() == []
