"""Lists of an account that has grown large, as PostgreSQL executes them: how many rows and pages it reads for each."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import permutations
from typing import Any, Final

import asyncpg
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.prepared_statement import PLAN_EACH_TIME, PreparedStatement, Rows, Values
from core.transaction import leave_unchanged
from models import Conversation, HistoryEntry, Message, Task, User
from services.accounts.caller import Caller
from services.accounts.users import user_listing
from services.conversations.conversations import ConversationOrder, conversation_listing
from services.conversations.messages import MessageCursor, MessageOrder, completed_since, message_listing
from services.entities.history import history_listing
from services.entities.lists import StringFilter
from services.entities.tombstones import insert_tombstones
from services.query.lookup import rows_by_id
from services.query.ordering import OrderDirection
from services.query.pagination import (
    MAX_CHANGES,
    Listing,
    PageArguments,
    Window,
    count_rows,
    count_rows_of,
    fetch_page,
    fetch_pages,
    read_window,
)
from services.query.sql import insert_rows, read
from services.sync.changes import Cursor, EntityKind, read_changes
from services.sync.housekeeping import LONG_HISTORIES, MAX_HISTORY
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing
from tests.databases import Databases, make_settings, only_postgresql, opened, run_sql
from tests.factories import make_user, sign_in, store, task_row
from tests.growth import BEGUN, Grown, grow
from tests.waiting import until_so

pytestmark = only_postgresql

COUNT: Final = 4_000
NEIGHBOURS: Final = 500
# Of a page of 20, and some rows more of the pages of an index that they are on.
FEW: Final = 100
ASC, DESC = OrderDirection
GROWING: Final = ["tasks", "messages", "history"]
# By this transaction.
ROWS_READ: Final = (
    "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class WHERE relname ~ 'tasks|messages|runs'"
)
Work = Callable[[Any], Awaitable[Any]]


class Explaining:
    """What reads run on: executes each statement with the plan that a busy server has for it, and keeps that."""

    is_sqlite = False

    def __init__(self, connection: Any, database: Database) -> None:
        self._connection = connection
        self._dialect = database.engine.dialect
        self.plans: list[dict[str, Any]] = []

    async def fetch(self, statement: PreparedStatement, values: Values) -> Rows:
        compiled = statement.compiled(self._dialect)
        arguments = compiled.arguments(values)
        is_generic = PLAN_EACH_TIME not in statement.statement.get_execution_options()
        mode = "force_generic_plan" if is_generic else "force_custom_plan"
        await self._connection.execute(f"SET plan_cache_mode = {mode}; PREPARE wanted AS {compiled.sql}")
        given = f"({', '.join(map(literal, arguments))})" if arguments else ""
        explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) EXECUTE wanted{given}"
        ((plan, *_),) = [json.loads(row[0]) for row in await self._connection.fetch(explain)]
        await self._connection.execute("DEALLOCATE wanted")
        self.plans.append(plan["Plan"])
        return compiled.rows(await self._connection.fetch(compiled.sql, *arguments))


def literal(value: Any) -> str:
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value).lower()
    return "'" + str(value).replace("'", "''") + "'"


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows are read from tables and indexes, those that are filtered out included."""
    names = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    scans = [node for node in nodes_of(plan) if node.get("Relation Name") or node.get("Index Name")]
    return sum(round(node.get(name, 0) * node["Actual Loops"]) for node in scans for name in names)


def rows_fetched(plan: dict[str, Any]) -> int:
    """Return how many rows are read from tables, those that an index alone tells of left out."""
    told = (node for node in nodes_of(plan) if node["Node Type"] == "Index Only Scan")
    return rows_read(plan) - sum(rows_read({**node, "Plans": []}) for node in told)


@dataclass(frozen=True, slots=True)
class Account:
    """A large account among many small ones."""

    caller: Caller
    grown: Grown
    database: Database
    connection: Any

    async def plans(self, work: Work) -> list[dict[str, Any]]:
        source = Explaining(self.connection, self.database)
        await work(source)
        return source.plans


