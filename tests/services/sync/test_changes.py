"""What changed for a user after a cursor: each row once, with its latest state, whatever the page."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from core.database import Database
from core.errors import UnauthenticatedError
from services.accounts.users import update_profile
from services.sync.changes import (
    ALL_KINDS,
    Change,
    Changes,
    Counter,
    Cursor,
    EntityKind,
    read_changes,
    read_counter,
    read_cursor,
)
from services.tasks.tasks import tasks as task_service
from tests.factories import SignedIn, make_conversation, make_message, make_task, new_task
from tests.services.rows import all_statements
from tests.services.task_rows import caller_of

FROM_THE_START = Cursor(-1, None, 0)


async def read(database: Database, user: SignedIn, after: Cursor, first: int = 100) -> Changes:
    async with database.read() as session:
        return await read_changes(session, user.caller, after, first)


async def everything(database: Database, user: SignedIn, after: Cursor, first: int) -> list[Change]:
    found: list[Change] = []
    has_more = True
    while has_more:
        page = await read(database, user, after, first)
        assert len(page.entries) == first or (len(page.entries) < first and not page.has_more)
        found += page.entries
        after, has_more = page.cursor, page.has_more
    assert (await read(database, user, after, first)).entries == ()
    return found


async def write(database: Database, user: SignedIn, work: Callable[..., Awaitable[Any]], **arguments: Any) -> Any:
    return await database.write(partial(work, caller=user.caller, **arguments))


async def live(database: Database, user: SignedIn) -> dict[str, str]:
    """Make a bit of everything; return the names by id."""
    conversation = await make_conversation(database, user.caller)
    first, second = [await make_message(database, user.caller, conversation.id) for _ in range(2)]
    new = [new_task(str(number)) for number in range(5)]
    tasks = await write(database, user, task_service.create_many, new=new)
    await write(database, user, task_service.delete_many, row_ids=[tasks[0].id, tasks[1].id])
    await write(database, user, task_service.update, row_id=tasks[2].id, changes={"title": "changed"})
    names = {user.user.id: "user", conversation.id: "conversation", first.id: "first", second.id: "second"}
    return names | {task.id: f"task {number}" for number, task in enumerate(tasks)}


@pytest.mark.parametrize("first", [1, 2, 3, 7, 100])
async def test_pages_of_any_size_give_each_change_once_in_order(database: Database, user: SignedIn, first: int) -> None:
    names = await live(database, user)
    found = await everything(database, user, FROM_THE_START, first)
    assert [(each.revision, each.id) for each in found] == sorted((each.revision, each.id) for each in found)
    assert sorted((each.revision, names[each.id], each.kind, each.is_deleted) for each in found) == [
        (0, "user", "USER", False),
        (2, "first", "MESSAGE", False),
        (3, "conversation", "CONVERSATION", False),
        (3, "second", "MESSAGE", False),
        (4, "task 3", "TASK", False),
        (4, "task 4", "TASK", False),
        (5, "task 0", "TASK", True),
        (5, "task 1", "TASK", True),
        (6, "task 2", "TASK", False),
    ]


async def test_pages_of_some_kinds_are_full_and_the_cursor_passes_the_others(
    database: Database, user: SignedIn
) -> None:
    await live(database, user)
    found = await everything(database, user, FROM_THE_START, 100)
    for kinds in ((EntityKind.TASK,), (EntityKind.MESSAGE, EntityKind.USER), (EntityKind.RUN,)):
        wanted = [each for each in found if each.kind in kinds]
        assert await everything(database, user, replace(FROM_THE_START, kinds=kinds), 2) == wanted
        page = await read(database, user, replace(FROM_THE_START, kinds=kinds))
        assert page.cursor == Cursor(6, kinds=kinds)
        assert read_cursor(page.cursor.write(), "since") == page.cursor
    assert set(ALL_KINDS) == set(EntityKind)


async def test_changes_after_every_revision(database: Database, user: SignedIn) -> None:
    await live(database, user)
    found = await everything(database, user, FROM_THE_START, 100)
    for revision in range(7):
        after = [each for each in found if each.revision > revision]
        assert await everything(database, user, Cursor(revision), 2) == after
    # Deletions up to the cursor's base do not matter.
    relevant = [each for each in found if not each.is_deleted]
    assert await everything(database, user, Cursor(-1, None, 5), 3) == relevant


async def test_page_takes_one_statement_and_has_its_cursor(database: Database, user: SignedIn) -> None:
    await live(database, user)
    with all_statements(database) as statements:
        page = await read(database, user, Cursor(3), 1)
    assert len(statements) == 1
    assert (page.has_more, page.cursor) == (True, Cursor(4, page.entries[0].id))
    # The last page may be full.
    for first in (100, 5):
        page = await read(database, user, Cursor(3), first)
        assert (len(page.entries), page.has_more, page.cursor) == (5, False, Cursor(6))
    page = await read(database, user, page.cursor)
    assert (page.entries, page.has_more, page.cursor) == ((), False, Cursor(6))


async def test_row_that_changes_while_pages_are_read_comes_again(database: Database, user: SignedIn) -> None:
    tasks = [await make_task(database, user.caller, str(number)) for number in range(6)]
    page = await read(database, user, Cursor(0), 3)
    # One that was read changes, and one that was not.
    for task in (tasks[0], tasks[4]):
        await write(database, user, task_service.update, row_id=task.id, changes={"title": "changed"})
    rest = await everything(database, user, page.cursor, 3)
    assert [each.id for each in page.entries] == [task.id for task in tasks[:3]]
    assert [each.id for each in rest] == [tasks[index].id for index in (3, 5, 0, 4)]


async def test_changes_are_those_of_the_caller(database: Database, user: SignedIn, stranger: SignedIn) -> None:
    await live(database, stranger)
    assert [each.id for each in await everything(database, user, FROM_THE_START, 10)] == [user.user.id]
    task = await make_task(database, user.caller)
    await write(database, user, update_profile, changes={"name": "Grace"})
    found = await everything(database, user, Cursor(0), 10)
    assert [(each.kind, each.id) for each in found] == [("TASK", task.id), ("USER", user.user.id)]


async def test_counter_is_that_of_the_caller(database: Database, user: SignedIn) -> None:
    async with database.read() as session:
        assert await read_counter(session, user.caller) == Counter(0, 0)
        with pytest.raises(UnauthenticatedError):
            await read_counter(session, caller_of("nobody"))
