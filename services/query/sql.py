"""Reading and writing past the ORM: rows as they come, tables instead of classes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Executable, FromClause, Table
from sqlalchemy.engine import CursorResult
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.prepared_statement import PreparedStatement, Rows, Values
from core.query_runner import QueryRunner

# What reads go through: whatever connection is free, or the one of a transaction.
Source: TypeAlias = QueryRunner | AsyncSession


def table_of(model: type[SQLModel]) -> Table:
    """Return the table behind a SQLModel class."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
    return table


def columns_of(source: FromClause, names: Collection[str]) -> list[ColumnElement[Any]]:
    """Return the columns of those names, in the order of the table."""
    return [column for column in source.c if column.name in names]


def is_sqlite(source: Source) -> bool:
    """Tell which of the two databases answers."""
    return source.is_sqlite if isinstance(source, QueryRunner) else source.get_bind().dialect.name == "sqlite"


async def read(source: Source, statement: PreparedStatement, values: Values) -> Rows:
    """Return every row of a prepared statement."""
    if isinstance(source, QueryRunner):
        return await source.fetch(statement, values)
    return await fetch_all(source, statement.statement, values)


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