@pytest.fixture(scope="module")
async def account(databases: Databases) -> AsyncIterator[Account]:
    settings = make_settings(await databases.create())
    async with opened(settings) as database:
        people = [User(email="", name="") for _ in range(NEIGHBOURS)]
        await store(database, *people)
        rows = [task_row(person.id).model_dump() for person in people for _ in range(3)]
        await database.transaction(lambda transaction: insert_rows(transaction, Task, rows))
        owner = await sign_in(database, settings, await make_user(database, is_admin=True))
        grown = await grow(database, owner.user.id, tasks=COUNT, messages=COUNT, conversations=100)
        connection = await asyncpg.connect(settings.database_url, statement_cache_size=0)
        await until_so(partial(make_visible, connection))
        yield Account(owner.caller, grown, database, connection)
        await connection.close()


async def make_visible(connection: Any) -> bool:
    """Let scans of indexes alone be possible; tell whether they are.

    Pages stay unmarked whose last commit is not on disk yet, or that another process is just writing.
    """
    await connection.execute("CHECKPOINT")
    await connection.execute("VACUUM (FREEZE, ANALYZE)")
    left = await connection.fetchval(
        "SELECT count(*) FROM pg_class WHERE relname = ANY($1) AND relallvisible < relpages", GROWING
    )
    return bool(left == 0)


def windows_of(listing: Listing) -> list[Window]:
    """Return the first and the last page of a list."""
    return [read_window(listing.order, arguments) for arguments in (PageArguments(first=20), PageArguments(last=20))]


def pages(listing: Listing) -> list[Work]:
    """Return the reading of the first and the last page of a list."""
    return [partial(fetch_page, listing=listing, window=window) for window in windows_of(listing)]


def pages_below(listing: Listing, column: str, parent_id: str) -> list[Work]:
    """Return the reading of the first and the last page of a list below a row."""
    below = partial(fetch_pages, listing=listing, parent=column, parent_ids=[parent_id])
    return [partial(below, window=window) for window in windows_of(listing)]


def columns(model: type[Any]) -> frozenset[str]:
    return frozenset(model.model_fields)


async def test_pages_in_each_order_read_few_rows(account: Account) -> None:
    caller, grown, shown = account.caller, account.grown, columns(Task)
    matters = [TaskOrder.by("priority", DESC), TaskOrder.by("due_at")]
    orders = [*([TaskOrder(field, way)] for field in TaskOrder.fields for way in (ASC, DESC)), matters]
    works: dict[str, list[Work]] = {str(order): pages(task_listing(caller, shown, None, order)) for order in orders}
    for field in ConversationOrder.fields:
        order = [ConversationOrder(field, DESC)]
        works[f"conversations {field}"] = pages(conversation_listing(caller, columns(Conversation), order))
    works["users"] = pages(user_listing(caller, columns(User)))
    messages = message_listing(caller, columns(Message), [MessageOrder.by("created_at", DESC)])
    works["messages"] = pages_below(messages, "conversation_id", grown.conversation_ids[0])
    works["subtasks"] = pages_below(task_listing(caller, shown), "parent_id", grown.task_ids[0])
    works["history"] = pages_below(history_listing(caller, columns(HistoryEntry)), "row_id", grown.task_ids[0])
    for name, reads in works.items():
        for work in reads:
            for plan in await account.plans(work):
                assert rows_read(plan) <= FEW, (name, plan)


