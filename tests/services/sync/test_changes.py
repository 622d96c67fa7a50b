"""What changed for a user after a cursor: each row once, with its latest state, whatever the page."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.errors import BadUserInputError, CursorExpiredError, UnauthenticatedError
from core.settings import Settings
from services.accounts.caller import Caller
from services.accounts.users import update_profile
from services.sync.changes import (
    DELETION,
    Change,
    Changes,
    Counter,
    Cursor,
    check_size,
    read_changes,
    read_counter,
    resume,
)
from services.tasks.tasks import tasks as task_service
from tests.factories import SignedIn, make_conversation, make_message, make_task, new_task, sign_in
from tests.services.rows import all_statements


async def read(database: Database, caller: Caller, after: Cursor, first: int = 100) -> Changes:
    async with database.read() as session:
        return await read_changes(session, caller, after, first)


async def everything(database: Database, caller: Caller, after: Cursor, first: int) -> list[Change]:
    found: list[Change] = []
    has_more = True
    while has_more:
        page = await read(database, caller, after, first)
        assert len(page.entries) == first or (len(page.entries) < first and not page.has_more)
        found += page.entries
        after, has_more = page.cursor, page.has_more
    assert (await read(database, caller, after, first)).entries == ()
    return found


async def live(database: Database, user: SignedIn) -> dict[str, str]:
    """Make a bit of everything; return the ids by name."""
    conversation = await make_conversation(database, user.caller)
    first, second = [await make_message(database, user.caller, conversation.id) for _ in range(2)]
    new = [new_task(str(number)) for number in range(5)]
    tasks = await database.write(lambda session: task_service.create_many(session, user.caller, new))
    await database.write(lambda session: task_service.delete_many(session, user.caller, [tasks[0].id, tasks[1].id]))
    changes = {"title": "changed"}
    await database.write(lambda session: task_service.update(session, user.caller, tasks[2].id, changes))
    names = {"conversation": conversation.id, "first": first.id, "second": second.id}
    return names | {f"task {number}": task.id for number, task in enumerate(tasks)}


@pytest.mark.parametrize("first", [1, 2, 3, 7, 100])
async def test_pages_of_any_size(database: Database, user: SignedIn, first: int) -> None:
    ids = await live(database, user)
    names = {row_id: name for name, row_id in ids.items()} | {user.user.id: "user"}
    found = await everything(database, user.caller, Cursor(-1, None, 0), first)
    assert [(names[each.id], each.kind, each.revision) for each in found] == [
        ("user", "User", 0),
        ("first", "Message", 2),
        *sorted([("conversation", "Conversation", 3), ("second", "Message", 3)], key=by_id(ids)),
        *sorted([("task 3", "Task", 4), ("task 4", "Task", 4)], key=by_id(ids)),
        *sorted([("task 0", DELETION, 5), ("task 1", DELETION, 5)], key=by_id(ids)),
        ("task 2", "Task", 6),
    ]


def by_id(ids: dict[str, str]) -> Any:
    return lambda entry: ids[entry[0]]


async def test_from_every_revision(database: Database, user: SignedIn) -> None:
    await live(database, user)
    found = await everything(database, user.caller, Cursor(-1, None, 0), 100)
    for revision in range(8):
        after = [each for each in found if each.revision > revision]
        assert await everything(database, user.caller, Cursor(revision), 2) == after


async def test_where_deletions_do_not_matter(database: Database, user: SignedIn) -> None:
    await live(database, user)
    kinds = [each.kind for each in await everything(database, user.caller, Cursor(-1, None, 5), 3)]
    assert DELETION not in kinds
    assert len(kinds) == 7


async def test_the_cursor_behind_a_page(database: Database, user: SignedIn) -> None:
    await live(database, user)
    page = await read(database, user.caller, Cursor(3), 1)
    assert page.has_more
    assert page.cursor == Cursor(4, page.entries[0].id)
    page = await read(database, user.caller, Cursor(3))
    assert (page.has_more, page.cursor) == (False, Cursor(6))
    page = await read(database, user.caller, page.cursor)
    assert (page.entries, page.has_more, page.cursor) == ((), False, Cursor(6))


async def test_a_page_that_ends_just_with_the_last(database: Database, user: SignedIn) -> None:
    await live(database, user)
    count = len(await everything(database, user.caller, Cursor(-1, None, 0), 100))
    page = await read(database, user.caller, Cursor(-1, None, 0), count)
    assert (len(page.entries), page.has_more) == (count, False)


async def test_a_row_that_moves_while_pages_are_read(database: Database, user: SignedIn) -> None:
    tasks = [await make_task(database, user.caller, str(number)) for number in range(6)]
    page = await read(database, user.caller, Cursor(0), 3)
    seen = [each.id for each in page.entries]
    # One that was read changes, and one that was not.
    for task in (tasks[0], tasks[4]):
        changes = {"title": "changed"}
        await database.write(partial(task_service.update, caller=user.caller, row_id=task.id, changes=changes))
    rest = await everything(database, user.caller, page.cursor, 3)
    assert seen == [task.id for task in tasks[:3]]
    assert [each.id for each in rest] == [tasks[index].id for index in (3, 5, 0, 4)]


async def test_only_what_is_theirs(database: Database, settings: Settings, user: SignedIn) -> None:
    other = await sign_in(database, settings)
    await live(database, other)
    assert [each.id for each in await everything(database, user.caller, Cursor(-1, None, 0), 10)] == [user.user.id]


async def test_the_profile(database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    await database.write(lambda session: update_profile(session, user.caller, {"name": "Grace"}))
    found = await everything(database, user.caller, Cursor(0), 10)
    assert [(each.kind, each.id) for each in found] == [("Task", task.id), ("User", user.user.id)]


async def test_one_statement_a_page(database: Database, user: SignedIn) -> None:
    await live(database, user)
    async with database.read() as session:
        with all_statements(database) as statements:
            await read_changes(session, user.caller, Cursor(0), 100)
    assert len(statements) == 1


async def test_the_counter(database: Database, user: SignedIn) -> None:
    async with database.read() as session:
        assert await read_counter(session, user.caller) == Counter(0, 0)
        gone = Caller("nobody", None, is_admin=False, expires_at=user.caller.expires_at)
        with pytest.raises(UnauthenticatedError):
            await read_counter(session, gone)


@pytest.mark.parametrize(
    ("since", "goes_on"),
    [
        (Cursor(4), False),
        (Cursor(5), True),
        (Cursor(5, "x"), False),
        (Cursor(6, "x"), True),
        (Cursor(0, None, 5), True),
        (Cursor(0, "x", 4), False),
        (Cursor(9), True),
        (Cursor(9, "x"), True),
        (Cursor(10), False),
    ],
)
def test_where_to_read_on(since: Cursor, goes_on: bool) -> None:
    counter = Counter(revision=9, forgotten=5)
    if goes_on:
        assert resume(since, counter) == since
    else:
        with pytest.raises(CursorExpiredError, match="begin anew, without a cursor"):
            resume(since, counter)
    assert resume(None, counter) == Cursor(-1, None, 9)


def test_sizes() -> None:
    assert [check_size(each) for each in (None, 1, 100)] == [100, 1, 100]
    for size in (0, -1, 101, 1 << 31):
        with pytest.raises(BadUserInputError, match=r"^first must be 1 to 100; it is -?\d+\.$"):
            check_size(size)


async def test_a_revision_is_seen_whole(database: Database, user: SignedIn) -> None:
    """Read pages while bulks are written: no revision may be seen in part and then be passed over."""
    sizes: Sequence[int] = [7, 1, 30, 2, 19]

    async def write(session: AsyncSession, count: int) -> None:
        await task_service.create_many(session, user.caller, [new_task(str(number)) for number in range(count)])

    found: list[Change] = []
    cursor = Cursor(0)
    for size in sizes:
        await database.write(partial(write, count=size))
        page = await read(database, user.caller, cursor, 5)
        found += page.entries
        cursor = page.cursor
    found += await everything(database, user.caller, cursor, 5)
    assert len({each.id for each in found}) == len(found) == sum(sizes)
