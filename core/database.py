"""The database: one engine and pool, reads by statement, and write transactions that are retried."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batch_loader import BatchLoader
from core.connection_pool import ConnectionPool
from core.database_url import DatabaseTarget, parse_database_url
from core.prepared_statement import PreparedStatement, Values
from core.query_runner import QueryRunner, note_statement
from core.settings import Settings
from core.transaction import Transaction, begin_transaction, commits
from core.transient_errors import sqlstate, transient_error, translated_errors

Work = TypeVar("Work")
Result = TypeVar("Result")

_MAX_ATTEMPTS: Final = 4
_SERIALIZATION_FAILURES: Final = {"40001", "40P01"}
_TRANSACTION_CONTROL: Final = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")
_PING_AFTER_IDLE_S: Final = 5.0
_SQLITE_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON")
# The key in `info` of the revisions that a transaction has taken, by user.
REVISIONS: Final = "revisions"


class Database:
    """One engine; reads without a transaction, writes in one that commits at the edge."""

    def __init__(self, settings: Settings) -> None:
        target = parse_database_url(settings.database_url)
        self.is_sqlite = target.is_sqlite
        self.engine = make_engine(target, settings)
        # Called with the revisions of each transaction that has committed.
        self.after_commit: list[Callable[[Mapping[str, int]], None]] = []
        _count_statements(self.engine)
        max_size = settings.database_pool_size + settings.database_max_overflow
        self.pool = ConnectionPool(self.engine, max_size=max_size, timeout_s=settings.database_pool_timeout_s)
        self.reader = QueryRunner(self.pool, self.engine.dialect, is_pooled=target.is_pooled)
        self.batch_loader = BatchLoader(self.reader)
        # One statement needs no transaction on PostgreSQL; on SQLite a lone SELECT has none anyway.
        # Behind a pooler it does: preparing and running it are two steps, which must meet the same connection.
        self.has_autocommit = not (self.is_sqlite or target.is_pooled)
        autocommit = {"isolation_level": "AUTOCOMMIT"} if self.has_autocommit else {}
        self._readers = self.engine.execution_options(**autocommit)
        self._writers = self.engine.execution_options(begin_immediate=True)
        # SQLite has one writer: ours wait here, in order, instead of polling its lock.
        self._write_lock = asyncio.Lock() if self.is_sqlite else None
        self._write_lock_timeout_s = settings.database_statement_timeout_s

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session for reading, each statement on its own."""
        with translated_errors():
            async with self.pool.permit(), AsyncSession(self._readers) as session:
                yield session

    async def write(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        """Run `work` in one transaction and commit it; run it again after a deadlock or serialisation failure."""
        return await self._retry(self._write_once, work)

    async def transaction(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        """Run `work` as `write` does, in a transaction of prepared statements, at a third of the cost of a session."""
        return await self._retry(self._run_transaction, work)

    async def run_alone(self, statement: PreparedStatement, values: Values, user_id: str) -> Any:
        """Run a statement that counts a change of the user's as a transaction by itself; return its row, if any.

        Only with `has_autocommit`.
        """
        rows = await self._retry(lambda _: self.reader.run(statement, values), None)
        if not rows:
            return None
        self._notify({user_id: rows[0].revision})
        return rows[0]

    async def close(self) -> None:
        """Close every connection of the pool."""
        await self.pool.close()
        await self.engine.dispose()

    async def _retry(self, attempt: Callable[[Work], Awaitable[Result]], work: Work) -> Result:
        number = 1
        while True:
            try:
                return await attempt(work)
            except Exception as error:
                if number < _MAX_ATTEMPTS and sqlstate(error) in _SERIALIZATION_FAILURES:
                    await asyncio.sleep(random.uniform(0, 0.02 * 2**number))  # noqa: S311 - jitter is no secret
                    number += 1
                elif (transient := transient_error(error)) is not None:
                    raise transient from error
                else:
                    raise

    async def _write_once(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        async with (
            self._locked_for_writing(),
            self.pool.permit(),
            AsyncSession(self._writers, expire_on_commit=False) as session,
        ):
            result = await work(session)
            if commits(session):
                await session.commit()
        self._notify_committed(session)
        return result

    async def _run_transaction(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        async with self._locked_for_writing(), begin_transaction(self.pool, self.engine.dialect) as transaction:
            result = await work(transaction)
        self._notify_committed(transaction)
        return result

    def _notify_committed(self, session: AsyncSession | Transaction) -> None:
        if commits(session) and (revisions := session.info.get(REVISIONS)):
            self._notify(revisions)

    def _notify(self, revisions: Mapping[str, int]) -> None:
        for listener in self.after_commit:
            listener(revisions)

    @asynccontextmanager
    async def _locked_for_writing(self) -> AsyncIterator[None]:
        if self._write_lock is None:
            yield
            return
        async with asyncio.timeout(self._write_lock_timeout_s):
            await self._write_lock.acquire()
        try:
            yield
        finally:
            self._write_lock.release()


def make_engine(target: DatabaseTarget, settings: Settings) -> AsyncEngine:
    """Return the engine of a database."""
    pool = {
        "pool_size": settings.database_pool_size,
        # ConnectionPool bounds them: in SQLAlchemy's pool a waiter is not woken when another connection is closed.
        "max_overflow": -1,
        "pool_recycle": settings.database_pool_recycle_s,
    }
    if target.is_sqlite:
        return _sqlite_engine(target, settings, pool)
    connect_args = {
        "timeout": settings.database_connect_timeout_s,
        "command_timeout": settings.database_statement_timeout_s,
        **target.connect_args,
    }
    engine = create_async_engine(target.url, connect_args=connect_args, hide_parameters=True, **pool)
    _ping_after_idling(engine)
    return engine


def _sqlite_engine(target: DatabaseTarget, settings: Settings, pool: dict[str, Any]) -> AsyncEngine:
    connect_args = {"timeout": settings.database_statement_timeout_s}
    # Every transaction is ended where it began; a rollback on return would cost each read a hop to its thread.
    pool |= {"pool_reset_on_return": None}
    engine = create_async_engine(target.url, connect_args=connect_args, hide_parameters=True, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in _SQLITE_PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A write transaction takes the lock at once: one that begins by reading may find it cannot write.
        if connection.get_execution_options().get("begin_immediate"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _ping_after_idling(engine: AsyncEngine) -> None:
    """Ping a connection that was idle, which Neon may have dropped; a busy one needs no round trip for that."""
    pool, dialect = engine.sync_engine.pool, engine.sync_engine.dialect

    @event.listens_for(pool, "checkin")
    def note_idle(_connection: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    @event.listens_for(pool, "checkout")
    def ping(connection: Any, record: Any, _proxy: Any) -> None:
        idle_since = record.info.get("idle_since")
        if idle_since is None or time.monotonic() - idle_since < _PING_AFTER_IDLE_S:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the connection was closed while it was idle") from error


def _count_statements(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(_TRANSACTION_CONTROL):
            note_statement(statement)
