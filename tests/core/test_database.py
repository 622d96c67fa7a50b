"""Writes in one transaction, in a session or on the driver: kept or undone as a whole, and no connection is lost."""

import asyncio
import time
from typing import Any, Final

import pytest
from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy.exc import IntegrityError

from core.database import REVISIONS, Database
from core.errors import UnavailableError
from core.ids import new_ids
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from core.transaction import Transaction, leave_unchanged
from models import Session, User
from services.query.sql import Writer, read
from tests.core.statements import (
    BY_ID,
    NAME,
    SINGLE,
    SLEEP,
    USERS,
    each_write,
    name_of,
    one,
    read_value,
    rename,
    value_of,
)
from tests.databases import counted, locked_file, only_postgresql, only_sqlite, opened, run_sql
from tests.factories import make_user, store
from tests.waiting import PATIENCE_S, until, until_so

DELETE: Final = PreparedStatement(delete(USERS).where(BY_ID))
INSERT: Final = PreparedStatement(
    insert(USERS).values({column.name: bindparam(column.name, type_=column.type) for column in USERS.c})
)
COUNT: Final = PreparedStatement(
    update(USERS).where(BY_ID).values(revision=USERS.c.revision + 1).returning(USERS.c.revision)
)


@each_write
async def test_write_is_kept_counted_and_told_with_its_revisions(database: Database, write: Any) -> None:
    user, told = await make_user(database), list[Any]()
    database.after_commit.append(told.append)

    async def work(writer: Writer) -> Any:
        writer.info[REVISIONS] = {"a user": 7}
        row = await rename(writer, user, "Grace")
        assert await read(writer, NAME, {"user_id": user.id}) == [("Grace",)]
        return row

    with counted() as statements:
        assert await write(database, work) == ("Grace", user.updated_at)
        assert await name_of(database, user) == "Grace"
    database.after_commit.remove(told.append)
    assert told == [{"a user": 7}]
    assert [statement.split()[0] for statement in statements] == ["UPDATE", "SELECT", "SELECT"]


async def test_transaction_inserts_and_deletes_many_rows(database: Database) -> None:
    users = [User(email=f"{row_id}@example.com", name="Ada") for row_id in new_ids(3)]

    async def insert_all(transaction: Transaction) -> None:
        await transaction.execute_many(INSERT, [user.model_dump() for user in users])

    async def delete_all(transaction: Transaction) -> None:
        await transaction.execute_many(DELETE, [{"user_id": user.id} for user in users])

    await database.transaction(insert_all)
    async with database.read() as session:
        assert (await session.get_one(User, users[0].id)).model_dump() == users[0].model_dump()
    assert [await name_of(database, user) for user in users] == [user.name for user in users]
    await database.transaction(delete_all)
    assert [await name_of(database, user) for user in users] == [None] * 3


@each_write
async def test_failed_or_unchanged_work_leaves_no_trace(fresh_settings: Settings, write: Any) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        user = await make_user(database)
        told: list[Any] = []
        database.after_commit.append(told.append)

        async def work(writer: Writer, failure: str) -> str:
            writer.info[REVISIONS] = {user.id: 7}
            await rename(writer, user, "Grace")
            if failure == "wrong statement":
                await value_of(writer, one("nothing"))
            if failure == "error":
                raise LookupError
            leave_unchanged(writer)
            return "done"

        with pytest.raises(Exception, match="nothing"):
            await write(database, lambda writer: work(writer, "wrong statement"))
        with pytest.raises(LookupError):
            await write(database, lambda writer: work(writer, "error"))
        assert await write(database, lambda writer: work(writer, "none")) == "done"
        assert (await name_of(database, user), told) == ("Ada", [])
        await write(database, lambda writer: rename(writer, user, "Joan"))
        assert await name_of(database, user) == "Joan"
        assert database.pool.in_use == 0


async def test_broken_constraint_is_not_called_unavailable(database: Database) -> None:
    user = await make_user(database)
    with pytest.raises(IntegrityError):
        await make_user(database, id=user.id)
    with pytest.raises(IntegrityError):
        await store(database, Session(user_id="nobody", token_hash="x", expires_at=user.created_at))


