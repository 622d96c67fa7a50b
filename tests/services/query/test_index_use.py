"""Every order of a list is read off an index, forwards and backwards; nothing is sorted that need not be."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import pytest
from sqlalchemy import event
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.ids import new_ids
from models import Conversation, HistoryAction, HistoryEntry, TaskPriority, User
from models.columns import columns_of
from services.accounts.caller import Caller
from services.accounts.users import user_listing
from services.conversations.conversations import ConversationOrder, conversation_listing
from services.conversations.messages import MessageOrder, message_listing
from services.entities.history import history_listing
from services.entities.lists import EntityOrder
from services.query.ordering import OrderDirection
from services.query.pagination import Listing, PageArguments, count_rows, fetch_page, fetch_pages, read_window
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing
from tests.databases import Databases, make_settings, only_postgresql, opened, run_sql
from tests.factories import SignedIn, message_row, sign_in, store, task_row
from tests.services.task_rows import NOON, caller_of

Work = Callable[[AsyncSession], Awaitable[Any]]

ANYBODY: Final = caller_of("anybody")
DIRECTIONS: Final = list(OrderDirection)


def _indexed(order: type[EntityOrder]) -> list[Any]:
    """Return the orders by each column that has an index of its own, both ways."""
    columns = columns_of(order.model)
    fields = [field for field in order.fields if (by := columns[field.lower()].sortable) and by.has_index]
    return [order(field, way) for field in fields for way in DIRECTIONS]


LISTS: Final = [
    *((task_listing(ANYBODY, order=[by]), by.field) for by in _indexed(TaskOrder)),
    *((conversation_listing(ANYBODY, order=[by]), by.field) for by in _indexed(ConversationOrder)),
    (user_listing(replace(ANYBODY, is_admin=True)), "CREATED_AT"),
]


@dataclass(frozen=True, slots=True)
class Library:
    """A database with so many rows of several users that an index pays."""

    database: Database
    caller: Caller
    task_ids: list[str]
    conversation_ids: list[str]

    async def plan(self, work: Work, *settings: str) -> str:
        engine, seen = self.database.engine.sync_engine, list[tuple[str, Any]]()

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            seen.append((statement, parameters))

        async def explain(session: AsyncSession) -> str:
            connection = await session.connection()
            for setting in settings:
                await connection.exec_driver_sql(f"SET LOCAL {setting}")
            event.listen(engine, "before_cursor_execute", note)
            await work(session)
            event.remove(engine, "before_cursor_execute", note)
            ((statement, parameters),) = seen
            verb = "EXPLAIN QUERY PLAN" if self.database.is_sqlite else "EXPLAIN"
            rows = await connection.exec_driver_sql(f"{verb} {statement}", tuple(parameters))
            return "\n".join(str(row[-1]) for row in rows)

        return await self.database.write(explain)


@pytest.fixture(scope="module")
async def library(databases: Databases) -> AsyncIterator[Library]:
    settings = make_settings(await databases.create())
    async with opened(settings) as database:
        people = (User(email="", name="", created_at=NOON + timedelta(seconds=index)) for index in range(1_000))
        await store(database, *people)
        await _fill(database, await sign_in(database, settings))
        filled = await _fill(database, await sign_in(database, settings))
        await database.write(lambda session: run_sql(session, "ANALYZE"))
        yield filled


async def _fill(database: Database, owner: SignedIn) -> Library:
    user_id = owner.user.id
    tops, moments = new_ids(1_000), [NOON + timedelta(minutes=index) for index in range(2_000)]
    tasks = [
        task_row(
            user_id,
            id=row_id,
            title=f"task {index}",
            description=f"word{index}",
            tags=[f"tag{index % 200}"],
            priority=list(TaskPriority)[index % 3],
            due_at=None if index % 3 else moment,
            created_at=moment,
            updated_at=moment,
            parent_id=None if index < 1_000 else tops[index % 100],
        )
        for index, (row_id, moment) in enumerate(zip([*tops, *new_ids(1_000)], moments, strict=True))
    ]
    conversations = [
        Conversation(user_id=user_id, title=f"{at}", revision=1, created_at=at, updated_at=at) for at in moments[:500]
    ]
    await store(database, *tasks, *conversations)
    change: dict[str, Any] = {"kind": HistoryAction.UPDATED, "before": {}, "after": {}, "revision": 1}
    await store(
        database,
        *(message_row(owner, conversations[index % 50].id, created_at=at) for index, at in enumerate(moments)),
        *(
            HistoryEntry(user_id=user_id, entity="TASK", row_id=tops[index % 100], created_at=at, **change)
            for index, at in enumerate(moments)
        ),
    )
    return Library(database, owner.caller, tops[:20], [each.id for each in conversations[:20]])


def _name(value: Any) -> str | None:
    return ",".join(value.order.columns) if isinstance(value, Listing) else None


@pytest.mark.parametrize(("listing", "field"), LISTS, ids=_name)
async def test_page_in_any_order_is_read_off_an_index(library: Library, listing: Listing, field: str) -> None:
    if listing.caller is not None:
        listing = replace(listing, caller=library.caller)
    async with library.database.read() as session:
        page = await fetch_page(session, listing, read_window(listing.order, PageArguments(first=40)))
    cursor = listing.order.cursor(page.rows[-1])
    for arguments in ({"first": 20}, {"last": 20}, {"first": 20, "after": cursor}, {"last": 20, "before": cursor}):
        window = read_window(listing.order, PageArguments(**arguments))
        plan = await library.plan(lambda session: fetch_page(session, listing, window))  # noqa: B023
        assert f"ix_{listing.table.name}_{field.lower()}" in plan, arguments
        assert "Sort" not in plan, arguments
        assert "TEMP B-TREE" not in plan, arguments


@pytest.mark.parametrize("direction", DIRECTIONS)
async def test_pages_of_many_parents_are_read_off_an_index(library: Library, direction: OrderDirection) -> None:
    subtasks = task_listing(library.caller, order=[TaskOrder.by("created_at", direction)])
    messages = message_listing(library.caller, order=[MessageOrder.by("created_at", direction)])
    for listing, parents, index in (
        (subtasks, ("parent_id", library.task_ids), "ix_tasks_parent"),
        (messages, ("conversation_id", library.conversation_ids), "ix_messages_conversation"),
        (history_listing(library.caller), ("row_id", library.task_ids), "ix_history_row"),
    ):
        for arguments in (PageArguments(first=5), PageArguments(last=5)):
            window = read_window(listing.order, arguments)
            plan = await library.plan(lambda session: fetch_pages(session, listing, window, *parents))  # noqa: B023
            assert index in plan
            assert "Sort" not in plan
            assert "SCAN page" not in plan


@only_postgresql
async def test_search_can_be_looked_up_in_an_index(library: Library) -> None:
    for wanted, index in (
        (TaskFilter(search="word17"), "ix_tasks_words"),
        (TaskFilter(search="word171 task"), "ix_tasks_words"),
        (TaskFilter(tags=["tag7"]), "ix_tasks_tags"),
    ):
        # Of anybody's tasks: among one user's few, reading them all may well be quicker.
        listing = replace(task_listing(library.caller, task_filter=wanted), caller=None)
        plan = await library.plan(lambda session: count_rows(session, listing), "enable_seqscan = off")  # noqa: B023
        assert f"Bitmap Index Scan on {index}" in plan
