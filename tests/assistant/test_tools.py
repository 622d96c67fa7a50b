"""The tools: what models are told of them, what they take and refuse, and what they do for their caller alone."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.tools import TOOLS, TOOLS_BY_NAME, Tool, read_arguments
from core.database import Database
from core.errors import BadUserInputError, NotFoundError
from core.settings import Settings
from tests.factories import NOBODYS_ID, SignedIn, make_task, sign_in
from tests.state import state_of

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOW_TO_WRITE_A_MOMENT: Final = "write it as RFC 3339 with an offset, such as 2026-01-31T09:00:00Z."
ITS_ARGUMENTS: Final = "its arguments are title, description, priority, due_at, tags, parent_id."


async def call(database: Database, user: SignedIn, name: str, **given: Any) -> dict[str, Any]:
    """Run a tool as a model asks for it."""
    tool = TOOLS_BY_NAME[name]
    arguments = read_arguments(tool, given)

    async def work(session: AsyncSession) -> dict[str, Any]:
        return await tool.run(session, user.caller, arguments)

    if tool.writes:
        return await database.write(work)
    async with database.read() as session:
        return await work(session)


def titles(result: dict[str, Any]) -> list[str]:
    return [task["title"] for task in result["tasks"]]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_schema_is_one_that_every_provider_takes(tool: Tool) -> None:
    schema = tool.schema
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= schema["properties"].keys()
    assert "$ref" not in str(schema)
    assert all(given["description"] for given in schema["properties"].values())


def test_only_deleting_asks_for_approval() -> None:
    assert [tool.name for tool in TOOLS if tool.needs_approval] == ["delete_task"]
    assert [tool.name for tool in TOOLS if not tool.writes] == ["list_tasks", "search"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "add_task needs the argument title."),
        ("[]", "The arguments must be one JSON object."),
        ("null", "The arguments must be one JSON object."),
        ("[" * 100_000, "The arguments are not valid JSON (depth limit exceeded); send one JSON object."),
        (" " * 200_001, "The arguments are longer than 200,000 bytes; send less."),
        (
            b"\xff",
            "The arguments are not valid JSON (str is not valid UTF-8: surrogates not allowed); send one JSON object.",
        ),
        ('{"title": 5}', "title is wrong: Input should be a valid string."),
        ('{"title": null}', "title cannot be null; leave it out."),
        (
            r'{"title": "\u0000"}',
            "title contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode.",
        ),
        (
            {"title": "\ud800"},
            "title contains a NUL character or a lone surrogate; remove it and send the text as valid Unicode.",
        ),
        ({"title": "a", "priority": "URGENT"}, "priority is wrong: Input should be 'LOW', 'MEDIUM' or 'HIGH'."),
        (
            {"title": "a", "due_at": "2026-01-31T09:00:00"},
            f"due_at is wrong: '2026-01-31T09:00:00' is no moment; {HOW_TO_WRITE_A_MOMENT}",
        ),
        ({"title": "a", "user_id": "u"}, f"add_task has no argument 'user_id'; {ITS_ARGUMENTS}"),
        ({str(index): index for index in range(51)}, f"add_task does not take 51 arguments; {ITS_ARGUMENTS}"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(raw: str | bytes | dict[str, Any], message: str) -> None:
    with pytest.raises(BadUserInputError) as refused:
        read_arguments(TOOLS_BY_NAME["add_task"], raw)
    assert refused.value.message == message


@pytest.mark.parametrize(
    "raw",
    [
        '{"title": NaN}',
        '{"title": Infinity}',
        r'{"title": "\ud800"}',
        '{"title": "\ud800"}',
        '{"a": ' * 5_000,
        '{"title": "a", "tags": ' + "[" * 900 + "]" * 900 + "}",
        '{"title": "a", "due_at": 1e308}',
        '{"title": "a", "due_at": "0001-01-01T00:00:00+10:00"}',
        {"title": "a", "tags": ["\0"]},
        {"title": "a", "tags": ["a"] * 21},
        {"title": "a", "\ud800": 1},
        {"title": "a", "\0": 1},
        {"title": "a", "tags": "a"},
    ],
    ids=range(13),
)
def test_no_arguments_are_too_hostile_to_be_refused(raw: Any) -> None:
    with pytest.raises(BadUserInputError) as refused:
        read_arguments(TOOLS_BY_NAME["add_task"], raw)
    assert "\0" not in refused.value.message
    assert refused.value.message.encode()


async def test_a_task_is_added_with_all_that_it_has(database: Database, user: SignedIn) -> None:
    parent = await make_task(database, user.caller)
    added = await call(
        database,
        user,
        "add_task",
        title=" Buy milk ",
        description="m" * 300,
        priority="HIGH",
        due_at="2026-01-31T13:00:00+01:00",
        tags=["shop", "shop"],
        parent_id=parent.id,
    )
    task = added["task"]
    assert task == {
        "id": task["id"],
        "title": "Buy milk",
        "completed": False,
        "priority": "HIGH",
        "due_at": "2026-01-31T12:00:00+00:00",
        "tags": ["shop"],
        "parent_id": parent.id,
        "description": "m" * 200,
    }
    assert (await call(database, user, "search", query="milk"))["tasks"] == [task]


async def test_what_a_task_does_not_have_is_not_told(database: Database, user: SignedIn) -> None:
    task = (await call(database, user, "add_task", title="Buy milk"))["task"]
    assert task.keys() == {"id", "title", "completed", "priority", "due_at", "tags"}
    assert (task["priority"], task["due_at"], task["tags"]) == ("MEDIUM", None, [])


async def test_an_update_leaves_alone_what_is_absent_and_clears_what_is_null(
    database: Database, user: SignedIn
) -> None:
    task = await make_task(database, user.caller, "Buy milk", description="two", due_at=NOON, tags=["shop"])
    renamed = (await call(database, user, "update_task", task_id=task.id, title="Buy oat milk"))["task"]
    assert (renamed["title"], renamed["description"], renamed["tags"]) == ("Buy oat milk", "two", ["shop"])
    cleared = (await call(database, user, "update_task", task_id=task.id, due_at=None, description=None, tags=[]))[
        "task"
    ]
    assert cleared == {name: renamed[name] for name in ("id", "title", "completed", "priority")} | {
        "due_at": None,
        "tags": [],
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "There is nothing to change; send at least one argument besides task_id."),
        ({"title": None}, "title cannot be null; leave it out."),
        ({"title": "  "}, "title must be 1 to 500 characters long; it has 0."),
        ({"tags": ["a" * 51]}, "tags[0] must be 1 to 50 characters long; it has 51."),
    ],
)
async def test_a_wrong_update_changes_nothing(
    database: Database, user: SignedIn, given: dict[str, Any], message: str
) -> None:
    task = await make_task(database, user.caller)
    before = await state_of(database, user.user.id)
    with pytest.raises(BadUserInputError) as refused:
        await call(database, user, "update_task", task_id=task.id, **given)
    assert refused.value.message == message
    assert await state_of(database, user.user.id) == before


async def test_a_task_is_completed_reopened_and_deleted(database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    part = await make_task(database, user.caller, parent_id=task.id)
    assert (await call(database, user, "complete_task", task_id=task.id))["task"]["completed"] is True
    assert (await call(database, user, "reopen_task", task_id=task.id))["task"]["completed"] is False
    assert await call(database, user, "delete_task", task_id=task.id) == {"deleted_ids": [task.id, part.id]}
    assert await call(database, user, "list_tasks") == {"tasks": [], "total": 0}


async def test_a_list_is_filtered(database: Database, user: SignedIn) -> None:
    await make_task(database, user.caller, "Early", due_at=NOON, tags=["a", "b"])
    await make_task(database, user.caller, "Late", due_at=NOON + timedelta(hours=1), tags=["a"])
    done = await make_task(database, user.caller, "Done")
    await call(database, user, "complete_task", task_id=done.id)
    later = (NOON + timedelta(hours=1)).isoformat()
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["Early", "Late", "Done"]),
        ({"completed": True}, ["Done"]),
        ({"completed": False}, ["Early", "Late"]),
        ({"tags": ["a", "b"]}, ["Early"]),
        ({"due_before": later}, ["Early"]),
        ({"due_after": later}, ["Late"]),
        ({"due_after": NOON.isoformat(), "due_before": later}, ["Early"]),
        ({"priority": "HIGH"}, []),
    ]
    for given, expected in cases:
        assert titles(await call(database, user, "list_tasks", **given)) == expected, given


async def test_a_list_is_ordered_and_bounded_and_says_how_many_there_are(database: Database, user: SignedIn) -> None:
    for title, priority, hours in (("b", "LOW", 2), ("c", "HIGH", 3), ("a", "MEDIUM", 1)):
        due_at = (NOON + timedelta(hours=hours)).isoformat()
        await call(database, user, "add_task", title=title, priority=priority, due_at=due_at)
    for order, expected in (("CREATED_AT", "bca"), ("DUE_AT", "abc"), ("PRIORITY", "cab"), ("TITLE", "abc")):
        found = await call(database, user, "list_tasks", order=order)
        assert "".join(titles(found)) == expected, order
        assert found["total"] == 3
    found = await call(database, user, "list_tasks", order="TITLE", limit=2)
    assert (titles(found), found["total"]) == (["a", "b"], 3)


async def test_a_search_finds_beginnings_of_words_and_refuses_none(database: Database, user: SignedIn) -> None:
    await make_task(database, user.caller, "Buy milk", description="from the farm")
    await make_task(database, user.caller, "Buy bread")
    assert titles(await call(database, user, "search", query="buy FAR")) == ["Buy milk"]
    found = await call(database, user, "search", query="buy", limit=1)
    assert (titles(found), found["total"]) == (["Buy milk"], 2)
    with pytest.raises(BadUserInputError, match="query has no words"):
        await call(database, user, "search", query="?!")


IDS_OF_TOOLS: Final = [(tool.name, key) for tool in TOOLS for key in tool.schema["properties"] if key.endswith("_id")]


@pytest.mark.parametrize(("name", "key"), IDS_OF_TOOLS)
async def test_anothers_task_is_as_if_it_did_not_exist(
    database: Database, settings: Settings, user: SignedIn, name: str, key: str
) -> None:
    theirs = await sign_in(database, settings)
    task = await make_task(database, theirs.caller, "Water the plants")
    before = await state_of(database, theirs.user.id)
    own = await make_task(database, user.caller)
    required = {"task_id": own.id, "title": "Mine"}
    given = {each: required[each] for each in TOOLS_BY_NAME[name].schema["required"] if each != key}
    if name == "update_task":
        given["title"] = "Mine"
    messages = set()
    for task_id in (task.id, NOBODYS_ID, "no id", "x" * 10_000):
        with pytest.raises(NotFoundError) as refused:
            await call(database, user, name, **{key: task_id}, **given)
        messages.add(refused.value.message)
    assert messages == {"There is no such task."}
    assert await state_of(database, theirs.user.id) == before


async def test_anothers_task_is_in_no_list(database: Database, settings: Settings, user: SignedIn) -> None:
    theirs = await sign_in(database, settings)
    await make_task(database, theirs.caller, "Water the plants")
    assert await call(database, user, "list_tasks") == {"tasks": [], "total": 0}
    assert await call(database, user, "search", query="plants") == {"tasks": [], "total": 0}