@each_write
async def test_concurrent_writes_are_all_kept(database: Database, write: Any) -> None:
    user = await make_user(database)
    counts = (write(database, lambda writer: read(writer, COUNT, {"user_id": user.id})) for _ in range(50))
    assert sorted(await asyncio.gather(*counts)) == [[(number,)] for number in range(1, 51)]


@each_write
async def test_cancelled_write_leaves_nothing_behind(fresh_settings: Settings, write: Any) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        user = await make_user(database)
        holds = asyncio.Event()

        async def work(writer: Writer) -> None:
            await rename(writer, user, "Grace")
            holds.set()
            await asyncio.Event().wait()

        writing = asyncio.create_task(write(database, work))
        await holds.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await until(lambda: database.pool.in_use == 0)
        assert await name_of(database, user) == "Ada"
        await write(database, lambda writer: rename(writer, user, "Joan"))
        assert await name_of(database, user) == "Joan"


async def read_in_session(database: Database, work: Any) -> Any:
    async with database.read() as session:
        return await work(session)


@only_postgresql
@pytest.mark.parametrize("run", [Database.write, Database.transaction, read_in_session])
async def test_statement_that_takes_too_long_is_called_unavailable(fresh_settings: Settings, run: Any) -> None:
    async with opened(fresh_settings, **SINGLE, database_statement_timeout_s=0.2) as database:
        with pytest.raises(UnavailableError):
            await run(database, lambda source: value_of(source, SLEEP))

        async def answers() -> bool:
            try:
                return bool(await run(database, lambda source: read(source, NAME, {"user_id": ""})) == [])
            except UnavailableError:
                return False

        await until_so(answers)


@only_postgresql
@each_write
async def test_deadlocked_write_is_run_again(database: Database, write: Any) -> None:
    users = [await make_user(database), await make_user(database)]
    meeting = asyncio.Barrier(2)
    attempts: list[str] = []

    async def rename_both(name: str, first: User, second: User) -> None:
        async def work(writer: Writer) -> None:
            await rename(writer, first, name)
            attempts.append(name)
            if attempts.count(name) == 1:
                await meeting.wait()
            await rename(writer, second, name)

        await write(database, work)

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(rename_both("Grace", *users), rename_both("Joan", *reversed(users)))
    assert len(attempts) == 3
    assert await name_of(database, users[0]) == await name_of(database, users[1])


@only_postgresql
@pytest.mark.parametrize("failures", [1, 3, 4])
async def test_serialization_failure_is_retried_three_times(database: Database, failures: int) -> None:
    attempts = 0

    async def work(session: Any) -> str:
        nonlocal attempts
        attempts += 1
        if attempts <= failures:
            await run_sql(session, "DO $$ BEGIN RAISE EXCEPTION 'no luck' USING ERRCODE = '40001'; END $$")
        return "done"

    if failures < 4:
        assert await database.write(work) == "done"
    else:
        with pytest.raises(UnavailableError):
            await database.write(work)
    assert attempts == min(failures + 1, 4)


@only_sqlite
async def test_write_waits_for_a_locked_file_and_reads_go_on(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database:
        with locked_file(fresh_settings):
            writing = asyncio.create_task(make_user(database))
            await asyncio.sleep(0.3)
            assert not writing.done()
            assert await read_value(database, one("(SELECT count(*) FROM users)"), in_session=True) == 0
        await writing


@only_sqlite
async def test_file_that_stays_locked_is_called_unavailable_for_all_in_time(fresh_settings: Settings) -> None:
    count, timeout_s = 100, 0.4
    async with opened(fresh_settings, database_statement_timeout_s=timeout_s) as database:
        with locked_file(fresh_settings):
            started_s = time.monotonic()
            outcomes = await asyncio.gather(*(make_user(database) for _ in range(count)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [UnavailableError] * count
        # Far from the time that it would take one after another.
        assert time.monotonic() - started_s < count * timeout_s / 2
        await make_user(database)
