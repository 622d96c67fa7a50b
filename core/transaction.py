"""Write transaction on the driver of a pooled connection: prepared statements, without a session."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.engine import Dialect

from core.prepared_statement import PreparedStatement, Rows, Values
from core.statement_count import note_statement


class Transaction:
    """A transaction that prepared statements run in; `Database.transaction` begins and ends it."""

    def __init__(self, driver: Any, dialect: Dialect) -> None:
        # As a session's: what was done in it that matters after the commit.
        self.info: dict[str, Any] = {}
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

    async def begin(self) -> None:
        """Begin; on SQLite with the lock on writing, which one that begins by reading may not get later."""
        await (self._driver.execute_fetchall("BEGIN IMMEDIATE") if self.is_sqlite else self._driver.execute("BEGIN"))

    async def commit(self) -> None:
        """Keep all that was written."""
        await (self._driver.commit() if self.is_sqlite else self._driver.execute("COMMIT"))

    async def roll_back(self) -> None:
        """Undo all that was written."""
        await (self._driver.rollback() if self.is_sqlite else self._driver.execute("ROLLBACK"))
