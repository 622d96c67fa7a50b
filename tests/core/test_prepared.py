"""Prepared statements: what the driver gives is what SQLAlchemy gives, for every column of every table."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from asyncpg import DataError
from sqlalchemy import Integer, Table, bindparam, func, literal, select, union_all
from sqlmodel import SQLModel

from core.database import Database
from core.ids import new_id
from core.prepared import Prepared, Rows
from core.settings import Settings
from models import (
    AccessToken,
    Conversation,
    Deletion,
    EntityKind,
    IdempotencyKey,
    Message,
    MessageRole,
    MessageStatus,
    Run,
    RunStatus,
    Session,
    Task,
    TaskChange,
    TaskChangeKind,
    TaskPriority,
    TokenUsage,
    ToolCall,
    ToolCallStatus,
    User,
)
from models.types import Id, TextList, UtcDateTime
from services.sql import fetch_all, read, table_of
from tests.databases import only_postgresql, opened
from tests.factories import make_user, store

FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
WILD: Final = "\u0001 \U0001f600 e\u0301 \u202e \ufffd \"'\\ %s :id $1 ? {} \uffff"
JSON: Final = {"": None, WILD: [1.5, -(2**53), [], {"deep": {"er": True}}, WILD]}
TABLES: Final = SQLModel.metadata.sorted_tables


def rows_of_all_tables(user_id: str, *, is_full: bool) -> list[list[SQLModel]]:
    """Return a row of each table, with all that a row may have or with nothing that may be missing."""

    def full(**values: Any) -> dict[str, Any]:
        return values if is_full else {}

    moment = LAST if is_full else FIRST
    made = {"created_at": moment}
    own: dict[str, Any] = {"user_id": user_id, "revision": 2**31 - 1 if is_full else 0} | made
    text = WILD if is_full else "x"
    user = User(id=user_id, email=user_id, name=text if is_full else "", **full(image=text, is_admin=True), **made)
    task = Task(title=text, words=text, **own, updated_at=moment, tags=[text, "", "NULL"] if is_full else [])
    part = Task(
        title="x",
        parent_id=task.id,
        **own,
        **full(description=text, completed=True, completed_at=FIRST, priority=TaskPriority.HIGH, due_at=LAST),
    )
    talk = Conversation(title=text, **own)
    said = [Message(conversation_id=talk.id, role=role, content=text, **own) for role in MessageRole]
    run = Run(
        conversation_id=talk.id,
        message_id=said[0].id,
        reply_id=said[1].id,
        model=text,
        **own,
        **full(error=text, state=text, lease_until=FIRST, finished_at=LAST, status=RunStatus.FAILED),
    )
    call = {"run_id": run.id, "name": text, "status": ToolCallStatus.RUNNING, **own}
    calls = [
        ToolCall(call_id=f"{place}", position=place, arguments=JSON, result=result, **call)
        for place, result in enumerate([None, JSON, "text", 0, False, []] if is_full else [None])
    ]
    change = TaskChange(
        task_id=task.id,
        kind=TaskChangeKind.DELETED,
        before=JSON if is_full else {},
        after={},
        **own,
        **full(run_id=run.id, tool_call_id=calls[0].id),
    )
    gone = Deletion(user_id=user_id, id=new_id(), kind=EntityKind.TOOL_CALL, revision=0, deleted_at=moment)
    session = Session(user_id=user_id, token_hash="x", expires_at=moment, **made, **full(revoked_at=FIRST))
    token = AccessToken(
        user_id=user_id, name="x", token_hash=new_id(), scopes=[], **made, **full(expires_at=LAST, last_used_at=FIRST)
    )
    key = IdempotencyKey(
        user_id=user_id, key=text, operation="x", request_hash="", result_ids=[text] if is_full else [], **made
    )
    day, most = date.max if is_full else date.min, 2**63 - 1 if is_full else 0
    usage = TokenUsage(user_id=user_id, day=day, input_tokens=most, output_tokens=-most)
    return [[user], [task, talk, session, token, key, usage, gone, change], [part, *said], [run], [*calls]]


async def both_ways(database: Database, table: Table) -> tuple[Rows, Rows]:
    """Read a whole table on the driver and by SQLAlchemy."""
    statement = select(table).order_by(*table.primary_key)
    async with database.read() as session:
        expected = await fetch_all(session, statement)
    return await database.reader.fetch(Prepared(statement), {}), expected


async def test_rows_are_sqlalchemys_for_every_table(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database:
        for is_full in (True, False):
            for rows in rows_of_all_tables(new_id(), is_full=is_full):
                await store(database, *rows)
        for table in TABLES:
            found, expected = await both_ways(database, table)
            assert len(found) >= 2, table.name
            assert found[0]._fields == expected[0]._fields
            assert [tuple(row) for row in found] == [tuple(row) for row in expected]
            kinds = [[type(value) for value in row] for row in found]
            assert kinds == [[type(value) for value in row] for row in expected]


async def test_moments_have_their_offset(database: Database) -> None:
    far = timezone(timedelta(hours=14))
    moments = [FIRST, LAST, datetime(1970, 1, 1, tzinfo=far), datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=UTC)]
    statement = Prepared(select(bindparam("moment", type_=UtcDateTime).label("moment")))
    for moment in moments:
        ((found,),) = await database.reader.fetch(statement, {"moment": moment})
        assert (found, found.utcoffset()) == (moment, timedelta())
    ((nothing,),) = await database.reader.fetch(statement, {"moment": None})
    assert nothing is None


async def test_enums_are_their_members(database: Database) -> None:
    tasks, messages = table_of(Task).c, table_of(Message).c
    statement = Prepared(
        select(
            bindparam("rank", type_=tasks.priority.type).label("rank"),
            bindparam("name", type_=messages.status.type).label("name"),
        )
    )
    for rank, name in [*zip(TaskPriority, MessageStatus, strict=False), (None, None)]:
        ((found_rank, found_name),) = await database.reader.fetch(statement, {"rank": rank, "name": name})
        assert found_rank is rank
        assert found_name is name


async def test_lists_of_texts(database: Database) -> None:
    statement = Prepared(select(bindparam("tags", type_=TextList).label("tags")))
    for tags in ([], [""], ["NULL", "null", "{}", 'a"b', "a,b", "\\"], [WILD] * 1_000):
        assert await database.reader.fetch(statement, {"tags": tags}) == [(tags,)]


async def test_ids_are_text_also_where_statements_are_put_together(database: Database) -> None:
    one = select(bindparam("id", type_=Id).label("id"), literal("x").label("kind"))
    row_id = new_id()
    for statement in (Prepared(one), Prepared(union_all(one, one))):
        rows = await database.reader.fetch(statement, {"id": row_id})
        assert {tuple(row) for row in rows} == {(row_id, "x")}
    assert await database.reader.fetch(Prepared(one), {"id": None}) == [(None, "x")]


async def test_rows_are_known_by_the_names_of_their_columns(database: Database) -> None:
    users = table_of(User).c
    user = await make_user(database)
    named = select(users.id, func.count().label("count"), func.max(users.name).label("index"))
    statement = Prepared(named.where(users.id == bindparam("id")).group_by(users.id))
    (row,) = await database.reader.fetch(statement, {"id": user.id})
    assert (row.id, row.count, row.index) == (user.id, 1, "Ada")
    assert row == (user.id, 1, "Ada")


async def test_constants_stand_where_no_value_is_given(database: Database) -> None:
    statement = Prepared(select(literal(7).label("constant"), bindparam("given", 1).label("given")))
    assert await database.reader.fetch(statement, {}) == [(7, 1)]
    assert await database.reader.fetch(statement, {"given": 2}) == [(7, 2)]
    assert await database.reader.fetch(statement, {}) == [(7, 1)]


async def test_no_value_is_left_out_by_mistake(database: Database) -> None:
    statement = Prepared(select(table_of(User).c.id).limit(bindparam("limit", type_=Integer())))
    with pytest.raises(LookupError, match="needs a value for limit"):
        await database.reader.fetch(statement, {"user_id": "x"})


async def test_it_is_the_same_in_a_transaction(database: Database) -> None:
    user = await make_user(database)
    statement = Prepared(select(table_of(User)).where(table_of(User).c.id == bindparam("id")))
    (alone,) = await read(database.reader, statement, {"id": user.id})
    async with database.read() as session:
        (within,) = await read(session, statement, {"id": user.id})
    assert tuple(alone) == tuple(within)
    assert alone._fields == within._fields


@only_postgresql
async def test_nul_is_refused_and_the_connection_serves_on(fresh_settings: Settings) -> None:
    statement = Prepared(select(bindparam("text", type_=table_of(User).c.name.type).label("text")))
    async with opened(fresh_settings, database_pool_size=1, database_max_overflow=0) as database:
        with pytest.raises(DataError):
            await database.reader.fetch(statement, {"text": 1})
        with pytest.raises(Exception, match="0x00"):
            await database.reader.fetch(statement, {"text": "a\0b"})
        assert await database.reader.fetch(statement, {"text": WILD}) == [(WILD,)]
