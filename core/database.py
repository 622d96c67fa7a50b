"""The database: one engine and pool, reads by statement, and write transactions that are retried."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batch_loader import BatchLoader
from core.clock import correct_clock
from core.connection_pool import ConnectionPool
from core.database_url import DatabaseTarget, parse_database_url
from core.errors import UnavailableError
from core.locks import KeyedLocks
from core.prepared_statement import PreparedStatement, Values
from core.query_runner import QueryRunner, note_statement
from core.quotas import QUOTAS, Quotas
from core.settings import Settings
from core.transaction import Transaction, begin_transaction, commits
from core.transient_errors import is_lost, sqlstate, transient_error, translated_errors, write_problem
from core.workload import current_workload, end_abandoning, require_client

Work = TypeVar("Work")
Result = TypeVar("Result")

_MAX_ATTEMPTS: Final = 4
_SERIALIZATION_FAILURES: Final = {"40001", "40P01"}
_TRANSACTION_CONTROL: Final = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")
_WAL_KEPT_BYTES: Final = 16 << 20
# The driver's own timeout comes first.
_SERVER_TIMEOUT_LATER_MS: Final = 1_000
_LOCK_TIMEOUT_MS: Final = 10_000
_SQLITE_PRAGMAS: Final = ("journal_mode=WAL", f"journal_size_limit={_WAL_KEPT_BYTES}", "foreign_keys=ON")
# How long a write that failed says that others would; told in the log once a second.
_PROBLEM_KEPT_S: Final = 10.0
_PROBLEM_LOGGED_EVERY_S: Final = 1.0
# The key of the lock of SQLite's file; no user has it.
_FILE_LOCK: Final = ""
_FILE_REPLACED: Final = "The database's file was removed or replaced while it was open; restart the server."
# The key in `info` of the revisions that a transaction has taken, by user.
REVISIONS: Final = "revisions"
# The key in `info` that says that rows were marked, to be removed afterwards.
HAS_REMAINS: Final = "has_remains"

_log = logging.getLogger(__name__)


class Database:
    """One engine; reads without a transaction, writes in one that commits at the edge."""

    def __init__(self, settings: Settings) -> None:
        target = parse_database_url(settings.database_url)
        self.is_sqlite = target.is_sqlite
        self.engine = make_engine(target, settings)
        # Set when this process has marked rows to be removed.
        self.has_remains = asyncio.Event()
        # Called with the revisions of each transaction that has committed.
        self.after_commit: list[Callable[[Mapping[str, int]], None]] = []
        _count_statements(self.engine)
        self.pool = ConnectionPool(self.engine, settings)
        read_timeout_s = min(settings.database_read_timeout_s, settings.database_statement_timeout_s)
        self.reader = QueryRunner(self.pool, self.engine.dialect, read_timeout_s, is_pooled=target.is_pooled)
        self.batch_loader = BatchLoader(self.reader, self.pool)
        self.quotas = Quotas(settings)
        # One statement needs no transaction on PostgreSQL; on SQLite a lone SELECT has none anyway.
        # Behind a pooler it does: preparing and running it are two steps, which must meet the same connection.
        self.has_autocommit = not (self.is_sqlite or target.is_pooled)
        autocommit = {"isolation_level": "AUTOCOMMIT"} if self.has_autocommit else {}
        self._readers = self.engine.execution_options(**autocommit)
        self._writers = self.engine.execution_options(begin_immediate=True)
        # Writers of one user would wait for that user's row with a connection each; they wait here, without one.
        # SQLite has one writer: ours wait here too, in order, instead of polling its lock.
        self._locks = KeyedLocks(settings.database_statement_timeout_s)
        self._file = _SqliteFile(self.engine) if self.is_sqlite else None
        self._problem: tuple[str, float] | None = None
        self._problem_logged_s = float("-inf")

    @property
    def write_problem(self) -> str | None:
        """Return why the last write failed, if that was a moment ago and others would fail too."""
        if self._file is not None and self._file.is_replaced():
            return _FILE_REPLACED
        if self._problem is None or time.monotonic() - self._problem[1] > _PROBLEM_KEPT_S:
            return None
        return self._problem[0]

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session for reading, each statement on its own."""
        with translated_errors():
            try:
                async with self.pool.permit(), AsyncSession(self._readers) as session:
                    yield session
            except Exception as error:
                self._note_problem(error)
                raise

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

        async def run(_: None) -> Any:
            async with self._turn_to_write():
                return await self.reader.run(statement, values, check=require_client)

        rows = await self._retry(run, None)
        end_abandoning()
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
                result = await attempt(work)
            except Exception as error:
                self._note_problem(error)
                if number < _MAX_ATTEMPTS and sqlstate(error) in _SERIALIZATION_FAILURES:
                    await asyncio.sleep(random.uniform(0, 0.02 * 2**number))  # noqa: S311 - jitter is no secret
                    number += 1
                elif (transient := transient_error(error)) is not None:
                    raise transient from error
                else:
                    raise
            else:
                self._problem = None
                return result

    def _note_problem(self, error: Exception) -> None:
        """Note why no write would succeed now; look at every connection where the server may be another one."""
        if is_lost(error):
            self.pool.distrust()
        if (problem := write_problem(error)) is None:
            return
        now_s = time.monotonic()
        self._problem = problem, now_s
        if now_s - self._problem_logged_s >= _PROBLEM_LOGGED_EVERY_S:
            self._problem_logged_s = now_s
            _log.error("No writes: %s", problem)

    async def _write_once(self, work: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        async with (
            self._turn_to_write(),
            self.pool.permit(),
            AsyncSession(self._writers, expire_on_commit=False, info={QUOTAS: self.quotas}) as session,
        ):
            require_client()
            result = await work(session)
            if commits(session):
                await session.commit()
        self._notify_committed(session)
        return result

    async def _run_transaction(self, work: Callable[[Transaction], Awaitable[Result]]) -> Result:
        info = {QUOTAS: self.quotas}
        async with self._turn_to_write(), begin_transaction(self.pool, self.engine.dialect, info) as transaction:
            require_client()
            result = await work(transaction)
        self._notify_committed(transaction)
        return result

    def _notify_committed(self, session: AsyncSession | Transaction) -> None:
        if not commits(session):
            return
        end_abandoning()
        if self._file is not None and self._file.is_replaced():
            # What was committed is in a file that nobody will find again.
            raise UnavailableError(_FILE_REPLACED)
        if session.info.get(HAS_REMAINS):
            self.has_remains.set()
        if revisions := session.info.get(REVISIONS):
            self._notify(revisions)

    def _notify(self, revisions: Mapping[str, int]) -> None:
        for listener in self.after_commit:
            listener(revisions)

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        workload = current_workload.get()
        async with AsyncExitStack() as turns:
            if workload is not None and workload.user_id is not None:
                await turns.enter_async_context(self._locks.hold(workload.user_id))
            if self.is_sqlite:
                await turns.enter_async_context(self._locks.hold(_FILE_LOCK))
            require_client()
            yield


class _SqliteFile:
    """The file of an SQLite database, as it was when it was first opened."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._path = str(engine.url.database)
        self._opened: tuple[int, int] | None = None

        @event.listens_for(engine.sync_engine, "do_connect")
        def look(*_: Any) -> None:
            # To open it again would make a new, empty one.
            if self.is_replaced():
                raise UnavailableError(_FILE_REPLACED)

        @event.listens_for(engine.sync_engine, "connect")
        def note(*_: Any) -> None:
            self._opened = self._opened or self._look()

    def is_replaced(self) -> bool:
        """Tell whether another file, or none, has taken its place."""
        return self._opened is not None and self._look() != self._opened

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path would cost each write ten times as much
        except OSError:
            return None
        return found.st_dev, found.st_ino


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
    if not target.is_pooled:
        connect_args["server_settings"] = _timeouts(settings) | target.connect_args.get("server_settings", {})
    engine = create_async_engine(target.url, connect_args=connect_args, hide_parameters=True, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def compare_clock(connection: Any, _record: Any) -> None:
        connection.run_async(_correct_clock)

    return engine


async def _correct_clock(connection: asyncpg.Connection) -> None:
    # In a transaction, for behind a pooler a statement is prepared and run by the same server only there.
    async with connection.transaction():
        asked_s = time.monotonic()
        moment = await connection.fetchval("SELECT clock_timestamp()")
        correct_clock(moment, time.monotonic() - asked_s)


def _timeouts(settings: Settings) -> dict[str, str]:
    """Return what the server ends by itself, should this process be frozen or gone; a pooler would refuse it."""
    statement_ms = round(settings.database_statement_timeout_s * 1000)
    return {
        "statement_timeout": str(statement_ms + _SERVER_TIMEOUT_LATER_MS),
        "lock_timeout": str(max(1, min(statement_ms, _LOCK_TIMEOUT_MS))),
        "idle_in_transaction_session_timeout": str(statement_ms + _SERVER_TIMEOUT_LATER_MS),
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }


def _sqlite_engine(target: DatabaseTarget, settings: Settings, pool: dict[str, Any]) -> AsyncEngine:
    connect_args = {"timeout": settings.database_statement_timeout_s}
    # Every transaction is ended where it began; a rollback on return would cost each read a hop to its thread.
    pool |= {"pool_reset_on_return": None}
    engine = create_async_engine(target.url, connect_args=connect_args, hide_parameters=True, **pool)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (*_SQLITE_PRAGMAS, f"synchronous={'FULL' if settings.is_production else 'NORMAL'}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A write transaction takes the lock at once: one that begins by reading may find it cannot write.
        if connection.get_execution_options().get("begin_immediate"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _count_statements(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(_TRANSACTION_CONTROL):
            note_statement(statement)
