"""Statements on users, run in a session or on the driver."""

from typing import Any, Final

import pytest
from sqlalchemy import bindparam, literal_column, select, update

from core.database import Database
from core.prepared_statement import PreparedStatement
from models import User
from services.query.sql import Source, Writer, read, table_of

USERS: Final = table_of(User)
BY_ID: Final = USERS.c.id == bindparam("user_id", type_=USERS.c.id.type)
NAME: Final = PreparedStatement(select(USERS.c.name).where(BY_ID))
RENAME: Final = PreparedStatement(
    update(USERS).where(BY_ID).values(name=bindparam("new_name")).returning(USERS.c.name, USERS.c.updated_at)
)
SINGLE: Final[dict[str, Any]] = {"database_pool_size": 1, "database_max_overflow": 0}

# The two ways to write, and the two ways to read.
each_write: Final = pytest.mark.parametrize("write", [Database.write, Database.transaction], ids=["session", "driver"])
each_read: Final = pytest.mark.parametrize("in_session", [True, False], ids=["session", "driver"])


def one(expression: str) -> PreparedStatement:
    return PreparedStatement(select(literal_column(expression).label("value")))


ONE: Final = one("1")
SLEEP: Final = one("pg_sleep(3600)")


async def value_of(source: Source, statement: PreparedStatement) -> Any:
    ((value,),) = await read(source, statement, {})
    return value


async def read_value(database: Database, statement: PreparedStatement, *, in_session: bool = False) -> Any:
    if not in_session:
        return await value_of(database.reader, statement)
    async with database.read() as session:
        return await value_of(session, statement)


async def rename(writer: Writer, user: User, name: str) -> Any:
    (row,) = await read(writer, RENAME, {"user_id": user.id, "new_name": name})
    return row


async def name_of(database: Database, user: User) -> str | None:
    rows = await database.reader.fetch(NAME, {"user_id": user.id})
    return rows[0].name if rows else None
