"""SQLAlchemy engine of either database, with its pool, timeouts and connection set-up."""

import time
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from core.database_url import DatabaseTarget
from core.settings import Settings

_PING_AFTER_IDLE_S: Final = 5.0
_SQLITE_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON")


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
