"""Transactions on the driver: kept or undone as a whole, run again after a deadlock, and no connection is lost."""

import asyncio
from typing import Any, Final

import pytest
from sqlalchemy import bindparam, delete, insert, literal_column, select, update

from core.database import REVISIONS, Database
from core.errors import UnavailableError
from core.ids import new_ids
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from core.transaction import Transaction, leave_unchanged
from models import User
from services.query.sql import read, table_of
from tests.databases import counted, only_postgresql, opened
from tests.factories import make_user
from tests.waiting import PATIENCE_S, until, until_so

USERS: Final = table_of(User)
BY_ID: Final = USERS.c.id == bindparam("user_id", type_=USERS.c.id.type)
NAME: Final = PreparedStatement(select(USERS.c.name).where(BY_ID))
RENAME: Final = PreparedStatement(
    update(USERS).where(BY_ID).values(name=bindparam("new_name")).returning(USERS.c.name, USERS.c.updated_at)
)
DELETE: Final = PreparedStatement(delete(USERS).where(BY_ID))
INSERT: Final = PreparedStatement(
    insert(USERS).values({column.name: bindparam(column.name, type_=column.type) for column in USERS.c})
)
WRONG: Final = PreparedStatement(select(literal_column("nothing").label("value")))
SLEEP: Final = PreparedStatement(select(literal_column("pg_sleep(3600)").label("value")))
SINGLE: Final[dict[str, Any]] = {"database_pool_size": 1, "database_max_overflow": 0}


async def name_of(database: Database, user: User) -> str | None:
    rows = await database.reader.fetch(NAME, {"user_id": user.id})
    return rows[0].name if rows else None


async def rename(transaction: Transaction, user: User, name: str) -> Any:
    ((row),) = await transaction.fetch(RENAME, {"user_id": user.id, "new_name": name})
    return row


async def test_transaction_keeps_what_was_written_and_counts_its_statements(database: Database) -> None:
    user = await make_user(database)

    async def work(transaction: Transaction) -> Any:
        row = await rename(transaction, user, "Grace")
        assert await read(transaction, NAME, {"user_id": user.id}) == [("Grace",)]
        return row

    with counted() as count:
        assert await database.transaction(work) == ("Grace", user.updated_at)
    assert [statement.split()[0] for statement in count] == ["UPDATE", "SELECT"]
    assert await name_of(database, user) == "Grace"


async def test_transaction_inserts_and_deletes_many_rows(database: Database) -> None:
    users = [User(email=f"{row_id}@example.com", name="Ada") for row_id in new_ids(3)]

    async def insert_all(transaction: Transaction) -> None:
        await transaction.execute_many(INSERT, [user.model_dump() for user in users])

    async def delete_all(transaction: Transaction) -> None:
        await transaction.execute_many(DELETE, [{"user_id": user.id} for user in users])

    await database.transaction(insert_all)
    assert [await name_of(database, user) for user in users] == [user.name for user in users]
    await database.transaction(delete_all)
    assert [await name_of(database, user) for user in users] == [None] * 3


async def test_failed_or_unchanged_transaction_leaves_no_trace(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        user = await make_user(database)
        told: list[Any] = []
        database.after_commit.append(told.append)

        async def work(transaction: Transaction, statement: PreparedStatement | None) -> str:
            transaction.info[REVISIONS] = {user.id: 7}
            await rename(transaction, user, "Grace")
            if statement is not None:
                await transaction.fetch(statement, {})
                raise LookupError("unexpected")
            leave_unchanged(transaction)
            return "done"

        with pytest.raises(Exception, match="nothing"):
            await database.transaction(lambda transaction: work(transaction, WRONG))
        with pytest.raises(LookupError, match="needs a value"):
            await database.transaction(lambda transaction: work(transaction, NAME))
        assert await database.transaction(lambda transaction: work(transaction, None)) == "done"
        assert (await name_of(database, user), told) == ("Ada", [])
        await database.transaction(lambda transaction: rename(transaction, user, "Joan"))
        assert await name_of(database, user) == "Joan"
        assert database.pool.in_use == 0


async def test_commit_is_told_with_the_revisions_of_the_transaction(database: Database) -> None:
    told: list[Any] = []
    database.after_commit.append(told.append)

    async def work(transaction: Transaction) -> None:
        transaction.info[REVISIONS] = {"a user": 7}

    await database.transaction(work)
    database.after_commit.remove(told.append)
    assert told == [{"a user": 7}]


async def test_cancelled_transaction_leaves_nothing_behind(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        user = await make_user(database)
        holds = asyncio.Event()

        async def work(transaction: Transaction) -> None:
            await rename(transaction, user, "Grace")
            holds.set()
            await asyncio.Event().wait()

        writing = asyncio.create_task(database.transaction(work))
        await holds.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        await until(lambda: database.pool.in_use == 0)
        assert await name_of(database, user) == "Ada"
        await database.transaction(lambda transaction: rename(transaction, user, "Joan"))
        assert await name_of(database, user) == "Joan"


@only_postgresql
async def test_transaction_that_takes_too_long_is_called_unavailable(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE, database_statement_timeout_s=0.2) as database:
        with pytest.raises(UnavailableError):
            await database.transaction(lambda transaction: transaction.fetch(SLEEP, {}))

        async def answers() -> bool:
            try:
                return await database.transaction(lambda transaction: transaction.fetch(NAME, {"user_id": ""})) == []
            except UnavailableError:
                return False

        await until_so(answers)


@only_postgresql
async def test_deadlocked_transaction_is_run_again(database: Database) -> None:
    users = [await make_user(database), await make_user(database)]
    meeting = asyncio.Barrier(2)
    attempts: list[str] = []

    async def rename_both(name: str, first: User, second: User) -> None:
        async def work(transaction: Transaction) -> None:
            await rename(transaction, first, name)
            attempts.append(name)
            if attempts.count(name) == 1:
                await meeting.wait()
            await rename(transaction, second, name)

        await database.transaction(work)

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(rename_both("Grace", *users), rename_both("Joan", *reversed(users)))
    assert len(attempts) == 3
    assert await name_of(database, users[0]) == await name_of(database, users[1])
