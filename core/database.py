"""The database: its pool, short read sessions, and write transactions that are retried."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar, TypeVarTuple

from sqlalchemy import PoolProxiedConnection
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batch_loader import BatchLoader
from core.connection_pool import ConnectionPool
from core.database_url import parse_database_url
from core.engine import make_engine
from core.query_runner import QueryRunner
from core.settings import Settings
from core.statement_count import count_statements
from core.transaction import Transaction
from core.transient_errors import sqlstate, transient_error, translated_errors

Given = TypeVarTuple("Given")
Result = TypeVar("Result")

_WRITE_ATTEMPTS: Final = 4
_SERIALIZATION_FAILURES: Final = {"40001", "40P01"}
# Whether a session commits, where that has been decided.
_COMMITS: Final = "commits"
# Where a session keeps the revisions that its transaction has taken, by user.
REVISIONS: Final = "revisions"


class Database:
    """One engine; reads without a transaction, writes in one that commits at the edge."""

    def __init__(self, settings: Settings) -> None:
        target = parse_database_url(settings.database_url)
        self.is_sqlite = target.is_sqlite
        self.engine = make_engine(target, settings)
        self.after_commit: list[Callable[[Mapping[str, int]], None]] = []
        count_statements(self.engine)
        max_size = settings.database_pool_size + settings.database_max_overflow
        self.pool = ConnectionPool(self.engine, max_size=max_size, timeout_s=settings.database_pool_timeout_s)
        self.reader = QueryRunner(self.pool, self.engine.dialect, is_pooled=target.is_pooled)
        self.batch_loader = BatchLoader(self.reader)
        # One statement needs no transaction on PostgreSQL; on SQLite a lone SELECT has none anyway.
        # Behind a pooler it does: preparing and running it are two steps, which must meet the same connection.
        is_bare = self.is_sqlite or target.is_pooled
        self._readers = self.engine if is_bare else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writers = self.engine.execution_options(begin_immediate=True)
        # SQLite has one writer: ours queue here, in order, instead of polling its lock.
        self._write_turns = asyncio.Lock() if self.is_sqlite else None
        self._longest_wait_s = settings.database_statement_timeout_s

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session for reading, each statement on its own."""
        with translated_errors():
            async with self.pool.permit(), AsyncSession(self._readers) as session:
                yield session

    async def write(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """Run `work` in one transaction and commit it; run it again after a deadlock or serialisation failure."""
        return await self._retried(self._write_once, work)

    async def transaction(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Run `work` in a transaction on the driver; commit it, or run it again, as `write` does.

        `work` has prepared statements alone: it takes the server about a third of the time of a session's.
        """
        return await self._retried(self._transact_once, work)

    async def _retried(self, attempt: Callable[[*Given], Awaitable[Result]], *given: *Given) -> Result:
        number = 1
        while True:
            try:
                return await attempt(*given)
            except Exception as error:
                if number < _WRITE_ATTEMPTS and sqlstate(error) in _SERIALIZATION_FAILURES:
                    await asyncio.sleep(random.uniform(0, 0.02 * 2**number))  # noqa: S311 - jitter is no secret
                    number += 1
                elif (transient := transient_error(error)) is not None:
                    raise transient from error
                else:
                    raise

    async def _write_once(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        async with (
            self._write_turn(),
            self.pool.permit(),
            AsyncSession(self._writers, expire_on_commit=False) as session,
        ):
            result = await work(session)
            if not _commits(session):
                return result
            await session.commit()
        self._tell_commit(session.info.get(REVISIONS, {}))
        return result

    async def _transact_once(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        async with self._write_turn():
            connection = await self.pool.acquire()
            transaction = Transaction(connection.driver_connection, self.engine.dialect)
            try:
                await transaction.begin()
                result = await work(transaction)
                await (transaction.commit() if _commits(transaction) else transaction.roll_back())
            except BaseException as error:
                await self._end_failed(transaction, connection, error)
                raise
            self.pool.release(connection)
        if _commits(transaction):
            self._tell_commit(transaction.info.get(REVISIONS, {}))
        return result

    async def _end_failed(
        self, transaction: Transaction, connection: PoolProxiedConnection, error: BaseException
    ) -> None:
        """Roll back and release the connection; discard it where it is cancelled, hangs or is lost."""
        if not isinstance(error, Exception) or isinstance(error, OSError):
            self.pool.discard(connection)
            return
        try:
            await transaction.roll_back()
        except BaseException as lost:
            self.pool.discard(connection)
            if not isinstance(lost, Exception):
                raise
        else:
            self.pool.release(connection)

    def _tell_commit(self, revisions: Mapping[str, int]) -> None:
        if revisions:
            for listener in self.after_commit:
                listener(revisions)

    @asynccontextmanager
    async def _write_turn(self) -> AsyncIterator[None]:
        if self._write_turns is None:
            yield
            return
        async with asyncio.timeout(self._longest_wait_s):
            await self._write_turns.acquire()
        try:
            yield
        finally:
            self._write_turns.release()

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self.pool.close()
        await self.engine.dispose()


def leave_unchanged(session: AsyncSession | Transaction) -> None:
    """Let the transaction end without a commit, which would count a change, unless something else in it has changed."""
    session.info.setdefault(_COMMITS, False)


def keep_changes(session: AsyncSession | Transaction) -> None:
    """Let the transaction be committed, whatever else in it changes nothing."""
    session.info[_COMMITS] = True


def _commits(session: AsyncSession | Transaction) -> bool:
    return bool(session.info.get(_COMMITS, True))
