"""Rows of users and their sessions, read and changed behind the services' back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from sqlalchemy import event, select, update

from core.clock import utc_now
from core.database import Database
from core.prepared_statement import PreparedStatement, Rows, Values
from models import Session, User
from services.query.sql import execute, table_of

_USERS = table_of(User)
_SESSIONS = table_of(Session)


@contextmanager
def all_statements(database: Database) -> Iterator[list[str]]:
    """Collect every statement of the database, whoever runs it."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    fetch = database.reader.fetch

    async def noted(statement: PreparedStatement, values: Values) -> Rows:
        statements.append(statement.compiled(database.engine.dialect).sql)
        return await fetch(statement, values)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    with patch.object(database.reader, "fetch", noted):
        yield statements
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def change_user(database: Database, user_id: str, **values: Any) -> None:
    statement = update(_USERS).where(_USERS.c.id == user_id).values(values)
    await database.write(lambda session: execute(session, statement))


async def change_sessions(database: Database, user_id: str, **values: Any) -> None:
    statement = update(_SESSIONS).where(_SESSIONS.c.user_id == user_id).values(values)
    await database.write(lambda session: execute(session, statement))


async def end_grace(database: Database, user_id: str) -> None:
    """Let it be half a minute since the user's sessions were refreshed."""
    rotated_at = utc_now() - timedelta(seconds=30)
    await change_sessions(database, user_id, rotations=[rotated_at.timestamp()])


async def read_user(database: Database, user_id: str) -> Any:
    async with database.read() as session:
        return (await execute(session, select(_USERS).where(_USERS.c.id == user_id))).one_or_none()
