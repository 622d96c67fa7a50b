"""The database: reads, and writes in one transaction."""

import asyncio
from typing import Final

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.transaction import leave_unchanged
from models import User
from tests.databases import counted, run_sql
from tests.factories import make_user

RENAME: Final = "UPDATE users SET name = :name WHERE id = :id"


async def name_of(database: Database, user: User) -> str:
    async with database.read() as session:
        return (await session.get_one(User, user.id)).name


async def test_write_is_kept(database: Database) -> None:
    user = await make_user(database)
    async with database.read() as session:
        assert (await session.get_one(User, user.id)).model_dump() == user.model_dump()


async def test_failed_work_leaves_no_trace(database: Database) -> None:
    user = await make_user(database)

    async def work(session: AsyncSession) -> None:
        await run_sql(session, RENAME, name="Grace", id=user.id)
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert await name_of(database, user) == "Ada"


async def test_work_that_leaves_unchanged_is_not_committed(database: Database) -> None:
    user = await make_user(database)

    async def work(session: AsyncSession) -> str:
        await run_sql(session, RENAME, name="Grace", id=user.id)
        leave_unchanged(session)
        return "done"

    assert await database.write(work) == "done"
    assert await name_of(database, user) == "Ada"


async def test_broken_constraint_is_not_called_unavailable(database: Database) -> None:
    user = await make_user(database)
    with pytest.raises(IntegrityError):
        await make_user(database, id=user.id)


async def test_wrong_statement_is_not_called_unavailable(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.read() as session:
            await run_sql(session, "SELECT * FROM nothing")


async def test_foreign_keys_are_enforced(database: Database) -> None:
    user = await make_user(database)
    statement = "INSERT INTO sessions (id, user_id, token_hash, expires_at, created_at) VALUES (:id, 'x', '', :t, :t)"
    with pytest.raises(IntegrityError):
        await database.write(lambda session: run_sql(session, statement, id=user.id, t=user.created_at))


async def test_transaction_control_is_not_counted_as_statements(database: Database) -> None:
    user = await make_user(database)
    with counted() as count:
        await database.write(lambda session: run_sql(session, RENAME, name="Grace", id=user.id))
        await name_of(database, user)
    assert [statement.split()[0] for statement in count] == ["UPDATE", "SELECT"]


async def test_concurrent_writes_are_all_kept(database: Database) -> None:
    user = await make_user(database)

    async def count(session: AsyncSession) -> int:
        revision: int = await run_sql(
            session, "UPDATE users SET revision = revision + 1 WHERE id = :id RETURNING revision", id=user.id
        )
        return revision

    revisions = await asyncio.gather(*(database.write(count) for _ in range(50)))
    assert sorted(revisions) == list(range(1, 51))
