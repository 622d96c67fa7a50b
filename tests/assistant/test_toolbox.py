"""Tools that need approval: carried out as the person has approved them, whatever the SDK lets through."""

from typing import Any

import orjson
import pytest
from agents.tool_context import ToolContext

from assistant.prompt import unfence
from assistant.toolbox import Toolbox
from core.database import Database
from models import RunStatus, Task, ToolCallStatus
from tests.factories import Answered, SignedIn, answered_rows, make_conversation, make_task, store_answered
from tests.state import state_of


async def delete(database: Database, user: SignedIn, run_id: str, task: Task) -> dict[str, Any]:
    toolbox = Toolbox(database, user.caller, run_id, on_end=lambda: None)
    (tool,) = (tool for tool in toolbox.tools() if tool.name == "delete_task")
    arguments = orjson.dumps({"task_id": task.id}).decode()
    context: Any = ToolContext(context={}, tool_name="delete_task", tool_call_id="call_0", tool_arguments=arguments)
    result: dict[str, Any] = orjson.loads(unfence(str(await tool.on_invoke_tool(context, arguments))))
    return result


async def deciding(database: Database, user: SignedIn, calls: int, **values: Any) -> Answered:
    talk = await make_conversation(database, user.caller)
    answered = answered_rows(user, talk.id, calls, status=RunStatus.RUNNING)
    for call in answered.calls:
        call.name, call.result = "delete_task", None
        for name, value in values.items():
            setattr(call, name, value)
    await store_answered(database, answered)
    return answered


async def test_unapproved_deletion_is_refused(database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    answered = await deciding(database, user, 0)
    assert await delete(database, user, answered.run.id, task) == {"error": "delete_task needs the person's approval."}
    assert task.id in (await state_of(database, user.user.id)).rows


@pytest.mark.parametrize("status", [ToolCallStatus.RUNNING, ToolCallStatus.AWAITING_APPROVAL, ToolCallStatus.REJECTED])
async def test_other_deletion_than_the_approved_is_refused(
    database: Database, user: SignedIn, status: ToolCallStatus
) -> None:
    shown, meant = [await make_task(database, user.caller) for _ in range(2)]
    answered = await deciding(database, user, 1, arguments={"task_id": shown.id}, status=status)
    await delete(database, user, answered.run.id, meant)
    assert {shown.id, meant.id} <= set((await state_of(database, user.user.id)).rows)


async def test_approved_deletion_is_executed(database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    given = {"task_id": task.id}
    answered = await deciding(database, user, 1, arguments=given, status=ToolCallStatus.RUNNING)
    assert await delete(database, user, answered.run.id, task) == {"deleted_ids": [task.id]}
    assert task.id not in (await state_of(database, user.user.id)).rows
