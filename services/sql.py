"""Reading and writing past the ORM: rows as they come, tables instead of classes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Row, Table
from sqlalchemy.engine import CursorResult
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

Rows = Sequence[Row[Any]]


def table_of(model: type[SQLModel]) -> Table:
    """Return the table behind a SQLModel class."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
    return table


def is_sqlite(session: AsyncSession) -> bool:
    """Tell which of the two databases the session talks to."""
    return session.get_bind().dialect.name == "sqlite"


async def execute(
    session: AsyncSession,
    statement: Executable,
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
) -> CursorResult[Any]:
    """Run a statement in the session's transaction, past the ORM; once for all of several sets of parameters."""
    return await (await session.connection()).execute(statement, parameters)


async def fetch_all(session: AsyncSession, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Rows:
    """Return every row of a statement."""
    return (await execute(session, statement, parameters)).all()
