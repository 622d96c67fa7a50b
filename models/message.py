"""The table of messages."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import Index
from sqlmodel import Field

from core.clock import utc_now
from models.base import Entity, known_check, length_check
from models.columns import DescribedEnum, References, Sortable
from models.types import Id, Named, UtcDateTime


class MessageRole(DescribedEnum):
    """Who speaks."""

    USER = "USER", "The person."
    ASSISTANT = "ASSISTANT", "The assistant."


class MessageStatus(DescribedEnum):
    """How far a message is written."""

    STREAMING = "STREAMING", "It is being written."
    COMPLETE = "COMPLETE", "It is whole."
    CANCELLED = "CANCELLED", "Its writing was stopped."
    FAILED = "FAILED", "Its writing went wrong."


class Message(Entity, table=True):
    """Something said in a conversation."""

    __tablename__ = "messages"

    conversation_id: Annotated[str, References("conversations", cascades=True)] = Field(
        sa_type=Id, description="The conversation that it was said in."
    )
    role: MessageRole = Field(sa_type=Named(MessageRole), description="Who speaks.")
    content: str = Field(max_length=100_000, description="What is said.")
    status: MessageStatus = Field(
        default=MessageStatus.COMPLETE, sa_type=Named(MessageStatus), description="How far it is written."
    )
    # Messages are listed within their conversation, by the index below.
    created_at: Annotated[datetime, Sortable(has_index=False)] = Field(
        default_factory=utc_now, sa_type=UtcDateTime, description="When it was made."
    )

    __table_args__ = (
        length_check("content", 0, 100_000),
        known_check("role", MessageRole),
        known_check("status", MessageStatus),
        Index("ix_messages_conversation", "user_id", "conversation_id", "created_at", "id"),
        # Those completed after a cursor.
        Index("ix_messages_completed", "user_id", "conversation_id", "revision", "id"),
    )
