"""Rows found by their ids for many at once: each is given its own, whatever becomes of the others."""

import asyncio
from enum import StrEnum
from typing import Any, Final

import pytest
from sqlalchemy import Label, Select, literal_column, select, type_coerce

from core.batch_loader import KeyedStatement
from core.database import Database
from core.prepared_statement import PreparedStatement
from core.query_runner import current_statements
from models import User
from models.types import Named
from services.query.filters import IsAnyOf, text_list_param
from services.query.sql import table_of
from tests.factories import NOBODYS_ID, make_user
from tests.waiting import until

USERS: Final = table_of(User)

ENDLESS: Final = """(WITH RECURSIVE endless(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM endless)
    SELECT max(x) FROM endless)"""


def keyed(statement: Select[Any]) -> KeyedStatement:
    return KeyedStatement(PreparedStatement(statement), "ids")


NAMES: Final = keyed(select(USERS.c.id, USERS.c.name).where(IsAnyOf(USERS.c.id, text_list_param("ids"))))
MAILS: Final = keyed(select(USERS.c.id, USERS.c.email).where(IsAnyOf(USERS.c.id, text_list_param("ids"))))
BROKEN: Final = keyed(select(literal_column("nothing")).where(IsAnyOf(literal_column("none"), text_list_param("ids"))))


@pytest.fixture
def count() -> list[str]:
    """Give the count of the statements of a test."""
    made: list[str] = []
    current_statements.set(made)
    return made


async def test_each_caller_gets_its_own_row_of_one_statement(database: Database, count: list[str]) -> None:
    users = [await make_user(database, name=f"User {number}") for number in range(30)]
    count.clear()
    asked = [*(user.id for user in users), NOBODYS_ID, users[0].id]
    rows = await asyncio.gather(*(database.batch_loader.load(NAMES, (user_id,)) for user_id in asked))
    assert [None if row is None else tuple(row) for row in rows] == [
        *((user.id, user.name) for user in users),
        None,
        (users[0].id, "User 0"),
    ]
    assert len(count) == 1


async def test_other_statements_and_later_iterations_are_separate(database: Database, count: list[str]) -> None:
    user = await make_user(database)
    count.clear()
    name, mail = await asyncio.gather(
        database.batch_loader.load(NAMES, (user.id,)), database.batch_loader.load(MAILS, (user.id,))
    )
    assert (name.name, mail.email) == (user.name, user.email)
    assert (await database.batch_loader.load(NAMES, (user.id,))).name == user.name
    assert len(count) == 3


async def test_cancelled_caller_takes_nothing_from_the_others(database: Database) -> None:
    users = [await make_user(database) for _ in range(3)]
    tasks = [asyncio.create_task(database.batch_loader.load(NAMES, (user.id,))) for user in users]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    tasks[1].cancel()
    outcomes: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes[:2]] == [asyncio.CancelledError] * 2
    assert outcomes[2].id == users[2].id


async def test_batch_without_waiters_is_not_queried(database: Database) -> None:
    user = await make_user(database)
    task = asyncio.create_task(database.batch_loader.load(NAMES, (user.id,)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert (await database.batch_loader.load(NAMES, (user.id,))).id == user.id


async def test_last_cancelled_waiter_cancels_the_query(database: Database) -> None:
    """Or those who left would hold the connections that others wait for."""
    sleep: Label[Any] = literal_column(ENDLESS if database.is_sqlite else "pg_sleep(3600)").label("sleep")
    endless = keyed(select(USERS.c.id, sleep).where(IsAnyOf(USERS.c.id, text_list_param("ids"))))
    users = [await make_user(database) for _ in range(3)]
    tasks = [asyncio.create_task(database.batch_loader.load(endless, (user.id,))) for user in users]
    await until(lambda: database.pool.in_use == 1)
    for task in tasks:
        assert database.pool.in_use == 1
        task.cancel()
        await asyncio.wait([task])
    await until(lambda: database.pool.in_use == 0)


async def test_more_than_a_thousand_keys_are_read_by_several_statements(database: Database, count: list[str]) -> None:
    user = await make_user(database)
    count.clear()
    keys = [*(f"nobody {number}" for number in range(2_100)), user.id]
    rows = await asyncio.gather(*(database.batch_loader.load(NAMES, (key,)) for key in keys))
    assert [row and row.id for row in rows] == [*[None] * 2_100, user.id]
    assert len(count) == 3


async def test_error_is_raised_in_each_waiter(database: Database) -> None:
    users = [await make_user(database) for _ in range(2)]
    asked = (database.batch_loader.load(BROKEN, (user.id,)) for user in users)
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(outcome, Exception) for outcome in outcomes)
    assert (await database.batch_loader.load(NAMES, (users[0].id,))).id == users[0].id


async def test_unreadable_row_fails_its_own_waiter_alone(database: Database) -> None:
    class Name(StrEnum):
        ADA = "ADA"

    users = [await make_user(database, name=name) for name in ("ADA", "unknown", "ADA")]
    column = type_coerce(USERS.c.name, Named(Name)).label("name")
    statement = keyed(select(USERS.c.id, column).where(IsAnyOf(USERS.c.id, text_list_param("ids"))))
    asked = (database.batch_loader.load(statement, (user.id,)) for user in users)
    outcomes: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(outcomes.pop(1), KeyError)
    assert [row.id for row in outcomes] == [users[0].id, users[2].id]
