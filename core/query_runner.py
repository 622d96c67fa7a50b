"""Query runner: prepared statements, each by itself, on the driver of a pooled connection."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from asyncpg import PostgresError
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.engine import Dialect

from core.connection_pool import ConnectionPool
from core.errors import UnavailableError
from core.prepared_statement import CompiledStatement, PreparedStatement, Rows, Values
from core.transient_errors import is_lost, translated_errors
from core.workload import current_workload

_Fetch: TypeAlias = Callable[[Any, CompiledStatement, Sequence[Any], float | None], Awaitable[Any]]

# The statements that the request has run, where they are counted.
current_statements: Final[ContextVar[list[str] | None]] = ContextVar("current_statements", default=None)


def note_statement(statement: str) -> None:
    """Count a statement for the request that runs it."""
    statements = current_statements.get()
    if statements is not None:
        statements.append(statement)


class QueryRunner:
    """Runs prepared statements without SQLAlchemy's execution, on connections of its pool."""

    def __init__(self, pool: ConnectionPool, dialect: Dialect, read_timeout_s: float, *, is_pooled: bool) -> None:
        self.is_sqlite = dialect.name == "sqlite"
        self._pool = pool
        self._dialect = dialect
        self._read_timeout_s = read_timeout_s
        # Behind a pooler, preparing a statement and running it must meet the same connection: in a transaction.
        on_postgresql = _fetch_in_transaction if is_pooled else _fetch
        self._fetch: _Fetch = _fetch_on_sqlite if self.is_sqlite else on_postgresql

    async def fetch(self, statement: PreparedStatement, values: Values) -> Rows:
        """Return the rows of a statement that reads; a user's ends sooner than the server's own."""
        timeout_s = None if current_workload.get() is None else self._read_timeout_s
        with translated_errors():
            return await self.run(statement, values, timeout_s)

    async def run(
        self,
        statement: PreparedStatement,
        values: Values,
        timeout_s: float | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Rows:
        """Return the rows of a statement; raise the driver's own errors, or what the check does before it runs."""
        compiled = statement.compiled(self._dialect)
        arguments = compiled.arguments(values)
        connection = await self._pool.acquire()
        try:
            check()
            note_statement(compiled.sql)
            records = await self._fetch(connection.driver_connection, compiled, arguments, timeout_s)
        except BaseException as error:
            self._release_after(connection, error)
            raise
        self._pool.release(connection)
        return compiled.rows(records)

    def _release_after(self, connection: PoolProxiedConnection, error: BaseException) -> None:
        """Release it where only the statement failed; discard it in an unknown state, as after a timeout."""
        is_refused = isinstance(error, PostgresError) and not connection.driver_connection.is_closed()  # type: ignore[union-attr]
        if is_refused or isinstance(error, UnavailableError) or self.is_sqlite:
            self._pool.release(connection)
        else:
            self._pool.discard(connection)
            if is_lost(error):
                self._pool.distrust()


async def _fetch(driver: Any, compiled: CompiledStatement, arguments: Sequence[Any], timeout_s: float | None) -> Any:
    # Where the time is over, the driver cancels the statement on the server.
    if not compiled.is_planned_each_time:
        return await driver.fetch(compiled.sql, *arguments, timeout=timeout_s)
    # The server plans a statement without a name for the values that come with it.
    statement = await driver.prepare(compiled.sql, name="", timeout=timeout_s)
    return await statement.fetch(*arguments, timeout=timeout_s)


async def _fetch_in_transaction(
    driver: Any, compiled: CompiledStatement, arguments: Sequence[Any], timeout_s: float | None
) -> Any:
    async with driver.transaction():
        return await _fetch(driver, compiled, arguments, timeout_s)


async def _fetch_on_sqlite(
    driver: Any, compiled: CompiledStatement, arguments: Sequence[Any], timeout_s: float | None
) -> Any:
    async with asyncio.timeout(timeout_s):
        try:
            return await driver.execute_fetchall(compiled.sql, arguments)
        except asyncio.CancelledError:
            # Or the query would go on in the connection's thread, and the next one would wait for it.
            await driver.interrupt()
            raise
