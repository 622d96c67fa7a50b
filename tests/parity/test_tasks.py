"""What is done with tasks comes to the same through every door, and every door shows it."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from assistant.tools import TOOLS
from models import TaskPriority
from tests.factories import SignedIn, make_task, sign_in
from tests.histories import history_of
from tests.parity.doors import ALL, NOT_MCP, Door, House, Task
from tests.state import state_of

# Each user has tasks of these ids: an id is its owner's alone.
GARDEN: Final = "0190aaaa-0000-7000-8000-000000000001"
WATER: Final = "0190aaaa-0000-7000-8000-000000000002"
NEW: Final = "0190aaaa-0000-7000-8000-000000000003"
NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)

PLAIN: Final[Task] = {
    "completed": False,
    "priority": "MEDIUM",
    "tags": [],
    "description": None,
    "due_at": None,
    "parent_id": None,
}
AS_GARDEN: Final[Task] = PLAIN | {
    "id": GARDEN,
    "title": "Garden",
    "priority": "HIGH",
    "tags": ["home", "spring"],
    "description": "Roses first",
    "due_at": NOON.isoformat(),
}
AS_WATER: Final[Task] = PLAIN | {"id": WATER, "title": "Water the plants", "parent_id": GARDEN, "completed": True}


async def make_tasks(house: House, user: SignedIn) -> None:
    garden: dict[str, Any] = {"description": "Roses first", "priority": TaskPriority.HIGH, "tags": ["home", "spring"]}
    await make_task(house.database, user.caller, "Garden", id=GARDEN, due_at=NOON, **garden)
    await make_task(house.database, user.caller, id=WATER, parent_id=GARDEN)
    async with house.door("graphql", user) as door:
        await door.complete(WATER)


@dataclass(frozen=True)
class Change:
    """What is done, what the door answers, and what there is afterwards beside the tasks that it leaves alone."""

    name: str
    do: Callable[[Door], Awaitable[Any]]
    answer: Any
    after: Sequence[Task]
    # The kinds of what is recorded, by the person in every case; nothing where nothing is different.
    history: Sequence[str] = ("UPDATED",)
    doors: Sequence[str] = field(default=ALL)


def changed(name: str, do: Callable[[Door], Awaitable[Any]], **values: Any) -> Change:
    """Return a change of the garden."""
    return Change(name, do, AS_GARDEN | values, [AS_GARDEN | values, AS_WATER])


def made(name: str, do: Callable[[Door], Awaitable[Any]], doors: Sequence[str] = ALL, **values: Any) -> Change:
    """Return the making of a task."""
    task = PLAIN | {"id": NEW, **values}
    return Change(name, do, task, [AS_GARDEN, AS_WATER, task], ("CREATED",), doors)


CHANGES: Final = (
    made("a title alone", lambda door: door.add(title=" Buy milk\n"), title="Buy milk"),
    made(
        "everything",
        lambda door: door.add(
            title="\N{GLASS OF MILK}",
            description="Two\nlitres",
            priority="LOW",
            due_at="2026-02-01T01:30:00+02:00",
            tags=["shop", " shop ", "\u00fc"],
            parent_id=WATER.upper(),
        ),
        title="\N{GLASS OF MILK}",
        description="Two\nlitres",
        priority="LOW",
        due_at="2026-01-31T23:30:00+00:00",
        tags=["shop", "\u00fc"],
        parent_id=WATER,
    ),
    made("an id of one's own", lambda door: door.add(title="Mine", id=NEW), NOT_MCP, title="Mine"),
    changed("a title", lambda door: door.update(GARDEN.upper(), title=" Park "), title="Park"),
    changed("a description", lambda door: door.update(GARDEN, description="Tulips"), description="Tulips"),
    changed("no description", lambda door: door.update(GARDEN, description=None), description=None),
    changed("a priority", lambda door: door.update(GARDEN, priority="LOW"), priority="LOW"),
    changed(
        "a date", lambda door: door.update(GARDEN, due_at="2026-03-01T00:00:00Z"), due_at="2026-03-01T00:00:00+00:00"
    ),
    changed("no date", lambda door: door.update(GARDEN, due_at=None), due_at=None),
    changed("tags", lambda door: door.update(GARDEN, tags=["b", "a", "b"]), tags=["b", "a"]),
    changed("no tags", lambda door: door.update(GARDEN, tags=[]), tags=[]),
    Change(
        "no parent",
        lambda door: door.update(WATER, parent_id=None),
        AS_WATER | {"parent_id": None},
        [AS_GARDEN, AS_WATER | {"parent_id": None}],
    ),
    changed("done", lambda door: door.complete(GARDEN), completed=True),
    Change(
        "open again",
        lambda door: door.reopen(WATER),
        AS_WATER | {"completed": False},
        [AS_GARDEN, AS_WATER | {"completed": False}],
    ),
    Change(
        "turned over",
        lambda door: door.toggle(GARDEN),
        AS_GARDEN | {"completed": True},
        [AS_GARDEN | {"completed": True}, AS_WATER],
        doors=NOT_MCP,
    ),
    Change("done already", lambda door: door.complete(WATER), AS_WATER, [AS_GARDEN, AS_WATER], ()),
    Change("as it was", lambda door: door.update(GARDEN, title="Garden"), AS_GARDEN, [AS_GARDEN, AS_WATER], ()),
    Change("deleted", lambda door: door.delete(WATER), [WATER], [AS_GARDEN], ("DELETED",)),
    Change("deleted with its parts", lambda door: door.delete(GARDEN), [GARDEN, WATER], [], ("DELETED", "DELETED")),
)


def test_the_tools_are_those_that_the_table_knows() -> None:
    """MCP has none that reads one task or turns one over; where one comes, the table must have it."""
    names = ["list_tasks", "search", "add_task", "update_task", "complete_task", "reopen_task", "delete_task"]
    assert [tool.name for tool in TOOLS] == names


@pytest.mark.parametrize(
    ("change", "door_name"),
    [pytest.param(change, door, id=f"{change.name}-{door}") for change in CHANGES for door in change.doors],
)
async def test_changes(house: House, user: SignedIn, change: Change, door_name: str) -> None:
    await make_tasks(house, user)
    before = await state_of(house.database, user.user.id)
    past = len(await history_of(house.database, user.caller))
    async with AsyncExitStack() as stack:
        doors = {name: await stack.enter_async_context(house.door(name, user)) for name in ALL}
        answer = await change.do(doors[door_name])
        after = await state_of(house.database, user.user.id)
        (new_id,) = [row_id for row_id in after.rows if row_id not in before.rows] or [NEW]
        assert _named(answer, new_id) == change.answer
        for door in doors.values():
            assert [_named(task, new_id) for task in await door.find()] == change.after
    assert after.revision == before.revision + (1 if change.history else 0)
    assert [row_id for row_id, row in after.deletions.items() if row.revision != after.revision] == []
    history = (await history_of(house.database, user.caller))[past:]
    assert [(each.kind, each.run_id) for each in history] == [(kind, None) for kind in change.history]
    stamped = {row_id for row_id, row in {**after.rows, **after.deletions}.items() if row.revision == after.revision}
    assert {each.row_id for each in history} <= stamped


def _named(shown: Any, new_id: str) -> Any:
    """Return what a door showed with the id of a task that was made in place of the one it was given."""
    return shown | {"id": NEW} if isinstance(shown, dict) and shown["id"] == new_id else shown


@dataclass(frozen=True)
class Reading:
    """What is asked for, and the titles that come."""

    name: str
    ask: Callable[[Door], Awaitable[list[Task]]]
    titles: Sequence[str]
    doors: Sequence[str] = field(default=ALL)


READINGS: Final = (
    Reading("everything", lambda door: door.find(), ["Garden", "Water the plants", "apples", "Bread"]),
    Reading("open", lambda door: door.find(completed=False), ["Garden", "apples", "Bread"]),
    Reading("done", lambda door: door.find(completed=True), ["Water the plants"]),
    Reading("a priority", lambda door: door.find(priority="HIGH"), ["Garden"]),
    Reading("nothing", lambda door: door.find(priority="HIGH", completed=True), []),
    Reading("as made", lambda door: door.find(order="created_at", limit=2), ["Garden", "Water the plants"]),
    Reading("by date", lambda door: door.find(order="due_at"), ["Garden", "Bread", "Water the plants", "apples"]),
    # The other way round where they are the same.
    Reading("by priority", lambda door: door.find(order="priority"), ["Garden", "apples", "Water the plants", "Bread"]),
    Reading("by title", lambda door: door.find(order="title"), ["apples", "Bread", "Garden", "Water the plants"]),
    Reading("one", lambda door: door.find(limit=1), ["Garden"]),
    Reading("words", lambda door: door.search("PLA wat"), ["Water the plants"]),
    Reading("words of a description", lambda door: door.search("rose"), ["Garden"]),
    Reading("words that are nowhere", lambda door: door.search("rose plants"), []),
    Reading("words and a limit", lambda door: door.search("bread", limit=1), ["Bread"]),
    # REST has no filters of tags and dates.
    Reading("tags", lambda door: door.find(tags=["spring", "home"]), ["Garden"], ("graphql", "mcp")),
    Reading("other tags", lambda door: door.find(tags=["home", "work"]), [], ("graphql", "mcp")),
    Reading(
        "due after", lambda door: door.find(due_after="2026-01-31T12:00:00Z"), ["Garden", "Bread"], ("graphql", "mcp")
    ),
    Reading("due before", lambda door: door.find(due_before="2026-01-31T14:00:00+02:00"), [], ("graphql", "mcp")),
)


@pytest.fixture(scope="module")
async def reader(house: House) -> SignedIn:
    """Give a user with tasks that nothing changes."""
    user = await sign_in(house.database, house.server.runtime.settings)
    await make_tasks(house, user)
    await make_task(house.database, user.caller, "apples")
    low: dict[str, Any] = {"priority": TaskPriority.LOW, "due_at": datetime(2026, 2, 1, tzinfo=UTC)}
    await make_task(house.database, user.caller, "Bread", **low)
    return user


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
async def test_readings(house: House, reader: SignedIn, reading: Reading) -> None:
    shown = []
    for name in reading.doors:
        async with house.door(name, reader) as door:
            shown.append(await reading.ask(door))
    assert [task["title"] for task in shown[0]] == reading.titles
    assert all(tasks == shown[0] for tasks in shown)


async def test_one_task(house: House, reader: SignedIn) -> None:
    for name in NOT_MCP:
        async with house.door(name, reader) as door:
            assert await door.get(GARDEN.upper()) == AS_GARDEN
