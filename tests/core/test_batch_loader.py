"""Rows found by their ids for many at once: each is given its own, whatever becomes of the others."""

import asyncio
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, literal_column, select, type_coerce

from core.batch_loader import KeyedStatement
from core.database import Database
from core.prepared_statement import PreparedStatement
from models.types import Named
from services.query.filters import IsAnyOf, text_list_param
from tests.core.statements import USERS
from tests.databases import counted
from tests.factories import NOBODYS_ID, make_user
from tests.waiting import until

ENDLESS: Final = """(WITH RECURSIVE endless(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM endless)
    SELECT max(x) FROM endless)"""


def by_id(*columns: ColumnElement[Any]) -> KeyedStatement:
    statement = select(USERS.c.id, *columns).where(IsAnyOf(USERS.c.id, text_list_param("ids")))
    return KeyedStatement(PreparedStatement(statement), "ids")


NAMES: Final = by_id(USERS.c.name)


async def load(database: Database, statement: KeyedStatement, user_ids: list[str]) -> list[Any]:
    """Load rows at once; an error takes the place of its row."""
    loading = (database.batch_loader.load(statement, (user_id,)) for user_id in user_ids)
    return await asyncio.gather(*loading, return_exceptions=True)


async def user_ids(database: Database, *names: str) -> list[str]:
    return [(await make_user(database, name=name)).id for name in names]


async def test_each_caller_gets_its_own_row_of_one_statement(database: Database) -> None:
    names = [f"User {number}" for number in range(30)]
    ids = await user_ids(database, *names)
    with counted() as statements:
        rows = await load(database, NAMES, [*ids, NOBODYS_ID, ids[0]])
    assert rows == [*zip(ids, names, strict=True), None, (ids[0], "User 0")]
    assert len(statements) == 1


async def test_other_statements_and_later_iterations_are_separate(database: Database) -> None:
    user, mails = await make_user(database), by_id(USERS.c.email)
    with counted() as statements:
        names, found = await asyncio.gather(load(database, NAMES, [user.id]), load(database, mails, [user.id]))
        assert (names, found) == ([(user.id, user.name)], [(user.id, user.email)])
        assert await load(database, NAMES, [user.id]) == names
    assert len(statements) == 3


async def test_cancelled_caller_takes_nothing_from_the_others(database: Database) -> None:
    ids = await user_ids(database, "Ada", "Ada", "Ada")
    tasks = [asyncio.create_task(database.batch_loader.load(NAMES, (user_id,))) for user_id in ids]
    for task in tasks[:2]:
        await asyncio.sleep(0)
        task.cancel()
    outcomes: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[:2]] == [asyncio.CancelledError] * 2
    assert outcomes[2].id == ids[2]


async def test_batch_without_waiters_is_not_queried(database: Database) -> None:
    (user_id,) = await user_ids(database, "Ada")
    with counted() as statements:
        task = asyncio.create_task(database.batch_loader.load(NAMES, (user_id,)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await load(database, NAMES, [user_id]) == [(user_id, "Ada")]
    assert len(statements) == 1


async def test_last_cancelled_waiter_cancels_the_query(database: Database) -> None:
    endless = by_id(literal_column(ENDLESS if database.is_sqlite else "pg_sleep(3600)").label("sleep"))
    ids = await user_ids(database, "Ada", "Ada", "Ada")
    tasks = [asyncio.create_task(database.batch_loader.load(endless, (user_id,))) for user_id in ids]
    await until(lambda: database.pool.in_use == 1)
    for task in tasks:
        assert database.pool.in_use == 1
        task.cancel()
        await asyncio.wait([task])
    await until(lambda: database.pool.in_use == 0)


async def test_more_than_a_thousand_keys_are_read_by_several_statements(database: Database) -> None:
    (user_id,) = await user_ids(database, "Ada")
    with counted() as statements:
        rows = await load(database, NAMES, [*(f"nobody {number}" for number in range(2_100)), user_id])
    assert rows == [*[None] * 2_100, (user_id, "Ada")]
    assert len(statements) == 3


async def test_error_is_raised_in_each_waiter_and_unreadable_row_in_its_own(database: Database) -> None:
    class Name(StrEnum):
        ADA = "ADA"

    ids = await user_ids(database, "ADA", "unknown", "ADA")
    outcomes = await load(database, by_id(literal_column("nothing")), ids)
    assert all(isinstance(outcome, Exception) for outcome in outcomes)
    first, unreadable, last = await load(database, by_id(type_coerce(USERS.c.name, Named(Name)).label("name")), ids)
    assert isinstance(unreadable, KeyError)
    assert [first, last] == [(ids[0], Name.ADA), (ids[2], Name.ADA)]
    assert await load(database, NAMES, ids[:1]) == [(ids[0], "ADA")]
