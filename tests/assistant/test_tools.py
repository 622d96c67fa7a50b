"""The tools: what models are told of them, what they take and refuse, and what they do for their caller alone."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pytest
from agents.tool_context import ToolContext

from assistant.prompt import unfence
from assistant.toolbox import Toolbox
from assistant.tools import TOOLS, TOOLS_BY_NAME, Tool, read_arguments
from core.database import Database
from core.errors import BadUserInputError
from models import RunStatus, Task, ToolCallStatus
from models.columns import creatable_columns
from tests.factories import (
    SignedIn,
    answered_rows,
    make_conversation,
    make_task,
    store_answered,
    tool_call_row,
)
from tests.state import state_of

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADD_TASK: Final = TOOLS_BY_NAME["add_task"]
# What is told of a task with nothing but a title; of what it does not have only the date is told.
PLAIN: Final = {"completed": False} | {
    column.name: column.make_default()
    for column in creatable_columns(Task)
    if not column.is_required and (column.make_default() is not None or column.name == "due_at")
}


async def call(database: Database, user: SignedIn, name: str, **given: Any) -> dict[str, Any]:
    """Run a tool as a model asks for it."""
    tool = TOOLS_BY_NAME[name]
    arguments = read_arguments(tool, given)
    if tool.writes:
        return await database.write(lambda session: tool.run(session, user.caller, arguments))
    async with database.read() as session:
        return await tool.run(session, user.caller, arguments)


def titles(result: dict[str, Any]) -> list[str]:
    return [task["title"] for task in result["tasks"]]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_schema_is_one_that_every_provider_takes(tool: Tool) -> None:
    schema = tool.schema
    assert (schema["type"], schema["additionalProperties"]) == ("object", False)
    assert set(schema["required"]) <= schema["properties"].keys()
    assert "$ref" not in str(schema)
    assert all(given["description"] for given in schema["properties"].values())


def test_only_deleting_asks_for_approval() -> None:
    assert [tool.name for tool in TOOLS if tool.needs_approval] == ["delete_task"]
    assert [tool.name for tool in TOOLS if not tool.writes] == ["list_tasks", "search"]


ITS_ARGUMENTS: Final = f"its arguments are {', '.join(ADD_TASK.schema['properties'])}."
NOT_UTF8: Final = (
    "The arguments are not valid JSON (str is not valid UTF-8: surrogates not allowed); send one JSON object."
)
NUL: Final = "title contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode."
NO_MOMENT: Final = (
    "due_at is wrong: '2026-01-31T09:00:00' is no moment; "
    "write it as RFC 3339 with an offset, such as 2026-01-31T09:00:00Z."
)
REFUSED: Final[dict[str, tuple[Any, str]]] = {
    "nothing": ("", "add_task needs the argument title."),
    "list": ("[]", "The arguments must be one JSON object."),
    "null": ("null", "The arguments must be one JSON object."),
    "deep": ("[" * 100_000, "The arguments are not valid JSON (depth limit exceeded); send one JSON object."),
    "long": (" " * 200_001, "The arguments are longer than 200,000 bytes; send less."),
    "no UTF-8": (b"\xff", NOT_UTF8),
    "wrong type": ('{"title": 5}', "title is wrong: Input should be a valid string."),
    "null title": ('{"title": null}', "title cannot be null; leave it out."),
    "NUL": (r'{"title": "\u0000"}', NUL),
    "surrogate": ({"title": "\ud800"}, NUL),
    "enum": ({"title": "a", "priority": "URGENT"}, "priority is wrong: Input should be 'LOW', 'MEDIUM' or 'HIGH'."),
    "no offset": ({"title": "a", "due_at": "2026-01-31T09:00:00"}, NO_MOMENT),
    "unknown": ({"title": "a", "user_id": "u"}, f"add_task has no argument 'user_id'; {ITS_ARGUMENTS}"),
    "many": ({str(index): 1 for index in range(51)}, f"add_task does not take 51 arguments; {ITS_ARGUMENTS}"),
    # In whatever words.
    "NaN": ('{"title": NaN}', ""),
    "infinity": ('{"title": Infinity}', ""),
    "escaped surrogate": (r'{"title": "\ud800"}', ""),
    "surrogate in JSON": ('{"title": "\ud800"}', ""),
    "unclosed": ('{"a": ' * 5_000, ""),
    "deep value": ('{"title": "a", "tags": ' + "[" * 900 + "]" * 900 + "}", ""),
    "huge moment": ('{"title": "a", "due_at": 1e308}', ""),
    "too early": ('{"title": "a", "due_at": "0001-01-01T00:00:00+10:00"}', ""),
    "NUL in a list": ({"title": "a", "tags": ["\0"]}, ""),
    "many tags": ({"title": "a", "tags": ["a"] * 21}, ""),
    "surrogate name": ({"title": "a", "\ud800": 1}, ""),
    "NUL name": ({"title": "a", "\0": 1}, ""),
    "no list": ({"title": "a", "tags": "a"}, ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arguments_are_refused_in_a_sentence(case: str) -> None:
    raw, message = REFUSED[case]
    with pytest.raises(BadUserInputError) as refused:
        read_arguments(ADD_TASK, raw)
    assert message in {"", refused.value.message}
    assert "\0" not in refused.value.message
    assert refused.value.message.encode()


async def test_task_is_added_with_all_that_it_has(database: Database, user: SignedIn) -> None:
    values = {"title": "Buy milk", "priority": "HIGH", "parent_id": (await make_task(database, user.caller)).id}
    odd = {"title": " Buy milk ", "description": "m" * 300, "tags": ["shop"] * 2, "due_at": "2026-01-31T13:00:00+01:00"}
    task = (await call(database, user, "add_task", **values | odd))["task"]
    shown = {"due_at": NOON.isoformat(), "tags": ["shop"], "description": "m" * 200}
    assert task == PLAIN | values | shown | {"id": task["id"]}
    assert (await call(database, user, "search", query="milk"))["tasks"] == [task]


async def test_update_without_a_change_is_refused(database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    with pytest.raises(BadUserInputError, match=r"^There is nothing to change; send at least one argument besides"):
        await call(database, user, "update_task", task_id=task.id)


async def test_search_finds_beginnings_of_words_and_refuses_none(database: Database, user: SignedIn) -> None:
    await make_task(database, user.caller, "Buy milk", description="from the farm")
    await make_task(database, user.caller, "Buy bread")
    assert titles(await call(database, user, "search", query="buy FAR")) == ["Buy milk"]
    found = await call(database, user, "search", query="buy", limit=1)
    assert (titles(found), found["total"]) == (["Buy milk"], 2)
    with pytest.raises(BadUserInputError, match="query has no words"):
        await call(database, user, "search", query="?!")


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
