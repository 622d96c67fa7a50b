"""Every change of a task is kept in its history, with who made it, by one statement."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import Database
from core.errors import ConflictError
from core.settings import Settings
from models import HistoryAction, HistoryEntry, Message, Run, Task, TaskPriority, ToolCall
from models.columns import recorded_columns
from services.accounts.audit import NO_CLIENT
from services.accounts.caller import Caller
from services.entities.history import history_listing, read_values, snapshot
from services.query.pagination import PageArguments, fetch_page, read_window
from services.query.sql import fetch_all, table_of
from services.tasks.tasks import tasks as task_service
from tests.core.rows_of_all_tables import FIRST, LAST
from tests.databases import counted
from tests.factories import SignedIn, make_task, new_task, sign_in, store, task_row
from tests.histories import Hand, assisted
from tests.services.account_services import AccountServices
from tests.state import state_of

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
RECORDED: Final = {column.name: column for column in recorded_columns(Task)}


async def write(person: Hand, work: Callable[..., Awaitable[Any]], **arguments: Any) -> Any:
    """Let a function of the task service do something for the person."""
    return await person.database.write(partial(work, caller=person.caller, **arguments))


async def test_creation_is_recorded_with_all_values(person: Hand) -> None:
    parent = await person.make()
    due_at = NOON.replace(microsecond=5).astimezone(timezone(timedelta(hours=2)))
    values = {"description": "Twice", "priority": TaskPriority.HIGH, "tags": ("b", "a"), "parent_id": parent.id}
    task = await person.make("Call Ada", due_at=due_at, **values)
    (made,) = await person.history(task)
    assert (made.kind, made.before, made.revision) == (HistoryAction.CREATED, {}, 2)
    assert made.created_at == task.created_at
    defaults = {name: None if column.is_required else column.make_default() for name, column in RECORDED.items()}
    assert made.after == defaults | values | {
        "title": "Call Ada",
        "priority": "HIGH",
        "due_at": "2026-01-31T12:00:00.000005+00:00",
        "tags": ["b", "a"],
        "created_at": task.created_at.isoformat(),
    }
    task = await person.change(task, completed=True, description="")
    assert read_values(Task, snapshot(Task, task)) == {name: getattr(task, name) for name in (*RECORDED, "created_at")}


def test_history_keeps_each_column_that_does_not_follow_from_others() -> None:
    stamps = {"user_id", "id", "created_at", "updated_at", "revision", "words"}
    assert RECORDED.keys() == Task.model_fields.keys() - stamps


async def test_update_is_recorded_with_what_changed_alone(person: Hand) -> None:
    task = await person.make(due_at=NOON, tags=["a"])
    await person.change(task, title="New", due_at=None, tags=["a"], description=None, completed=True)
    _, changed = await person.history(task)
    assert (changed.kind, changed.revision) == (HistoryAction.UPDATED, 2)
    before = {"title": "Water the plants", "due_at": NOON.isoformat(), "completed": False, "completed_at": None}
    assert changed.before == before
    done_at = changed.after.pop("completed_at")
    assert datetime.fromisoformat(done_at).utcoffset() == timedelta(0)
    assert changed.after == {"title": "New", "due_at": None, "completed": True}
    for moment in (FIRST, LAST):
        await person.change(task, due_at=moment)
        await person.change(task, due_at=None)
        *_, given, cleared = await person.history(task)
        assert given.after == cleared.before == {"due_at": moment.isoformat()}


async def test_completing_several_tasks_records_those_that_change(person: Hand) -> None:
    first, second, done = [await person.make() for _ in range(3)]
    await write(person, task_service.toggle, row_id=done.id)
    ids = [first.id, done.id, second.id, first.id]
    await write(person, task_service.update_many, row_ids=ids, changes={"completed": True})
    changes = (await person.history())[3:]
    assert [(change.row_id, change.revision) for change in changes] == [(done.id, 4), (first.id, 5), (second.id, 5)]
    assert all(change.after.keys() == {"completed", "completed_at"} for change in changes)


async def test_deletion_is_recorded_for_each_task_of_a_tree(person: Hand) -> None:
    root = await person.make("root")
    child = await person.make("child", parent_id=root.id)
    leaf = await person.make("leaf", parent_id=child.id, tags=["x"])
    spared = await person.make()
    made = {change.row_id: change.after for change in await person.history()}
    await person.delete(root)
    deleted = (await person.history())[4:]
    assert {change.row_id for change in deleted} == {root.id, child.id, leaf.id}
    for change in deleted:
        assert (change.kind, change.revision, change.after) == (HistoryAction.DELETED, 5, {})
        assert change.before == made[change.row_id]
    assert len(await person.history(spared)) == 1


async def test_change_is_recorded_with_its_tool_call(database: Database, user: SignedIn, person: Hand) -> None:
    run = await assisted(database, user)
    task = await run.make()
    await person.change(task, title="Mine")
    await run.delete(task)
    of_run = (run.run.id, run.answered.calls[0].id)
    changes = await person.history(task)
    assert [(change.run_id, change.tool_call_id) for change in changes] == [of_run, (None, None), of_run]


async def test_request_that_changes_nothing_is_not_recorded(database: Database, person: Hand) -> None:
    task = await person.make(tags=["a"], idempotency_key="once")
    before = await state_of(database, person.caller.user_id), await person.history()
    assert (await person.make(tags=["a"], idempotency_key="once")).id == task.id
    await person.change(task, title="Water the plants", tags=["a"], completed=False)
    await person.change(task)
    await write(person, task_service.update_many, row_ids=[task.id], changes={"completed": False})
    await write(person, task_service.update_many, row_ids=[], changes={"completed": True})
    await write(person, task_service.delete_many, row_ids=[])
    await write(person, task_service.create_many, new=[])
    with pytest.raises(ConflictError):
        await write(person, task_service.update, row_id=task.id, changes={"title": "x"}, expected_revision=9)

    async def fail(session: AsyncSession) -> None:
        await task_service.update(session, person.caller, task.id, {"title": "never"})
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(fail)
    assert (await state_of(database, person.caller.user_id), await person.history()) == before


Work = Callable[[AsyncSession, Caller, list[str]], Awaitable[Any]]
CHANGES: Final = {"title": "x", "completed": True}
MUTATIONS: Final[list[tuple[int, Work]]] = [
    # The counter, the task, its history.
    (3, lambda session, caller, _: task_service.create(session, caller, new_task("x"))),
    (3, lambda session, caller, ids: task_service.create_many(session, caller, [new_task() for _ in ids])),
    # The counter, the task as it is, the task as it becomes, its history.
    (4, lambda session, caller, ids: task_service.update(session, caller, ids[0], CHANGES)),
    (4, lambda session, caller, ids: task_service.toggle(session, caller, ids[0])),
    (4, lambda session, caller, ids: task_service.update_many(session, caller, ids, {"completed": True})),
    # The counter, the tasks, tombstones, all that goes, the deletion, its history.
    (6, lambda session, caller, ids: task_service.delete(session, caller, ids[0])),
    (6, task_service.delete_many),
]
NAMES: Final = ("create", "create_many", "update", "toggle", "update_many", "delete", "delete_many")


@pytest.mark.parametrize(("statements", "work"), MUTATIONS, ids=NAMES)
async def test_as_many_statements_for_one_task_as_for_a_hundred(
    database: Database, user: SignedIn, statements: int, work: Work
) -> None:
    for count in (1, 100):
        tops = [task_row(user.user.id) for _ in range(count)]
        below = [task_row(user.user.id, parent_id=tops[0].id) for _ in range(count)]
        await store(database, *tops)
        await store(database, *below)
        with counted() as counting:
            await database.write(lambda session: work(session, user.caller, [task.id for task in tops]))  # noqa: B023
        assert len(counting) == statements, counting
        assert sum("INTO history" in text for text in counting) == 1


async def test_a_hundred_tasks_at_once_have_a_history_each(person: Hand) -> None:
    tasks = await write(person, task_service.create_many, new=[new_task(f"Task {number}") for number in range(100)])
    ids = [task.id for task in tasks]
    await write(person, task_service.update_many, row_ids=ids, changes={"completed": True})
    await write(person, task_service.delete_many, row_ids=ids)
    changes = await person.history()
    for kind in HistoryAction:
        assert {each.row_id for each in changes if each.kind is kind} == set(ids)
    assert [each.after["title"] for each in changes[:100]] == [task.title for task in tasks]


async def test_history_and_runs_are_deleted_with_their_account(services: AccountServices, settings: Settings) -> None:
    owner, other = [await sign_in(services.database, settings) for _ in range(2)]
    for each in (owner, other):
        await (await assisted(services.database, each)).make()
        await make_task(services.database, each.caller)
    await services.accounts.delete_user(await services.admin(), owner.user.id, NO_CLIENT)
    models: list[type[SQLModel]] = [HistoryEntry, Run, ToolCall, Message]
    for table in map(table_of, models):
        async with services.database.read() as session:
            whose = select(table.c.user_id).where(table.c.user_id.in_([owner.user.id, other.user.id]))
            assert {row.user_id for row in await fetch_all(session, whose)} == {other.user.id}, table.name


async def test_changes_stay_in_order_where_clocks_disagree(database: Database, user: SignedIn, person: Hand) -> None:
    ahead = utc_now() + timedelta(hours=1)
    task = task_row(user.user.id, created_at=ahead, updated_at=ahead)
    await store(database, task)
    assert (await person.change(task, title="Water the garden")).updated_at == ahead
    await person.delete(task)
    listing = history_listing(user.caller, frozenset({"kind"}))
    page = await fetch_page(database.reader, listing, read_window(listing.order, PageArguments()))
    assert [(row.kind, row.created_at) for row in page.rows] == [
        (HistoryAction.UPDATED, ahead),
        (HistoryAction.DELETED, ahead),
    ]
