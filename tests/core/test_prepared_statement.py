"""Prepared statements: what the driver gives is what SQLAlchemy gives, for every column of every table."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from asyncpg import DataError
from sqlalchemy import Executable, Integer, bindparam, func, literal, select

from core.cache import LRUCache
from core.database import Database
from core.ids import new_id
from core.prepared_statement import PreparedStatement, cached_statement
from core.settings import Settings
from models import Message, MessageStatus, Task, TaskPriority, User
from models.types import Id, TextList, UtcDateTime
from services.query.sql import fetch_all, table_of
from tests.core.rows_of_all_tables import FIRST, LAST, TABLES, WILD, rows_of_all_tables
from tests.core.statements import SINGLE
from tests.databases import only_postgresql, opened
from tests.factories import make_user, store

USERS: Final = table_of(User).c


def echo(**types: Any) -> PreparedStatement:
    """Return the statement that gives back its parameters, of these types."""
    return PreparedStatement(select(*(bindparam(name, type_=each).label(name) for name, each in types.items())))


async def test_rows_equal_those_of_sqlalchemy_for_every_table(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database:
        for is_full in (True, False):
            for stored in rows_of_all_tables(new_id(), is_full=is_full):
                await store(database, stored)
        for table in TABLES:
            statement = select(table).order_by(*table.primary_key)
            found = await database.reader.fetch(PreparedStatement(statement), {})
            async with database.read() as session:
                expected = await fetch_all(session, statement)
            assert len(found) >= 2, table.name
            assert found[0]._fields == expected[0]._fields
            assert [tuple(row) for row in found] == [tuple(row) for row in expected]
            kinds = [[type(value) for value in row] for row in found]
            assert kinds == [[type(value) for value in row] for row in expected]


FAR: Final = timezone(timedelta(hours=14))
PARAMETERS: Final[dict[str, tuple[Any, list[Any]]]] = {
    "moments": (UtcDateTime, [FIRST, LAST, datetime(1970, 1, 1, tzinfo=FAR), datetime(2026, 3, 29, 2, 30, 0, 1, UTC)]),
    "ranks": (table_of(Task).c.priority.type, list(TaskPriority)),
    "names": (table_of(Message).c.status.type, list(MessageStatus)),
    "texts": (TextList, [[], [""], ["NULL", "null", "{}", 'a"b', "a,b", "\\"], [WILD] * 1_000, ("a", "b"), ()]),
    "ids": (Id, [new_id()]),
}


@pytest.mark.parametrize("name", PARAMETERS)
async def test_parameter_comes_back_as_it_was(database: Database, name: str) -> None:
    type_, values = PARAMETERS[name]
    for value in values if name == "texts" else [*values, None]:
        ((found,),) = await database.reader.fetch(echo(value=type_), {"value": value})
        expected = list(value) if isinstance(value, tuple) else value
        assert (found, type(found)) == (expected, type(expected))
        if isinstance(found, datetime):
            assert found.utcoffset() == timedelta()


async def test_unknown_enum_member_is_not_called_missing(database: Database) -> None:
    with pytest.raises(KeyError, match="unknown"):
        await database.reader.fetch(echo(rank=table_of(Task).c.priority.type), {"rank": "unknown"})


async def test_row_has_the_names_of_its_columns(database: Database) -> None:
    user = await make_user(database)
    named = select(USERS.id, func.count().label("count"), func.max(USERS.name).label("index"))
    statement = PreparedStatement(named.where(USERS.id == bindparam("id")).group_by(USERS.id))
    (row,) = await database.reader.fetch(statement, {"id": user.id})
    assert (row.id, row.count, row.index) == row == (user.id, 1, "Ada")


async def test_parameter_without_a_value_has_its_default_or_is_missing(database: Database) -> None:
    statement = PreparedStatement(select(literal(7).label("constant"), bindparam("given", 1).label("given")))
    for values, given in (({}, 1), ({"given": 2}, 2), ({}, 1)):
        assert await database.reader.fetch(statement, values) == [(7, given)]
    statement = PreparedStatement(select(USERS.id).limit(bindparam("limit", type_=Integer())))
    with pytest.raises(LookupError, match="needs a value for limit"):
        await database.reader.fetch(statement, {"user_id": "x"})


@only_postgresql
async def test_nul_is_refused_and_the_connection_serves_on(fresh_settings: Settings) -> None:
    statement = echo(text=USERS.name.type)
    async with opened(fresh_settings, **SINGLE) as database:
        with pytest.raises(DataError):
            await database.reader.fetch(statement, {"text": 1})
        with pytest.raises(Exception, match="0x00"):
            await database.reader.fetch(statement, {"text": "a\0b"})
        assert await database.reader.fetch(statement, {"text": WILD}) == [(WILD,)]


def test_cached_statements_are_found_by_arguments_and_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    cache: LRUCache[Any, PreparedStatement] = LRUCache("statements of a test", max_bytes=200_000)
    monkeypatch.setattr("core.prepared_statement.STATEMENTS", cache)

    @cached_statement
    def numbers(first: int, count: int) -> Executable:
        return select(*(literal(first + index).label(f"number_{index}") for index in range(count)))

    kept = numbers(0, 2)
    assert numbers(0, 2) is kept
    assert numbers(1, 2) is not kept
    assert (cache.hits, cache.misses) == (1, 2)
    # One that is larger than the whole cache is built each time, and evicts nothing.
    assert numbers(0, 1_000) is not numbers(0, 1_000)
    assert numbers(0, 2) is kept
    for first in range(2, 200):
        numbers(first, 2)
    assert cache.size_bytes <= cache.max_bytes
    assert numbers(0, 2) is not kept
