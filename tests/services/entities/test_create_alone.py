"""Creating a row in a transaction of its own: by one statement on PostgreSQL, or by several, wholly or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pytest
from sqlalchemy import select

from core.database import Database
from core.errors import BadUserInputError, UnauthenticatedError, UnavailableError
from core.ids import new_id
from core.settings import Settings
from models import HistoryEntry, Task, TaskPriority
from services.accounts.caller import Actor, Caller
from services.entities import single_statement
from services.entities.revision import next_revision
from services.entities.service import NewRow
from services.query.sql import fetch_all, table_of
from services.tasks.tasks import tasks
from tests.core.rows_of_all_tables import FIRST, LAST
from tests.databases import counted, only_postgresql, opened, run_sql
from tests.factories import SignedIn, sign_in
from tests.waiting import PATIENCE_S, until_so

X: Final = NewRow({"title": "x"})
FULL: Final = NewRow(
    {
        "title": '  Pay \U0001f4b6 "it\'s" $1 %s :x \\  ',
        "description": "e\u0301\u202e\n\u0001",
        "priority": TaskPriority.HIGH,
        "due_at": LAST,
        "tags": ["a,b", "{}", "NULL", 'x"y'],
    }
)
NEW: Final = [X, FULL, NewRow({"title": "x", "description": "", "due_at": FIRST})]
BE_STRICT: Final = """
DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET default_transaction_isolation = ''repeatable read''', current_database()
); END $$"""
# These differ with each making.
OWN: Final = frozenset({"id", "row_id", "revision", "created_at", "updated_at"})

pytestmark = only_postgresql


@pytest.fixture(params=[True, False], ids=["one statement", "transaction"])
def is_single(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run with the single statement switched on and off."""
    is_enabled: bool = request.param
    monkeypatch.setattr(single_statement, "IS_ENABLED", is_enabled)
    return is_enabled


@pytest.fixture
def caller(user: SignedIn) -> Caller:
    return user.caller


async def stored(database: Database, model: Any, caller: Caller) -> list[Any]:
    table = table_of(model)
    async with database.read() as session:
        return list(await fetch_all(session, select(table).where(caller.owns(table)).order_by(table.c.revision)))


def without_own(row: Any) -> dict[str, Any]:
    values = {name: value for name, value in row._asdict().items() if name not in OWN}
    if "after" in values:
        values["after"] = {name: value for name, value in row.after.items() if name != "created_at"}
    return values


@pytest.mark.parametrize("new", NEW)
@pytest.mark.parametrize("actor", [None, Actor(new_id(), new_id())])
async def test_row_equals_one_by_transaction(
    database: Database, caller: Caller, new: NewRow, actor: Actor | None
) -> None:
    by = replace(caller, actor=actor)
    with counted() as statements:
        made = await tasks.create_alone(database, by, new)
    assert len(statements) == 1
    await database.transaction(lambda writer: tasks.create(writer, by, new))
    for model in (Task, HistoryEntry):
        alone, usual = await stored(database, model, by)
        assert without_own(alone) == without_own(usual)
        assert (alone.revision, usual.revision) == (1, 2)
    (task, _), (change, _) = await stored(database, Task, by), await stored(database, HistoryEntry, by)
    assert {name: getattr(made, name) for name in task._fields} == task._asdict()
    assert change.row_id == made.id
    assert datetime.fromisoformat(change.after["created_at"]) == made.created_at == change.created_at
    assert list(change.after)[-1] == "created_at"


@pytest.mark.usefixtures("is_single")
async def test_concurrent_creates_have_ascending_revisions_and_moments(database: Database, caller: Caller) -> None:
    notified: list[int] = []
    database.after_commit.append(lambda revisions: notified.extend(revisions.values()))
    new = [each for _ in range(15) for each in (X, NewRow({"title": "x"}, id=new_id()))]
    await asyncio.gather(*(tasks.create_alone(database, caller, each) for each in new))
    database.after_commit.pop()
    rows = await stored(database, Task, caller)
    assert [row.revision for row in rows] == list(range(1, 31))
    assert sorted(notified) == list(range(1, 31))
    assert rows == sorted(rows, key=lambda row: row.created_at)


async def test_invalid_values_need_no_statement(database: Database, caller: Caller) -> None:
    titles: list[dict[str, Any]] = [{"title": title} for title in (" ", "a\0b", "x" * 501)]
    for given in (*titles, {"title": "x", "tags": [""]}, {"title": "x", "description": "\0"}):
        with counted() as statements, pytest.raises(BadUserInputError):
            await tasks.create_alone(database, caller, NewRow(given))
        assert len(statements) == 0


async def test_row_that_depends_on_stored_rows_takes_several_statements(database: Database, caller: Caller) -> None:
    parent = await tasks.create_alone(database, caller, X)
    dependent = [
        NewRow({"title": "y"}, id=new_id()),
        NewRow({"title": "y", "parent_id": parent.id}),
        *[NewRow({"title": "y"}, idempotency_key="once")] * 2,
    ]
    for new in dependent:
        with counted() as statements:
            await tasks.create_alone(database, caller, new)
        assert len(statements) > 1
    assert len(await stored(database, Task, caller)) == 4


async def nothing_is_left(database: Database, caller: Caller) -> bool:
    return not await stored(database, Task, caller) and not await stored(database, HistoryEntry, caller)


@asynccontextmanager
async def holding(database: Database, caller: Caller) -> AsyncIterator[asyncio.Event]:
    """Hold the user's row until the event, by a transaction that counts, too."""
    holds, is_over = asyncio.Event(), asyncio.Event()

    async def work(session: Any) -> None:
        await next_revision(session, caller.user_id)
        holds.set()
        await is_over.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(database.write(work))
        await holds.wait()
        try:
            yield is_over
        finally:
            is_over.set()


async def until_it_waits_for_a_lock(database: Database, *, no_more: bool = False) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def is_so() -> bool:
        async with database.read() as session:
            return bool(await run_sql(session, waiting)) is not no_more

    await until_so(is_so)


@pytest.mark.usefixtures("is_single")
@pytest.mark.parametrize("is_meanwhile", [False, True])
@pytest.mark.parametrize(
    "statement", ["UPDATE users SET is_active = false WHERE id = :id", "DELETE FROM users WHERE id = :id"]
)
async def test_create_for_an_ended_account_stores_nothing(
    database: Database, caller: Caller, statement: str, is_meanwhile: bool
) -> None:
    making: list[asyncio.Task[Any]] = []

    async def end(session: Any) -> None:
        await run_sql(session, statement, id=caller.user_id)
        if is_meanwhile:
            making.append(asyncio.create_task(tasks.create_alone(database, caller, X)))
            await until_it_waits_for_a_lock(database)

    await database.write(end)
    with pytest.raises(UnauthenticatedError, match="gone or deactivated"):
        await (making[0] if is_meanwhile else tasks.create_alone(database, caller, X))
    assert await nothing_is_left(database, caller)


@pytest.mark.usefixtures("is_single")
async def test_create_is_retried_after_serialization_failure(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as usual:
        await usual.write(lambda session: run_sql(session, BE_STRICT))
        caller = (await sign_in(usual, fresh_settings)).caller
        async with opened(fresh_settings) as strict:
            async with holding(usual, caller) as is_over:
                making = asyncio.create_task(tasks.create_alone(strict, caller, X))
                await until_it_waits_for_a_lock(usual)
                is_over.set()
            assert (await making).revision == 2
            assert strict.pool.in_use == 0
        assert [task.revision for task in await stored(usual, Task, caller)] == [2]
        assert len(await stored(usual, HistoryEntry, caller)) == 1


@pytest.mark.usefixtures("is_single")
async def test_create_that_takes_too_long_or_is_cancelled_stores_nothing(
    database: Database, settings: Settings, caller: Caller
) -> None:
    async with holding(database, caller), asyncio.timeout(PATIENCE_S):
        async with opened(settings, database_statement_timeout_s=0.2) as impatient:
            with pytest.raises(UnavailableError):
                await tasks.create_alone(impatient, caller, X)
        await until_it_waits_for_a_lock(database, no_more=True)
        making = asyncio.create_task(tasks.create_alone(database, caller, X))
        await until_it_waits_for_a_lock(database)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        await until_it_waits_for_a_lock(database, no_more=True)
    assert await nothing_is_left(database, caller)
    assert (await tasks.create_alone(database, caller, X)).revision == 2
