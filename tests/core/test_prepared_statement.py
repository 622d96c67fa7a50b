"""PreparedStatement statements: what the driver gives is what SQLAlchemy gives, for every column of every table."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from asyncpg import DataError
from sqlalchemy import Executable, Integer, Table, bindparam, func, literal, select, union_all
from sqlmodel import SQLModel

from core.cache import LRUCache
from core.database import Database
from core.ids import new_id
from core.prepared_statement import PreparedStatement, Rows, cached_statement
from core.settings import Settings
from models import Message, MessageStatus, Task, TaskPriority, User
from models.types import Id, TextList, UtcDateTime
from services.query.sql import fetch_all, read, table_of
from tests.core.rows_of_all_tables import FIRST, LAST, WILD, RowsOfAllTables
from tests.databases import only_postgresql, opened
from tests.factories import make_user, store

TABLES: Final = SQLModel.metadata.sorted_tables


async def both_ways(database: Database, table: Table) -> tuple[Rows, Rows]:
    """Read a whole table on the driver and by SQLAlchemy."""
    statement = select(table).order_by(*table.primary_key)
    async with database.read() as session:
        expected = await fetch_all(session, statement)
    return await database.reader.fetch(PreparedStatement(statement), {}), expected


def test_full_rows_of_all_tables_have_every_column() -> None:
    rows = [row for rows in RowsOfAllTables(new_id(), is_full=True).in_their_order() for row in rows]
    present = {
        (table_of(type(row)), name) for row in rows for name, value in row.model_dump().items() if value is not None
    }
    missing = [
        f"{table.name}.{column.name}" for table in TABLES for column in table.c if (table, column.name) not in present
    ]
    assert missing == []


async def test_rows_equal_those_of_sqlalchemy_for_every_table(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database:
        for is_full in (True, False):
            for rows in RowsOfAllTables(new_id(), is_full=is_full).in_their_order():
                await store(database, *rows)
        for table in TABLES:
            found, expected = await both_ways(database, table)
            assert len(found) >= 2, table.name
            assert found[0]._fields == expected[0]._fields
            assert [tuple(row) for row in found] == [tuple(row) for row in expected]
            kinds = [[type(value) for value in row] for row in found]
            assert kinds == [[type(value) for value in row] for row in expected]


async def test_moments_have_an_offset(database: Database) -> None:
    far = timezone(timedelta(hours=14))
    moments = [FIRST, LAST, datetime(1970, 1, 1, tzinfo=far), datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=UTC)]
    statement = PreparedStatement(select(bindparam("moment", type_=UtcDateTime).label("moment")))
    for moment in moments:
        ((found,),) = await database.reader.fetch(statement, {"moment": moment})
        assert (found, found.utcoffset()) == (moment, timedelta())
    ((nothing,),) = await database.reader.fetch(statement, {"moment": None})
    assert nothing is None


async def test_enums_are_their_members(database: Database) -> None:
    tasks, messages = table_of(Task).c, table_of(Message).c
    statement = PreparedStatement(
        select(
            bindparam("rank", type_=tasks.priority.type).label("rank"),
            bindparam("name", type_=messages.status.type).label("name"),
        )
    )
    for rank, name in [*zip(TaskPriority, MessageStatus, strict=False), (None, None)]:
        ((found_rank, found_name),) = await database.reader.fetch(statement, {"rank": rank, "name": name})
        assert found_rank is rank
        assert found_name is name


async def test_lists_of_texts_come_back(database: Database) -> None:
    statement = PreparedStatement(select(bindparam("tags", type_=TextList).label("tags")))
    for tags in ([], [""], ["NULL", "null", "{}", 'a"b', "a,b", "\\"], [WILD] * 1_000, ("a", "b"), ()):
        assert await database.reader.fetch(statement, {"tags": tags}) == [(list(tags),)]


async def test_ids_are_text_in_unions_too(database: Database) -> None:
    one = select(bindparam("id", type_=Id).label("id"), literal("x").label("kind"))
    row_id = new_id()
    for statement in (PreparedStatement(one), PreparedStatement(union_all(one, one))):
        rows = await database.reader.fetch(statement, {"id": row_id})
        assert {tuple(row) for row in rows} == {(row_id, "x")}
    assert await database.reader.fetch(PreparedStatement(one), {"id": None}) == [(None, "x")]


async def test_row_has_the_names_of_its_columns(database: Database) -> None:
    users = table_of(User).c
    user = await make_user(database)
    named = select(users.id, func.count().label("count"), func.max(users.name).label("index"))
    statement = PreparedStatement(named.where(users.id == bindparam("id")).group_by(users.id))
    (row,) = await database.reader.fetch(statement, {"id": user.id})
    assert (row.id, row.count, row.index) == (user.id, 1, "Ada")
    assert row == (user.id, 1, "Ada")


async def test_default_of_a_parameter_is_used_where_no_value_is_given(database: Database) -> None:
    statement = PreparedStatement(select(literal(7).label("constant"), bindparam("given", 1).label("given")))
    assert await database.reader.fetch(statement, {}) == [(7, 1)]
    assert await database.reader.fetch(statement, {"given": 2}) == [(7, 2)]
    assert await database.reader.fetch(statement, {}) == [(7, 1)]


async def test_missing_value_raises_its_name(database: Database) -> None:
    statement = PreparedStatement(select(table_of(User).c.id).limit(bindparam("limit", type_=Integer())))
    with pytest.raises(LookupError, match="needs a value for limit"):
        await database.reader.fetch(statement, {"user_id": "x"})


async def test_unknown_enum_member_is_not_called_missing(database: Database) -> None:
    statement = PreparedStatement(select(bindparam("rank", type_=table_of(Task).c.priority.type).label("rank")))
    with pytest.raises(KeyError, match="unknown"):
        await database.reader.fetch(statement, {"rank": "unknown"})


async def test_statement_gives_the_same_row_in_a_session(database: Database) -> None:
    user = await make_user(database)
    statement = PreparedStatement(select(table_of(User)).where(table_of(User).c.id == bindparam("id")))
    (alone,) = await read(database.reader, statement, {"id": user.id})
    async with database.read() as session:
        (within,) = await read(session, statement, {"id": user.id})
    assert tuple(alone) == tuple(within)
    assert alone._fields == within._fields


@only_postgresql
async def test_nul_is_refused_and_the_connection_serves_on(fresh_settings: Settings) -> None:
    statement = PreparedStatement(select(bindparam("text", type_=table_of(User).c.name.type).label("text")))
    async with opened(fresh_settings, database_pool_size=1, database_max_overflow=0) as database:
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
