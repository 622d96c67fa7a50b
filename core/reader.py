"""Reads by prepared statements, each on its own, on the driver of a pooled connection."""

import asyncio
from typing import Any, cast

from sqlalchemy import PoolProxiedConnection, QueuePool
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.util import greenlet_spawn

from core.outages import translated_failures
from core.prepared import Prepared, Rows, Values
from core.statements import note_statement


class Reader:
    """Runs prepared statements past SQLAlchemy's execution; the connections are those of its pool."""

    def __init__(self, engine: AsyncEngine, *, is_pooled: bool) -> None:
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._engine = engine
        self._pool = cast("QueuePool", engine.sync_engine.pool)
        # Behind a pooler, preparing a statement and running it must meet the same connection: in a transaction.
        self._fetch = self._in_transaction if is_pooled else self._on_sqlite if self.is_sqlite else self._on_postgresql

    async def fetch(self, statement: Prepared, values: Values) -> Rows:
        """Return the rows of a statement."""
        with translated_failures():
            return await self._fetch(statement, values)

    async def _on_postgresql(self, statement: Prepared, values: Values) -> Rows:
        proxy = await self._open_connection()
        connection: Any = proxy.driver_connection
        try:
            compiled = statement.compiled(self._engine.dialect)
            note_statement(compiled.sql)
            return compiled.rows(await connection.fetch(compiled.sql, *compiled.arguments(values)))
        finally:
            await self._give_back(proxy)

    async def _open_connection(self) -> PoolProxiedConnection:
        """Return a connection that is not known to be closed, as all are that a server had which is started anew."""
        while (proxy := await self._engine.raw_connection()).driver_connection.is_closed():  # type: ignore[union-attr]
            proxy.invalidate()
        return proxy

    async def _give_back(self, proxy: PoolProxiedConnection) -> None:
        if proxy.driver_connection.is_closed():  # type: ignore[union-attr]  # there is one until it is given back
            proxy.invalidate()
        await self._close(proxy)

    async def _close(self, proxy: PoolProxiedConnection) -> None:
        """Give a connection back to the pool; where there are more than it keeps, that is to close one, which waits."""
        if self._pool.overflow() > 0:
            await asyncio.shield(greenlet_spawn(proxy.close))
        else:
            proxy.close()

    async def _on_sqlite(self, statement: Prepared, values: Values) -> Rows:
        proxy = await self._engine.raw_connection()
        connection: Any = proxy.driver_connection
        try:
            compiled = statement.compiled(self._engine.dialect)
            note_statement(compiled.sql)
            return compiled.rows(await connection.execute_fetchall(compiled.sql, compiled.arguments(values)))
        finally:
            await self._close(proxy)

    async def _in_transaction(self, statement: Prepared, values: Values) -> Rows:
        async with self._engine.connect() as connection:
            return await fetch_on(connection, statement, values)


async def fetch_on(connection: AsyncConnection, statement: Prepared, values: Values) -> Rows:
    """Return the rows of a statement in a connection's transaction."""
    rows: Rows = (await connection.execute(statement.statement, values)).all()
    return rows
