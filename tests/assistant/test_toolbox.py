"""Tools that need approval: carried out as the person has approved them, whatever the SDK lets through."""

from typing import Any, Final

import orjson
import pytest
from agents.tool_context import ToolContext

from assistant.prompt import unfence
from assistant.toolbox import Toolbox
from core.database import Database
from models import RunStatus, Task, ToolCallStatus
from tests.factories import SignedIn, answered_rows, make_conversation, make_task, store_answered, tool_call_row
from tests.state import state_of

NOT_APPROVED: Final = {"error": "delete_task needs the person's approval."}
RUNNING: Final = ToolCallStatus.RUNNING


async def delete(database: Database, user: SignedIn, task: Task, *calls: tuple[Task, ToolCallStatus]) -> dict[str, Any]:
    """Delete a task in a run whose recorded calls have come so far."""
    talk = await make_conversation(database, user.caller)
    answered = answered_rows(user, talk.id, status=RunStatus.RUNNING)
    for shown, status in calls:
        of_call: dict[str, Any] = {"arguments": {"task_id": shown.id}, "status": status, "result": None}
        answered.calls.append(tool_call_row(answered.run, name="delete_task", **of_call))
    await store_answered(database, answered)
    toolbox = Toolbox(database, user.caller, answered.run.id, on_end=lambda: None)
    (tool,) = (tool for tool in toolbox.tools() if tool.name == "delete_task")
    arguments = orjson.dumps({"task_id": task.id}).decode()
    context: Any = ToolContext(context={}, tool_name="delete_task", tool_call_id="call_0", tool_arguments=arguments)
    result: dict[str, Any] = orjson.loads(unfence(str(await tool.on_invoke_tool(context, arguments))))
    return result


async def test_unapproved_deletion_is_refused_and_an_approved_one_executed(database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    assert await delete(database, user, task) == NOT_APPROVED
    assert task.id in (await state_of(database, user.user.id)).rows
    assert await delete(database, user, task, (task, RUNNING)) == {"deleted_ids": [task.id]}
    assert task.id not in (await state_of(database, user.user.id)).rows


@pytest.mark.parametrize("status", [RUNNING, ToolCallStatus.AWAITING_APPROVAL, ToolCallStatus.REJECTED])
async def test_other_deletion_than_the_approved_is_refused(
    database: Database, user: SignedIn, status: ToolCallStatus
) -> None:
    shown, meant = [await make_task(database, user.caller) for _ in range(2)]
    await delete(database, user, meant, (shown, status))
    assert {shown.id, meant.id} <= set((await state_of(database, user.user.id)).rows)
