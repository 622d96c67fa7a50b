"""The table of the history: who changed what of a row, and how it was before."""

from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field

from models.base import Owned, known_check
from models.columns import DescribedEnum
from models.types import Id, Named


class HistoryAction(DescribedEnum):
    """What happened to a row."""

    CREATED = "CREATED", "It was made, or came back."
    UPDATED = "UPDATED", "Some of its fields were changed."
    DELETED = "DELETED", "It was deleted."


class HistoryEntry(Owned, table=True):
    """One change of a row, by its owner or by a run; it outlives the row, so that a deletion can be undone."""

    __tablename__ = "history"

    entity: str = Field(max_length=20)
    row_id: str = Field(sa_type=Id)
    kind: HistoryAction = Field(sa_type=Named(HistoryAction), description="What happened.")
    run_id: str | None = Field(default=None, sa_type=Id)
    tool_call_id: str | None = Field(default=None, sa_type=Id)
    before: dict[str, Any] = Field(sa_type=JSON)
    after: dict[str, Any] = Field(sa_type=JSON)

    __table_args__ = (
        known_check("kind", HistoryAction),
        Index("ix_history_row", "user_id", "row_id", "created_at", "id"),
        Index("ix_history_run", "user_id", "run_id"),
        Index("ix_history_created_at", "created_at"),
    )