async def test_orders_by_several_keys_are_sorted_in_an_index(account: Account) -> None:
    (middle,) = await rows_by_id(
        account.database.reader, account.caller, Task, [account.grown.task_ids[COUNT // 2]], columns(Task)
    )
    # Most rows of this small table are the account's, so that to read it through costs as little.
    await account.connection.execute("SET enable_seqscan = off")
    for first, second in permutations(TaskOrder.fields, 2):
        if second == "TITLE":
            continue
        listing = task_listing(account.caller, columns(Task), None, [TaskOrder(first, DESC), TaskOrder(second, ASC)])
        deep = read_window(listing.order, PageArguments(first=20, after=listing.order.cursor(middle)))
        for window in (*windows_of(listing), deep):
            for plan in await account.plans(partial(fetch_page, listing=listing, window=window)):
                assert rows_fetched(plan) <= FEW, (first, second, plan)
    await account.connection.execute("RESET enable_seqscan")


async def test_filters_read_few_rows_where_they_find_few_or_many(account: Account) -> None:
    for wanted in (
        TaskFilter(search="number777"),
        TaskFilter(search="call"),
        TaskFilter(search="call number777"),
        TaskFilter(title=StringFilter(eq="Call number777 about topic277")),
        TaskFilter(title=StringFilter(starts_with="Call number77")),
        TaskFilter(completed=False),
        TaskFilter(tags=["tag7"]),
    ):
        for work in pages(task_listing(account.caller, columns(Task), wanted)):
            for plan in await account.plans(work):
                assert rows_read(plan) <= COUNT / 10, (wanted, plan)


async def test_counts_are_read_off_indexes_alone(account: Account) -> None:
    for wanted in (None, TaskFilter(completed=False)):
        (plan,) = await account.plans(partial(count_rows, listing=task_listing(account.caller, task_filter=wanted)))
        assert "Index Only Scan" in {node["Node Type"] for node in nodes_of(plan)}, plan
    of_talk = partial(
        count_rows_of,
        listing=message_listing(account.caller),
        parent="conversation_id",
        parent_ids=account.grown.conversation_ids[:1],
    )
    (plan,) = await account.plans(of_talk)
    assert "Index Only Scan" in {node["Node Type"] for node in nodes_of(plan)}, plan


async def test_rows_by_id_and_what_follows_a_cursor_are_looked_up(account: Account) -> None:
    caller, grown = account.caller, account.grown
    half, talk = COUNT // 2, grown.conversation_ids[0]
    after = [
        partial(completed_since, caller=caller, conversation_id=talk, after=MessageCursor(at), columns=columns(Message))
        for at in (0, half, COUNT)
    ]
    works: list[tuple[Work, int]] = [
        (lambda source: rows_by_id(source, caller, Task, grown.task_ids[:1], columns(Task)), 1),
        (lambda source: rows_by_id(source, caller, Message, grown.task_ids[:1], columns(Message)), 1),
        (lambda source: read_changes(source, caller, Cursor(half), 20), 3 * FEW),
        (lambda source: read_changes(source, caller, Cursor(half, kinds=(EntityKind.MESSAGE,)), 20), 3 * FEW),
        (lambda source: read_changes(source, caller, Cursor(-1), MAX_CHANGES), 5 * MAX_CHANGES),
        *((work, 3 * FEW) for work in after),
    ]
    for work, most in works:
        for plan in await account.plans(work):
            assert rows_read(plan) <= most, plan


async def test_deletion_looks_up_what_goes_with_a_row_by_the_plan_for_all_users(account: Account) -> None:
    caller, grown = account.caller, account.grown

    async def delete(session: AsyncSession) -> int:
        leave_unchanged(session)
        await run_sql(session, "SET LOCAL plan_cache_mode = force_generic_plan")
        before = int(await run_sql(session, ROWS_READ))
        await insert_tombstones(session, caller, Task, grown.task_ids[:1], COUNT)
        await insert_tombstones(session, caller, Conversation, grown.conversation_ids[1:2], COUNT)
        return int(await run_sql(session, ROWS_READ)) - before

    assert await account.database.write(delete) <= FEW


async def test_long_histories_are_looked_for_among_those_that_grew_lately(account: Account) -> None:
    values = {"since": BEGUN + timedelta(minutes=COUNT - FEW), "newest": MAX_HISTORY}
    (plan,) = await account.plans(lambda source: read(source, LONG_HISTORIES, values))
    assert FEW <= rows_read(plan) <= 3 * FEW, plan


async def test_plan_that_was_made_for_empty_tables_reads_no_table_through(databases: Databases) -> None:
    settings = make_settings(await databases.create(), database_pool_size=1, database_max_overflow=0)
    async with opened(settings) as database:
        owner = await sign_in(database, settings)
        for _ in range(10):
            await rows_by_id(database.reader, owner.caller, Task, [owner.user.id], columns(Task))
        grown = await grow(database, owner.user.id, tasks=COUNT // 3, messages=0, conversations=0)
        before = await rows_read_through(database)
        for task_id in grown.task_ids[:10]:
            await rows_by_id(database.reader, owner.caller, Task, [task_id], columns(Task))
        assert await rows_read_through(database) == before


async def rows_read_through(database: Database) -> Any:
    """Return how many tasks were read by scans of the whole table."""
    async with database.read() as session:
        await run_sql(session, "SELECT pg_stat_force_next_flush()")
        return await run_sql(session, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'tasks'")
