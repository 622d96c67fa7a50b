"""Reads by prepared statements, each on its own, on the driver of a pooled connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from asyncpg import PostgresError
from sqlalchemy import PoolProxiedConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.connections import Connections
from core.outages import passing_failure
from core.prepared import Prepared, Rows, Values
from core.statements import note_statement

Run: TypeAlias = Callable[[Prepared, Values], Awaitable[Rows]]


class Reader:
    """Runs prepared statements past SQLAlchemy's execution; the connections are those of its pool."""

    def __init__(self, engine: AsyncEngine, connections: Connections, *, is_pooled: bool) -> None:
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._engine = engine
        self._dialect = engine.dialect
        self._connections = connections
        # Behind a pooler, preparing a statement and running it must meet the same connection: in a transaction.
        self.run: Run = (
            self._in_transaction if is_pooled else self._on_sqlite if self.is_sqlite else self._on_postgresql
        )

    async def fetch(self, statement: Prepared, values: Values) -> Rows:
        """Return the rows of a statement."""
        try:
            return await self.run(statement, values)
        except Exception as error:
            if (passing := passing_failure(error)) is None:
                raise
            raise passing from error

    async def _on_postgresql(self, statement: Prepared, values: Values) -> Rows:
        connection, driver = await self._take_open()
        try:
            compiled = statement.compiled(self._dialect)
            note_statement(compiled.sql)
            records = await driver.fetch(compiled.sql, *compiled.arguments(values))
        except BaseException as error:
            self._end(connection, error)
            raise
        self._connections.give_back(connection)
        return compiled.rows(records)

    def _end(self, connection: PoolProxiedConnection, error: BaseException) -> None:
        """Keep the connection where it was just the statement that the server refused."""
        is_refused = isinstance(error, PostgresError)
        if is_refused and not connection.driver_connection.is_closed():  # type: ignore[union-attr]
            self._connections.give_back(connection)
        else:
            self._connections.drop(connection)

    async def _take_open(self) -> tuple[PoolProxiedConnection, Any]:
        """Take a connection that is not known to be closed, as all are that a server had which is started anew."""
        while True:
            connection = await self._connections.take()
            driver: Any = connection.driver_connection
            if not driver.is_closed():
                return connection, driver
            self._connections.drop(connection)

    async def _on_sqlite(self, statement: Prepared, values: Values) -> Rows:
        connection = await self._connections.take()
        driver: Any = connection.driver_connection
        try:
            compiled = statement.compiled(self._dialect)
            note_statement(compiled.sql)
            return compiled.rows(await driver.execute_fetchall(compiled.sql, compiled.arguments(values)))
        except asyncio.CancelledError:
            # Or it would go on in its thread, and whatever comes next would wait for it.
            await driver.interrupt()
            raise
        finally:
            self._connections.give_back(connection)

    async def _in_transaction(self, statement: Prepared, values: Values) -> Rows:
        async with self._connections.turn(), self._engine.begin() as connection:
            return await fetch_on(connection, statement, values)


async def fetch_on(connection: AsyncConnection, statement: Prepared, values: Values) -> Rows:
    """Return the rows of a statement in a connection's transaction."""
    rows: Rows = (await connection.execute(statement.statement, values)).all()
    return rows
