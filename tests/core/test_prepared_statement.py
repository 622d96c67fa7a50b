"""Prepared statements: what the driver gives is what SQLAlchemy gives, for every column of every table."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from asyncpg import DataError
from sqlalchemy import Executable, Integer, bindparam, func, literal, select, union_all

from core.cache import LRUCache
from core.database import Database
from core.ids import new_id
from core.prepared_statement import PreparedStatement, cached_statement
from core.settings import Settings
from models import Message, MessageStatus, Task, TaskPriority, User
from models.types import Id, TextList, UtcDateTime
from services.query.sql import fetch_all, read, table_of
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


async def test_moments_have_an_offset(database: Database) -> None:
    far = timezone(timedelta(hours=14))
    moments = [FIRST, LAST, datetime(1970, 1, 1, tzinfo=far), datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=UTC)]
    statement = echo(moment=UtcDateTime)
    for moment in moments:
        ((found,),) = await database.reader.fetch(statement, {"moment": moment})
        assert (found, found.utcoffset()) == (moment, timedelta())
    ((nothing,),) = await database.reader.fetch(statement, {"moment": None})
    assert nothing is None


async def test_enums_are_their_members(database: Database) -> None:
    statement = echo(rank=table_of(Task).c.priority.type, name=table_of(Message).c.status.type)
    for rank, name in [*zip(TaskPriority, MessageStatus, strict=False), (None, None)]:
        ((found_rank, found_name),) = await database.reader.fetch(statement, {"rank": rank, "name": name})
        assert found_rank is rank
        assert found_name is name
    # A member that is not known is no missing value.
    with pytest.raises(KeyError, match="unknown"):
        await database.reader.fetch(statement, {"rank": "unknown", "name": None})


async def test_lists_of_texts_come_back(database: Database) -> None:
    for tags in ([], [""], ["NULL", "null", "{}", 'a"b', "a,b", "\\"], [WILD] * 1_000, ("a", "b"), ()):
        assert await database.reader.fetch(echo(tags=TextList), {"tags": tags}) == [(list(tags),)]


async def test_ids_are_text_in_unions_too(database: Database) -> None:
    one = select(bindparam("id", type_=Id).label("id"), literal("x").label("kind"))
    row_id = new_id()
    for statement in (PreparedStatement(one), PreparedStatement(union_all(one, one))):
        rows = await database.reader.fetch(statement, {"id": row_id})
        assert {tuple(row) for row in rows} == {(row_id, "x")}
    assert await database.reader.fetch(PreparedStatement(one), {"id": None}) == [(None, "x")]


async def test_row_has_the_names_of_its_columns(database: Database) -> None:
    user = await make_user(database)
    named = select(USERS.id, func.count().label("count"), func.max(USERS.name).label("index"))
    statement = PreparedStatement(named.where(USERS.id == bindparam("id")).group_by(USERS.id))
    (row,) = await database.reader.fetch(statement, {"id": user.id})
    assert (row.id, row.count, row.index) == row == (user.id, 1, "Ada")


async def test_default_of_a_parameter_is_used_where_no_value_is_given(database: Database) -> None:
    statement = PreparedStatement(select(literal(7).label("constant"), bindparam("given", 1).label("given")))
    assert await database.reader.fetch(statement, {}) == [(7, 1)]
    assert await database.reader.fetch(statement, {"given": 2}) == [(7, 2)]
    assert await database.reader.fetch(statement, {}) == [(7, 1)]


async def test_missing_value_raises_its_name(database: Database) -> None:
    statement = PreparedStatement(select(USERS.id).limit(bindparam("limit", type_=Integer())))
    with pytest.raises(LookupError, match="needs a value for limit"):
        await database.reader.fetch(statement, {"user_id": "x"})


async def test_statement_gives_the_same_row_in_a_session(database: Database) -> None:
    user = await make_user(database)
    statement = PreparedStatement(select(table_of(User)).where(USERS.id == bindparam("id")))
    (alone,) = await read(database.reader, statement, {"id": user.id})
    async with database.read() as session:
        (within,) = await read(session, statement, {"id": user.id})
    assert tuple(alone) == tuple(within)
    assert alone._fields == within._fields


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
