"""A task made by one statement: just as by a transaction of several, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import select

from core.database import Database
from core.errors import BadUserInputError, UnauthenticatedError, UnavailableError
from core.ids import new_id
from core.settings import Settings
from core.statement_count import StatementCount, current_statements
from models import Task, TaskChange, TaskPriority, User
from services.accounts.caller import Actor, Caller
from services.query.sql import fetch_all, table_of
from services.task_making import NewTask, create_task, make_task
from tests.databases import only_postgresql, opened, run_sql
from tests.factories import make_user, sign_in
from tests.services.rows import change_user, read_user
from tests.waiting import PATIENCE_S, until_so

FULL: Final = NewTask(
    title='  Pay \U0001f4b6 "it\'s" $1 %s :x \\  ',
    description="e\u0301\u202e\n\u0001",
    priority=TaskPriority.HIGH,
    due_at=datetime.max.replace(tzinfo=UTC),
    tags=("a,b", "{}", "NULL", 'x"y'),
)
NEW: Final = [NewTask("x"), FULL, NewTask("x", description="", due_at=datetime.min.replace(tzinfo=UTC))]
BE_STRICT: Final = """
DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET default_transaction_isolation = ''repeatable read''', current_database()
); END $$"""
# These differ with each making.
OWN: Final = frozenset({"id", "task_id", "revision", "created_at", "updated_at"})

pytestmark = only_postgresql


@pytest.fixture
async def caller(database: Database, settings: Settings) -> Caller:
    return (await sign_in(database, settings)).caller


@contextmanager
def counted() -> Iterator[StatementCount]:
    count = StatementCount()
    token = current_statements.set(count)
    yield count
    current_statements.reset(token)


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
async def test_it_is_as_by_a_transaction(database: Database, caller: Caller, new: NewTask, actor: Actor | None) -> None:
    by = Caller(caller.user_id, caller.session_id, caller.is_admin, caller.expires_at, actor)
    with counted() as statements:
        made = await make_task(database, by, new)
    assert len(statements) == 1
    await database.write(lambda session: create_task(session, by, new))
    for model in (Task, TaskChange):
        alone, usual = await stored(database, model, by)
        assert without_own(alone) == without_own(usual)
        assert (alone.revision, usual.revision) == (1, 2)
    (task, _), (change, _) = await stored(database, Task, by), await stored(database, TaskChange, by)
    assert {name: getattr(made, name) for name in task._fields} == task._asdict()
    assert change.task_id == made.id
    assert datetime.fromisoformat(change.after["created_at"]) == made.created_at == change.created_at
    assert list(change.after)[-1] == "created_at"


async def test_it_takes_its_turn_among_all_writers(database: Database, caller: Caller) -> None:
    told: list[int] = []
    database.after_commit.append(lambda revisions: told.extend(revisions.values()))
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(15):
                group.create_task(make_task(database, caller, NewTask(f"{number}")))
                group.create_task(make_task(database, caller, NewTask(f"{number}", id=new_id())))
    finally:
        database.after_commit.pop()
    tasks = await stored(database, Task, caller)
    assert [task.revision for task in tasks] == list(range(1, 31))
    assert sorted(told) == list(range(1, 31))
    assert tasks == sorted(tasks, key=lambda task: task.created_at)


@pytest.mark.parametrize(
    "new", [NewTask(" "), NewTask("a\0b"), NewTask("x" * 501), NewTask("x", tags=[""]), NewTask("x", description="\0")]
)
async def test_what_is_refused_asks_nothing_of_the_database(database: Database, caller: Caller, new: NewTask) -> None:
    with counted() as statements, pytest.raises(BadUserInputError):
        await make_task(database, caller, new)
    assert len(statements) == 0


async def test_who_refers_to_something_goes_the_longer_way(database: Database, caller: Caller) -> None:
    parent = await make_task(database, caller, NewTask("x"))
    for given in ({"id": new_id()}, {"parent_id": parent.id}, {"idempotency_key": "once"}, {"idempotency_key": "once"}):
        with counted() as statements:
            await make_task(database, caller, NewTask("y", **given))
        assert len(statements) > 1
    assert len(await stored(database, Task, caller)) == 4


async def nothing_is_left(database: Database, caller: Caller) -> None:
    assert await stored(database, Task, caller) == []
    assert await stored(database, TaskChange, caller) == []


@asynccontextmanager
async def holding(database: Database, caller: Caller) -> AsyncIterator[asyncio.Event]:
    """Hold the user's row until the event, by a transaction that counts, too."""
    holds, is_over = asyncio.Event(), asyncio.Event()

    async def work(session: Any) -> None:
        await run_sql(session, "UPDATE users SET revision = revision + 1 WHERE id = :id", id=caller.user_id)
        holds.set()
        await is_over.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(database.write(work))
        await holds.wait()
        try:
            yield is_over
        finally:
            is_over.set()


async def waits_for_a_lock(database: Database) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with database.read() as session:
        return bool(await run_sql(session, waiting))


async def waits_no_more(database: Database) -> bool:
    return not await waits_for_a_lock(database)


async def deactivate(database: Database, user: User) -> None:
    await change_user(database, user.id, is_active=False)


async def delete(database: Database, user: User) -> None:
    await database.write(lambda session: run_sql(session, "DELETE FROM users WHERE id = :id", id=user.id))


@pytest.mark.parametrize("end", [deactivate, delete])
async def test_an_account_that_is_over_makes_nothing(
    database: Database, settings: Settings, end: Callable[[Database, User], Awaitable[None]]
) -> None:
    signed_in = await sign_in(database, settings, await make_user(database))
    await end(database, signed_in.user)
    with pytest.raises(UnauthenticatedError, match="gone or deactivated"):
        await make_task(database, signed_in.caller, NewTask("x"))
    await nothing_is_left(database, signed_in.caller)


@pytest.mark.parametrize(
    "statement", ["UPDATE users SET is_active = false WHERE id = :id", "DELETE FROM users WHERE id = :id"]
)
async def test_an_account_that_ends_meanwhile_makes_nothing(fresh_settings: Settings, statement: str) -> None:
    async with opened(fresh_settings) as database:
        caller = (await sign_in(database, fresh_settings)).caller

        async def end(session: Any) -> None:
            await run_sql(session, statement, id=caller.user_id)
            making.append(asyncio.create_task(make_task(database, caller, NewTask("x"))))
            await until_so(partial(waits_for_a_lock, database))

        making: list[asyncio.Task[Any]] = []
        await database.write(end)
        with pytest.raises(UnauthenticatedError, match="gone or deactivated"):
            await making[0]
        await nothing_is_left(database, caller)


async def test_a_serialisation_failure_is_tried_again(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as usual:
        await usual.write(lambda session: run_sql(session, BE_STRICT))
        caller = (await sign_in(usual, fresh_settings)).caller
        async with opened(fresh_settings) as strict:
            async with holding(usual, caller) as is_over:
                making = asyncio.create_task(make_task(strict, caller, NewTask("x")))
                await until_so(partial(waits_for_a_lock, usual))
                is_over.set()
            assert (await making).revision == 2
            assert strict.pool.in_use == 0
        assert [task.revision for task in await stored(usual, Task, caller)] == [2]
        assert len(await stored(usual, TaskChange, caller)) == 1


async def test_what_takes_too_long_makes_nothing(fresh_settings: Settings) -> None:
    async with (
        opened(fresh_settings) as patient,
        opened(fresh_settings, database_statement_timeout_s=0.2) as database,
    ):
        caller = (await sign_in(patient, fresh_settings)).caller
        async with holding(patient, caller):
            with pytest.raises(UnavailableError):
                await make_task(database, caller, NewTask("x"))
            await until_so(partial(waits_no_more, patient))
        await nothing_is_left(patient, caller)
        assert (await read_user(patient, caller.user_id)).revision == 1


async def test_who_leaves_while_it_waits_makes_nothing(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database:
        caller = (await sign_in(database, fresh_settings)).caller
        async with holding(database, caller), asyncio.timeout(PATIENCE_S):
            making = asyncio.create_task(make_task(database, caller, NewTask("x")))
            await until_so(partial(waits_for_a_lock, database))
            making.cancel()
            with pytest.raises(asyncio.CancelledError):
                await making
            await until_so(partial(waits_no_more, database))
        await nothing_is_left(database, caller)
        assert (await make_task(database, caller, NewTask("x"))).revision == 2
