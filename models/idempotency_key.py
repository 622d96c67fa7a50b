"""The table of idempotency keys."""

from datetime import datetime

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from models.types import UserId, UtcDateTime


class IdempotencyKey(SQLModel, table=True):
    """A mutation that was sent with a key: the hash of its request, and the ids of the rows it created."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    user_id: str = Field(primary_key=True, sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    key: str = Field(primary_key=True, max_length=200)
    operation: str = Field(max_length=50)
    request_hash: str = Field(max_length=64)
    result_ids: list[str] = Field(sa_type=JSON)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
