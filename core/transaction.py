"""Write transaction on the driver of a pooled connection: prepared statements, without a session."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import PoolProxiedConnection
from sqlalchemy.engine import Dialect
from sqlmodel.ext.asyncio.session import AsyncSession

from core.connection_pool import ConnectionPool
from core.prepared_statement import PreparedStatement, Rows, Values
from core.query_runner import note_statement

# The key in `info` of whether a transaction commits, where that has been decided.
_COMMITS: Final = "commits"


class Transaction:
    """A transaction that prepared statements run in."""

    def __init__(self, driver: Any, dialect: Dialect, info: Mapping[str, Any]) -> None:
        # As a session's: what matters in all of it, and after the commit.
        self.info = dict(info)
        self.is_sqlite = dialect.name == "sqlite"
        self._driver = driver
        self._dialect = dialect

    async def fetch(self, statement: PreparedStatement, values: Values) -> Rows:
        """Run a statement and return the rows that it reads or that its RETURNING names."""
        compiled = statement.compiled(self._dialect)
        arguments = compiled.arguments(values)
        note_statement(compiled.sql)
        if self.is_sqlite:
            return compiled.rows(await self._driver.execute_fetchall(compiled.sql, arguments))
        return compiled.rows(await self._driver.fetch(compiled.sql, *arguments))

    async def execute_many(self, statement: PreparedStatement, values: Iterable[Values]) -> None:
        """Run a statement once for each set of values, all in one round trip."""
        compiled = statement.compiled(self._dialect)
        note_statement(compiled.sql)
        await self._driver.executemany(compiled.sql, [compiled.arguments(each) for each in values])

    async def control(self, command: str) -> None:
        """Run BEGIN, COMMIT or ROLLBACK."""
        if not self.is_sqlite:
            await self._driver.execute(command)
        elif command == "BEGIN":
            # With the write lock, which a transaction that begins by reading may not get later.
            await self._driver.execute_fetchall("BEGIN IMMEDIATE")
        else:
            await (self._driver.commit() if command == "COMMIT" else self._driver.rollback())


@asynccontextmanager
async def begin_transaction(
    pool: ConnectionPool, dialect: Dialect, info: Mapping[str, Any]
) -> AsyncIterator[Transaction]:
    """Give a transaction that is committed at the end of the block, and rolled back where the block raises."""
    connection = await pool.acquire()
    transaction = Transaction(connection.driver_connection, dialect, info)
    try:
        await transaction.control("BEGIN")
        yield transaction
        await transaction.control("COMMIT" if commits(transaction) else "ROLLBACK")
    except BaseException as error:
        await _end_failed(transaction, pool, connection, error)
        raise
    pool.release(connection)


async def _end_failed(
    transaction: Transaction, pool: ConnectionPool, connection: PoolProxiedConnection, error: BaseException
) -> None:
    """Roll back and release the connection; discard it in an unknown state: cancelled, timed out or lost."""
    if isinstance(error, Exception) and not isinstance(error, OSError):
        try:
            await transaction.control("ROLLBACK")
        except BaseException as lost:
            pool.discard(connection)
            if not isinstance(lost, Exception):
                raise
        else:
            pool.release(connection)
    else:
        pool.discard(connection)


def leave_unchanged(session: AsyncSession | Transaction) -> None:
    """Let the transaction end without a commit, which would count a change, unless something else in it has changed."""
    session.info.setdefault(_COMMITS, False)


def keep_changes(session: AsyncSession | Transaction) -> None:
    """Let the transaction be committed, whatever else in it changes nothing."""
    session.info[_COMMITS] = True


def commits(session: AsyncSession | Transaction) -> bool:
    """Return whether the transaction is to be committed."""
    return bool(session.info.get(_COMMITS, True))
