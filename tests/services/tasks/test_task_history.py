"""Every change of a task is kept in its history, with who made it, by one statement."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
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
from services.accounts.accounts import Accounts
from services.accounts.caller import Caller
from services.entities.history import history_listing, read_values, snapshot
from services.query.pagination import PageArguments, fetch_page, read_window
from services.query.sql import fetch_all, table_of
from services.tasks.tasks import tasks as task_service
from tests.databases import counted
from tests.factories import SignedIn, make_task, new_task, sign_in, store, task_row
from tests.histories import Hand, assisted, history_of
from tests.services.account_services import AccountServices
from tests.state import state_of

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def test_a_task_is_made(database: Database, person: Hand) -> None:
    parent = await person.make()
    due_at = NOON.replace(microsecond=5).astimezone(timezone(timedelta(hours=2)))
    task = await person.make(
        "Call Ada", description="Twice", priority=TaskPriority.HIGH, due_at=due_at, tags=("b", "a"), parent_id=parent.id
    )
    (made,) = await history_of(database, person.caller, task.id)
    assert (made.kind, made.before, made.revision) == (HistoryAction.CREATED, {}, 2)
    assert made.created_at == task.created_at
    assert made.after == {
        "title": "Call Ada",
        "description": "Twice",
        "completed": False,
        "completed_at": None,
        "priority": "HIGH",
        "due_at": "2026-01-31T12:00:00.000005+00:00",
        "tags": ["b", "a"],
        "parent_id": parent.id,
        "created_at": task.created_at.isoformat(),
    }


def test_history_keeps_each_column_that_does_not_follow_from_others() -> None:
    stamps = {"user_id", "id", "created_at", "updated_at", "revision", "words"}
    assert {column.name for column in recorded_columns(Task)} == set(Task.model_fields) - stamps


async def test_what_is_kept_can_be_read_again(person: Hand) -> None:
    parent = await person.make()
    task = await person.make(
        "Call Ada", description="", priority=TaskPriority.LOW, due_at=NOON, tags=["a"], parent_id=parent.id
    )
    task = await person.change(task, completed=True)
    names = [*(column.name for column in recorded_columns(Task)), "created_at"]
    assert read_values(Task, snapshot(Task, task)) == {name: getattr(task, name) for name in names}


async def test_just_what_changed(database: Database, person: Hand) -> None:
    task = await person.make(due_at=NOON, tags=["a"])
    await person.change(task, title="New", due_at=None, tags=["a"], description=None, completed=True)
    _, changed = await history_of(database, person.caller, task.id)
    assert (changed.kind, changed.revision) == (HistoryAction.UPDATED, 2)
    assert changed.before == {
        "title": "Water the plants",
        "due_at": NOON.isoformat(),
        "completed": False,
        "completed_at": None,
    }
    done_at = changed.after.pop("completed_at")
    assert datetime.fromisoformat(done_at).utcoffset() == timedelta(0)
    assert changed.after == {"title": "New", "due_at": None, "completed": True}


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
async def test_the_first_and_the_last_moment(database: Database, person: Hand, moment: datetime) -> None:
    task = await person.make(due_at=moment)
    await person.change(task, due_at=None)
    await person.change(task, due_at=moment)
    *_, cleared, given = await history_of(database, person.caller, task.id)
    assert cleared.before == given.after == {"due_at": moment.isoformat()}


async def test_toggling_and_completing_several(database: Database, person: Hand) -> None:
    first, second, done = [await person.make() for _ in range(3)]
    await database.write(lambda session: task_service.toggle(session, person.caller, done.id))
    ids = [first.id, done.id, second.id, first.id]
    await database.write(lambda session: task_service.update_many(session, person.caller, ids, {"completed": True}))
    changes = (await history_of(database, person.caller))[3:]
    assert [(change.row_id, change.revision) for change in changes] == [(done.id, 4), (first.id, 5), (second.id, 5)]
    assert all(change.after.keys() == {"completed", "completed_at"} for change in changes)


async def test_a_tree_is_deleted(database: Database, person: Hand) -> None:
    root = await person.make("root")
    child = await person.make("child", parent_id=root.id)
    leaf = await person.make("leaf", parent_id=child.id, tags=["x"])
    spared = await person.make()
    made = {change.row_id: change.after for change in await history_of(database, person.caller)}
    await person.delete(root)
    deleted = (await history_of(database, person.caller))[4:]
    assert {change.row_id for change in deleted} == {root.id, child.id, leaf.id}
    for change in deleted:
        assert (change.kind, change.revision, change.after) == (HistoryAction.DELETED, 5, {})
        assert change.before == made[change.row_id]
    assert len(await history_of(database, person.caller, spared.id)) == 1


async def test_who_made_it(database: Database, user: SignedIn, person: Hand) -> None:
    run = await assisted(database, user)
    task = await run.make()
    await person.change(task, title="Mine")
    await run.delete(task)
    of_run = (run.run.id, run.answered.calls[0].id)
    changes = await history_of(database, person.caller, task.id)
    assert [(change.run_id, change.tool_call_id) for change in changes] == [of_run, (None, None), of_run]


async def test_nothing_happened(database: Database, person: Hand) -> None:
    task = await person.make(tags=["a"])
    before = await state_of(database, person.caller.user_id)
    history = await history_of(database, person.caller)
    await person.change(task, title="Water the plants", tags=["a"], completed=False)
    await person.change(task)
    await database.write(
        lambda session: task_service.update_many(session, person.caller, [task.id], {"completed": False})
    )
    await database.write(lambda session: task_service.update_many(session, person.caller, [], {"completed": True}))
    await database.write(lambda session: task_service.delete_many(session, person.caller, []))
    await database.write(lambda session: task_service.create_many(session, person.caller, []))
    with pytest.raises(ConflictError):
        await database.write(
            lambda session: task_service.update(session, person.caller, task.id, {"title": "x"}, expected_revision=9)
        )
    assert await state_of(database, person.caller.user_id) == before
    assert await history_of(database, person.caller) == history


async def test_the_same_request_again_is_no_second_change(database: Database, person: Hand) -> None:
    task = await person.make(idempotency_key="once")
    assert (await person.make(idempotency_key="once")).id == task.id
    assert len(await history_of(database, person.caller)) == 1


Work = Callable[[AsyncSession, Caller, list[str]], Awaitable[Any]]
MUTATIONS: Final[dict[str, tuple[Work, int]]] = {
    # The counter, the task, its history.
    "create_task": (lambda session, caller, _: task_service.create(session, caller, new_task("x")), 3),
    "create_tasks": (
        lambda session, caller, ids: task_service.create_many(
            session, caller, [new_task(str(index)) for index in range(len(ids))]
        ),
        3,
    ),
    # The counter, the task as it is, the task as it becomes, its history.
    "update_task": (
        lambda session, caller, ids: task_service.update(session, caller, ids[0], {"title": "x", "completed": True}),
        4,
    ),
    "toggle_task": (lambda session, caller, ids: task_service.toggle(session, caller, ids[0]), 4),
    "set_tasks_completed": (
        lambda session, caller, ids: task_service.update_many(session, caller, ids, {"completed": True}),
        4,
    ),
    # The counter, the tasks, tombstones, all that goes, the deletion, its history.
    "delete_task": (lambda session, caller, ids: task_service.delete(session, caller, ids[0]), 6),
    "delete_tasks": (task_service.delete_many, 6),
}


@pytest.mark.parametrize("name", MUTATIONS)
async def test_as_many_statements_for_one_task_as_for_a_hundred(database: Database, user: SignedIn, name: str) -> None:
    work, statements = MUTATIONS[name]
    for count in (1, 100):
        tops = [task_row(user.user.id) for _ in range(count)]
        below = [task_row(user.user.id, parent_id=tops[0].id) for _ in range(count)]
        await store(database, *tops)
        await store(database, *below)
        with counted() as counting:
            await database.write(lambda session: work(session, user.caller, [task.id for task in tops]))  # noqa: B023
        assert len(counting) == statements, counting
        assert sum("INTO history" in text for text in counting) == 1


async def test_a_hundred_at_once_have_a_history_each(database: Database, person: Hand) -> None:
    new = [new_task(f"Task {number}") for number in range(100)]
    tasks = await database.write(lambda session: task_service.create_many(session, person.caller, new))
    ids = [task.id for task in tasks]
    await database.write(lambda session: task_service.update_many(session, person.caller, ids, {"completed": True}))
    await database.write(lambda session: task_service.delete_many(session, person.caller, ids))
    changes = await history_of(database, person.caller)
    for kind in HistoryAction:
        assert {each.row_id for each in changes if each.kind is kind} == set(ids)
    assert [each.after["title"] for each in changes[:100]] == [task.title for task in tasks]


async def test_a_change_that_fails_leaves_no_history(database: Database, person: Hand) -> None:
    task = await person.make()

    async def work(session: AsyncSession) -> Task:
        await task_service.update(session, person.caller, task.id, {"title": "never"})
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert len(await history_of(database, person.caller)) == 1


async def test_an_account_goes_with_all_of_it(services: AccountServices, settings: Settings) -> None:
    owner, other = [await sign_in(services.database, settings) for _ in range(2)]
    for each in (owner, other):
        await assisted(services.database, each)
        await (await assisted(services.database, each)).make()
        await make_task(services.database, each.caller)
    accounts: Accounts = services.accounts
    await accounts.delete_user(await services.admin(), owner.user.id)
    models: list[type[SQLModel]] = [HistoryEntry, Run, ToolCall, Message]
    for table in [table_of(model) for model in models]:
        async with services.database.read() as session:
            whose = select(table.c.user_id).where(table.c.user_id.in_([owner.user.id, other.user.id]))
            assert {row.user_id for row in await fetch_all(session, whose)} == {other.user.id}, table.name


async def test_changes_follow_each_other_where_clocks_disagree(
    database: Database, user: SignedIn, person: Hand
) -> None:
    ahead = utc_now() + timedelta(hours=1)
    task = task_row(user.user.id, created_at=ahead, updated_at=ahead)
    await store(database, task)
    changed = await person.change(task, title="Water the garden")
    assert changed.updated_at == ahead
    await person.delete(task)
    listing = history_listing(user.caller, frozenset({"kind"}))
    page = await fetch_page(database.reader, listing, read_window(listing.order, PageArguments()))
    assert [row.kind for row in page.rows] == [HistoryAction.UPDATED, HistoryAction.DELETED]
    assert [row.created_at for row in page.rows] == [ahead] * 2
