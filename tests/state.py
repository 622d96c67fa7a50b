"""Everything of a user's that the database holds, to be compared before and after."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.prepared_statement import Rows
from models import ENTITIES, AccessToken, AuditEvent, Deletion, TokenUsage, User
from services.query.sql import fetch_all, table_of

_STAMPED: Final = [table_of(entity) for entity in ENTITIES]
# Tokens, their use and events of the log come and go without a change of the user's.
_APART: Final = {table_of(model) for model in (AccessToken, AuditEvent, TokenUsage, Deletion)}
_OTHERS: Final = [
    table for table in SQLModel.metadata.sorted_tables if "user_id" in table.c and table not in {*_STAMPED, *_APART}
]


@dataclass(frozen=True, slots=True)
class State:
    """A user's row and all rows of theirs, the stamped ones and the tombstones by id."""

    user: Any
    rows: dict[str, Any]
    deletions: dict[str, Any]
    others: list[Any]

    @property
    def revision(self) -> int:
        revision: int = self.user.revision
        return revision

    @property
    def stamps(self) -> list[int]:
        """Return the revisions that rows and tombstones bear, in ascending order."""
        return sorted(row.revision for row in (*self.rows.values(), *self.deletions.values()))


async def state_of(database: Database, user_id: str) -> State:
    users = table_of(User)
    async with database.read() as session:
        (user,) = await fetch_all(session, select(users).where(users.c.id == user_id))
        return State(
            user=user,
            rows={row.id: row for table in _STAMPED for row in await _rows(session, table, user_id)},
            deletions={row.id: row for row in await _rows(session, table_of(Deletion), user_id)},
            others=[row for table in _OTHERS for row in await _rows(session, table, user_id)],
        )


async def _rows(session: AsyncSession, table: Table, user_id: str) -> Rows:
    return await fetch_all(session, select(table).where(table.c.user_id == user_id).order_by(*table.primary_key))
