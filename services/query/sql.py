"""Reading and writing past the ORM: rows as they come, tables instead of classes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Executable, FromClause, Table, func, insert
from sqlalchemy.engine import CursorResult
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.prepared_statement import PreparedStatement, Rows, Values, cached_statement
from core.query_runner import QueryRunner
from core.transaction import Transaction

# What writes go through: a transaction on the driver, or that of a session.
Writer: TypeAlias = Transaction | AsyncSession
# What reads go through: whatever connection is free, or the one of a transaction.
Source: TypeAlias = QueryRunner | Writer


def table_of(model: type[SQLModel]) -> Table:
    """Return the table behind a SQLModel class."""
    table: Table = model.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
    return table


def table_columns(source: FromClause, names: Collection[str]) -> list[ColumnElement[Any]]:
    """Return the columns of those names, in the order of the table."""
    return [column for column in source.c if column.name in names]


def is_sqlite(source: Source) -> bool:
    """Tell which of the two databases answers."""
    return source.get_bind().dialect.name == "sqlite" if isinstance(source, AsyncSession) else source.is_sqlite


def database_time(source: Source) -> Any:
    """Return the present moment for a statement, by the one clock that all processes share."""
    return utc_now() if is_sqlite(source) else func.clock_timestamp()


async def read(source: Source, statement: PreparedStatement, values: Values) -> Rows:
    """Return every row of a prepared statement."""
    if isinstance(source, AsyncSession):
        return await fetch_all(source, statement.statement, values)
    return await source.fetch(statement, values)


async def insert_rows(writer: Writer, model: type[SQLModel], rows: Sequence[Values]) -> None:
    """Insert rows that have a value for each column, with one round trip."""
    if not rows:
        return
    statement = _insert(model)
    if isinstance(writer, AsyncSession):
        await execute(writer, statement.statement, rows)
    elif len(rows) == 1:
        await writer.fetch(statement, rows[0])
    else:
        await writer.execute_many(statement, rows)


@cached_statement
def _insert(model: type[SQLModel]) -> Executable:
    return insert(table_of(model))


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
