"""The table of messages."""

from enum import StrEnum

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field

from models.base import Owned, length_check, owned_reference
from models.types import Id, Named


class MessageRole(StrEnum):
    """Who speaks."""

    USER = "USER"
    ASSISTANT = "ASSISTANT"


class MessageStatus(StrEnum):
    """How far a message is written."""

    STREAMING = "STREAMING"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class Message(Owned, table=True):
    """Something said in a conversation."""

    __tablename__ = "messages"

    conversation_id: str = Field(sa_type=Id)
    role: MessageRole = Field(sa_type=Named(MessageRole), description="Who speaks.")
    content: str = Field(max_length=100_000, description="What is said.")
    status: MessageStatus = Field(
        default=MessageStatus.COMPLETE, sa_type=Named(MessageStatus), description="How far it is written."
    )

    __table_args__ = (
        owned_reference("conversation_id", "conversations"),
        length_check("content", 0, 100_000),
        CheckConstraint("role IN ('USER', 'ASSISTANT')", name="role_known"),
        CheckConstraint("status IN ('STREAMING', 'COMPLETE', 'CANCELLED', 'FAILED')", name="status_known"),
        Index("ix_messages_revision", "user_id", "revision"),
        Index("ix_messages_conversation", "user_id", "conversation_id", "created_at", "id"),
    )
