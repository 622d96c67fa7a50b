"""Count of the SQL statements of a request."""

from contextvars import ContextVar
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

_TRANSACTION_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


class StatementCount:
    """The statements that ran since it was made current."""

    __slots__ = ("statements",)

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __len__(self) -> int:
        return len(self.statements)


current_statements: ContextVar[StatementCount | None] = ContextVar("current_statements", default=None)


def count_statements(engine: AsyncEngine) -> None:
    """Let every statement of the engine be counted for the request that runs it."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(_TRANSACTION_CONTROL):
            note_statement(statement)


def note_statement(statement: str) -> None:
    """Count a statement for the request that runs it."""
    count = current_statements.get()
    if count is not None:
        count.statements.append(statement)
