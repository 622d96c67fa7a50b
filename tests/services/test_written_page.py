"""What PostgreSQL writes is, to the byte, what we would have written of the rows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine.interfaces import CacheStats
from sqlmodel import SQLModel

from core.database import Database
from core.ids import new_id
from models import Conversation, Message, MessageRole, MessageStatus, Task, TaskChange, TaskPriority
from services.caller import Caller
from services.conversation import conversation_listing
from services.message import message_listing
from services.paging import Listing, PageArguments, fetch_page, fetch_pages, read_window
from services.sql import table_of
from services.task_list import TaskOrder, task_listing
from services.written import Part, Writing, is_writable
from services.written_page import WrittenPages
from tests.databases import only_postgresql
from tests.factories import store, task_row
from tests.services.task_rows import Steps, make_tasks, orders, steps, task_lists

TASK: Final = (
    *("id", "title", "description", "completed", "completed_at", "priority", "due_at", "tags", "revision"),
    *("parent_id", "created_at", "updated_at"),
)
NAMES: Final[dict[type[SQLModel], tuple[str, ...]]] = {
    Task: TASK,
    Message: ("id", "conversation_id", "role", "content", "status", "revision", "created_at"),
    Conversation: ("id", "title", "revision", "created_at", "updated_at"),
}
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
CHARACTERS: Final = "".join(map(chr, [*range(1, 0x100), 0x2028, 0xFFFF, 0x1F600]))
MOMENTS: Final = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]
)
some = settings(max_examples=60, deadline=None)


def parts_of(model: type[SQLModel]) -> tuple[Part, ...]:
    return (*(Part(f"the_{name}", name, "") for name in NAMES[model]), Part("__typename", None, model.__name__))


def object_of(row: Any, model: type[SQLModel]) -> dict[str, Any]:
    return {f"the_{name}": getattr(row, name) for name in NAMES[model]} | {"__typename": model.__name__}


async def check(database: Database, model: type[SQLModel], listing: Listing, arguments: PageArguments) -> Any:
    """Return a page as rows, having compared it with what PostgreSQL has written."""
    window = read_window(listing.order, arguments)
    page = await fetch_page(database.reader, listing, window)
    written = await WrittenPages(listing, window, Writing(parts_of(model), has_ends=True)).fetch(database.reader)
    assert written.json.encode() == orjson.dumps([object_of(row, model) for row in page.rows])
    assert (written.start_cursor, written.end_cursor) == (page.start_cursor, page.end_cursor)
    assert (written.has_next, written.has_previous) == (page.has_next, page.has_previous)
    return page


def tasks_of(caller: Caller, order: Sequence[TaskOrder] = ()) -> Listing:
    return task_listing(caller, frozenset(NAMES[Task]), order=order)


@only_postgresql
@some
@given(drawn=task_lists, order=orders, walked=steps)
async def test_each_page_of_a_walk(
    database: Database, drawn: list[dict[str, Any]], order: list[TaskOrder], walked: Steps
) -> None:
    caller, _ = await make_tasks(database, drawn)
    listing, cursor = tasks_of(caller, order), None
    for size in walked.sizes * 6:
        arguments = PageArguments(last=size, before=cursor) if walked.backwards else PageArguments(size, cursor)
        page = await check(database, Task, listing, arguments)
        cursor = page.start_cursor if walked.backwards else page.end_cursor
        if not (page.has_previous if walked.backwards else page.has_next):
            return


@only_postgresql
@some
@given(
    values=st.fixed_dictionaries(
        {
            "title": TEXTS.map("a{}".format),
            "description": st.none() | TEXTS,
            "tags": st.lists(TEXTS, max_size=3),
            "priority": st.sampled_from(TaskPriority),
            "completed_at": st.none() | MOMENTS,
            "due_at": st.none() | MOMENTS,
            "created_at": MOMENTS,
            "updated_at": MOMENTS,
        }
    )
)
async def test_whatever_a_task_may_hold(database: Database, values: dict[str, Any]) -> None:
    caller, (parent,) = await make_tasks(database, [{}])
    completed = values["completed_at"] is not None
    await store(database, task_row(caller.user_id, parent_id=parent.id, completed=completed, **values))
    assert len((await check(database, Task, tasks_of(caller), PageArguments())).rows) > 1


@only_postgresql
async def test_conversations_and_messages(database: Database) -> None:
    caller, _ = await make_tasks(database, [])
    conversation = Conversation(user_id=caller.user_id, title='"Plans"', revision=1)
    messages = [
        Message(
            user_id=caller.user_id,
            conversation_id=conversation.id,
            role=role,
            content=f"{status} {CHARACTERS}",
            status=status,
            revision=2**31 - 1,
        )
        for role in MessageRole
        for status in MessageStatus
    ]
    await store(database, conversation)
    await store(database, *messages)
    listing = conversation_listing(caller, frozenset(NAMES[Conversation]))
    assert (await check(database, Conversation, listing, PageArguments())).rows
    listing = message_listing(caller, frozenset(NAMES[Message]))
    assert len((await check(database, Message, listing, PageArguments())).rows) == len(messages)


@only_postgresql
@some
@given(drawn=task_lists, order=orders, data=st.data())
async def test_the_pages_of_many_parents(
    database: Database, drawn: list[dict[str, Any]], order: list[TaskOrder], data: st.DataObject
) -> None:
    caller, parents = await make_tasks(database, [{}] * data.draw(st.integers(1, 4)))
    parent = st.sampled_from([task.id for task in parents])
    await store(database, *(task_row(caller.user_id, **values, parent_id=data.draw(parent)) for values in drawn))
    listing = tasks_of(caller, order)
    sizes: Any = {data.draw(st.sampled_from(["first", "last"])): data.draw(st.integers(0, 6))}
    window = read_window(listing.order, PageArguments(**sizes))
    parent_ids = [*(task.id for task in reversed(parents)), new_id()]
    pages = await fetch_pages(database.reader, listing, window, "parent_id", parent_ids)
    has_ends = data.draw(st.booleans())
    writing = WrittenPages(listing, window, Writing(parts_of(Task), has_ends=has_ends))
    for page, written in zip(pages, await writing.fetch_of(database.reader, "parent_id", parent_ids), strict=True):
        assert written.json.encode() == orjson.dumps([object_of(row, Task) for row in page.rows])
        assert (written.has_next, written.has_previous) == (page.has_next, page.has_previous)
        ends = (page.start_cursor, page.end_cursor) if has_ends else (None, None)
        assert (written.start_cursor, written.end_cursor) == ends


def test_what_is_left_to_us() -> None:
    columns = table_of(Task).c
    assert is_writable(Part("a" * 63, "title", ""), columns)
    # PostgreSQL would cut the name.
    assert not is_writable(Part("a" * 64, "title", ""), columns)
    assert not is_writable(Part("subtasks", "subtasks", ""), columns)
    # The database may write JSON with other spaces than we do.
    assert not is_writable(Part("before", "before", ""), table_of(TaskChange).c)


@only_postgresql
async def test_a_statement_is_compiled_once_behind_a_pooler_too(database: Database) -> None:
    caller, _ = await make_tasks(database, [])
    listing = tasks_of(caller)
    pages = WrittenPages(listing, read_window(listing.order, PageArguments()), Writing(parts_of(Task), has_ends=True))
    found = []
    async with database.read() as session:
        connection = (await session.connection()).sync_connection

        @event.listens_for(connection, "before_cursor_execute")
        def note(*told: Any) -> None:
            found.append(told[4].cache_hit)

        await pages.fetch(session)
        await pages.fetch(session)
    assert found[1] is CacheStats.CACHE_HIT
