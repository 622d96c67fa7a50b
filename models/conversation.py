"""The table of conversations."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from core.clock import utc_now
from models.base import Owned, length_check
from models.types import Title, UtcDateTime


class Conversation(Owned, table=True):
    """A talk between a person and the assistant."""

    __tablename__ = "conversations"

    title: str = Field(sa_type=Title, description="What it is about.")
    updated_at: datetime = Field(
        default_factory=utc_now, sa_type=UtcDateTime, description="When it, or its messages, last changed."
    )

    __table_args__ = (
        length_check("title", 1, 500),
        Index("ix_conversations_revision", "user_id", "revision"),
        Index("ix_conversations_created_at", "user_id", "created_at", "id"),
        Index("ix_conversations_updated_at", "user_id", "updated_at", "id"),
    )
