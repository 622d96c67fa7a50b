"""A change over one API comes to the same as over any other, and every API shows it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pytest

from assistant.tools import TOOLS
from models import Task as TaskRow
from models import TaskPriority
from models.columns import creatable_columns
from services.tasks.tasks import tasks as task_service
from tests.factories import SignedIn, make_task, sign_in
from tests.histories import history_of
from tests.parity.task_apis import ALL, WITHOUT_MCP, WITHOUT_REST, Served, Task
from tests.state import state_of

# Each user has tasks of these ids: an id is its owner's alone.
GARDEN: Final = "0190aaaa-0000-7000-8000-000000000001"
WATER: Final = "0190aaaa-0000-7000-8000-000000000002"
NEW: Final = "0190aaaa-0000-7000-8000-000000000003"
NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)

PLAIN: Final[Task] = {"completed": False} | {
    column.name: column.make_default() for column in creatable_columns(TaskRow) if not column.is_required
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


async def make_tasks(served: Served, user: SignedIn) -> None:
    garden: dict[str, Any] = {"description": "Roses first", "priority": TaskPriority.HIGH, "tags": ["home", "spring"]}
    await make_task(served.database, user.caller, "Garden", id=GARDEN, due_at=NOON, **garden)
    await make_task(served.database, user.caller, id=WATER, parent_id=GARDEN)
    await served.database.write(
        partial(task_service.update, caller=user.caller, row_id=WATER, changes={"completed": True})
    )


@dataclass(frozen=True)
class Change:
    """What is done, what the api answers, and what there is afterwards."""

    name: str
    do: Callable[[Any], Awaitable[Any]]
    answer: Any
    after: Sequence[Task]
    # The kinds of what is recorded, by the person in every case; nothing where nothing is different.
    history: Sequence[str] = ("UPDATED",)
    apis: Sequence[str] = ALL


def changed(
    name: str, do: Callable[[Any], Awaitable[Any]], task: Task = AS_GARDEN, apis: Sequence[str] = ALL, **values: Any
) -> Change:
    after = [each | values if each is task else each for each in (AS_GARDEN, AS_WATER)]
    return Change(name, do, task | values, after, ("UPDATED",) if values else (), apis)


def made(name: str, do: Callable[[Any], Awaitable[Any]], apis: Sequence[str] = ALL, **values: Any) -> Change:
    task = PLAIN | {"id": NEW, **values}
    return Change(name, do, task, [AS_GARDEN, AS_WATER, task], ("CREATED",), apis)


CHANGES: Final = (
    made("a title alone", lambda api: api.add(title=" Buy milk\n"), title="Buy milk"),
    made(
        "everything",
        lambda api: api.add(
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
    made("an id of one's own", lambda api: api.add(title="Mine", id=NEW), WITHOUT_MCP, title="Mine"),
    changed("a title", lambda api: api.update(GARDEN.upper(), title=" Park "), title="Park"),
    changed("no description", lambda api: api.update(GARDEN, description=None), description=None),
    changed("no date", lambda api: api.update(GARDEN, due_at=None), due_at=None),
    changed("tags", lambda api: api.update(GARDEN, tags=["b", "a", "b"]), tags=["b", "a"]),
    changed("no parent", lambda api: api.update(WATER, parent_id=None), AS_WATER, parent_id=None),
    changed("done", lambda api: api.complete(GARDEN), completed=True),
    changed("open again", lambda api: api.reopen(WATER), AS_WATER, completed=False),
    changed("turned over", lambda api: api.toggle(GARDEN), apis=WITHOUT_MCP, completed=True),
    changed("done already", lambda api: api.complete(WATER), AS_WATER),
    changed("as it was", lambda api: api.update(GARDEN, title=" Garden ", description="Roses first", priority="HIGH")),
    changed(
        "as it was in other words",
        lambda api: api.update(GARDEN, due_at="2026-01-31T13:00:00+01:00", tags=["home", "spring "], parent_id=None),
    ),
    Change("deleted", lambda api: api.delete(WATER), [WATER], [AS_GARDEN], ("DELETED",)),
    Change("deleted with its parts", lambda api: api.delete(GARDEN), [GARDEN, WATER], [], ("DELETED", "DELETED")),
)


def test_changes_cover_every_tool() -> None:
    """A tool that is added must be added to the changes above."""
    names = "list_tasks search add_task update_task complete_task reopen_task delete_task"
    assert " ".join(tool.name for tool in TOOLS) == names


@pytest.mark.parametrize(
    ("change", "api_name"),
    [pytest.param(change, api, id=f"{change.name}-{api}") for change in CHANGES for api in change.apis],
)
async def test_change_over_one_api_is_shown_by_all(
    served: Served, user: SignedIn, change: Change, api_name: str
) -> None:
    await make_tasks(served, user)
    before = await state_of(served.database, user.user.id)
    past = len(await history_of(served.database, user.caller))
    async with served.open(user) as apis:
        answer = await change.do(apis[api_name])
        after = await state_of(served.database, user.user.id)
        (new_id,) = [row_id for row_id in after.rows if row_id not in before.rows] or [NEW]
        assert _named(answer, new_id) == change.answer
        for api in apis.values():
            assert [_named(task, new_id) for task in await api.find()] == change.after
    assert after.revision == before.revision + (1 if change.history else 0)
    assert {row.revision for row in after.deletions.values()} <= {after.revision}
    history = (await history_of(served.database, user.caller))[past:]
    assert [(each.kind, each.run_id) for each in history] == [(kind, None) for kind in change.history]
    stamped = {row_id for row_id, row in {**after.rows, **after.deletions}.items() if row.revision == after.revision}
    assert {each.row_id for each in history} <= stamped


def _named(shown: Any, new_id: str) -> Any:
    """Return what a api showed with the id of a task that was made in place of the one it was given."""
    return shown | {"id": NEW} if isinstance(shown, dict) and shown["id"] == new_id else shown


Reading = tuple[str, Callable[[Any], Awaitable[list[Task]]], Sequence[str], Sequence[str]]
# What is asked for, and the titles that come.
READINGS: Final[Sequence[Reading]] = (
    ("everything", lambda api: api.find(), ["Garden", "Water the plants", "apples", "Bread"], ALL),
    ("open", lambda api: api.find(completed=False), ["Garden", "apples", "Bread"], ALL),
    ("done", lambda api: api.find(completed=True), ["Water the plants"], ALL),
    ("a priority", lambda api: api.find(priority="HIGH"), ["Garden"], ALL),
    ("nothing", lambda api: api.find(priority="HIGH", completed=True), [], ALL),
    ("as made", lambda api: api.find(order="created_at", limit=2), ["Garden", "Water the plants"], ALL),
    ("by date", lambda api: api.find(order="due_at"), ["Garden", "Bread", "Water the plants", "apples"], ALL),
    # The other way round where they are the same.
    ("by priority", lambda api: api.find(order="priority"), ["Garden", "apples", "Water the plants", "Bread"], ALL),
    ("by title", lambda api: api.find(order="title"), ["apples", "Bread", "Garden", "Water the plants"], ALL),
    ("one", lambda api: api.find(limit=1), ["Garden"], ALL),
    ("words", lambda api: api.search("PLA wat"), ["Water the plants"], ALL),
    ("words of a description", lambda api: api.search("rose"), ["Garden"], ALL),
    ("words that are nowhere", lambda api: api.search("rose plants"), [], ALL),
    ("words and a limit", lambda api: api.search("bread", limit=1), ["Bread"], ALL),
    # REST has no filters of tags and dates.
    ("tags", lambda api: api.find(tags=["spring", "home"]), ["Garden"], WITHOUT_REST),
    ("other tags", lambda api: api.find(tags=["home", "work"]), [], WITHOUT_REST),
    ("due after", lambda api: api.find(due_after="2026-01-31T12:00:00Z"), ["Garden", "Bread"], WITHOUT_REST),
    ("due before", lambda api: api.find(due_before="2026-01-31T14:00:00+02:00"), [], WITHOUT_REST),
)


@pytest.fixture(scope="module")
async def reader(served: Served) -> SignedIn:
    """Give a user with tasks that nothing changes."""
    user = await sign_in(served.database, served.server.runtime.settings)
    await make_tasks(served, user)
    await make_task(served.database, user.caller, "apples")
    low: dict[str, Any] = {"priority": TaskPriority.LOW, "due_at": datetime(2026, 2, 1, tzinfo=UTC)}
    await make_task(served.database, user.caller, "Bread", **low)
    return user


async def test_lists_are_the_same_over_every_api(served: Served, reader: SignedIn) -> None:
    async with served.open(reader) as apis:
        for name, ask, titles, names in READINGS:
            shown = [await ask(apis[each]) for each in names]
            assert [task["title"] for task in shown[0]] == titles, name
            assert all(tasks == shown[0] for tasks in shown), name
        for each in WITHOUT_MCP:
            assert await apis[each].get(GARDEN.upper()) == AS_GARDEN
