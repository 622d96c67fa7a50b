"""The table of deletions: the tombstones that sync needs."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from models.types import Id, UserId, UtcDateTime


class Deletion(SQLModel, table=True):
    """A deleted row, and the owner's revision of its deletion."""

    __tablename__ = "deletions"
    __table_args__ = (
        Index("ix_deletions_revision", "user_id", "revision"),
        Index("ix_deletions_deleted_at", "deleted_at"),
    )

    user_id: str = Field(primary_key=True, sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    id: str = Field(primary_key=True, sa_type=Id)
    # The kind of row, as Entity.entity_kind names it.
    kind: str = Field(max_length=20)
    revision: int
    deleted_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
