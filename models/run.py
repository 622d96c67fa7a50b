"""The table of runs: the assistant's answers, from the question to the end."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import Field

from models.base import Owned, owned_reference
from models.types import Id, Named, UtcDateTime

_ACTIVE = text("status IN ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL')")
_LEASED = text("lease_until IS NOT NULL")


class RunStatus(StrEnum):
    """How far a run is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class Run(Owned, table=True):
    """The assistant's work on one reply."""

    __tablename__ = "runs"

    conversation_id: str = Field(sa_type=Id)
    message_id: str = Field(sa_type=Id)
    reply_id: str = Field(sa_type=Id)
    status: RunStatus = Field(default=RunStatus.QUEUED, sa_type=Named(RunStatus), description="How far it is.")
    model: str = Field(max_length=200, description="The model that answers.")
    time_zone: str = Field(default="UTC", max_length=64)
    input_tokens: int = Field(default=0, description="Tokens that the model has read.")
    output_tokens: int = Field(default=0, description="Tokens that the model has written.")
    error: str | None = Field(default=None, max_length=500, description="Why it failed, in a plain sentence.")
    state: str | None = Field(default=None, sa_type=Text, repr=False)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="When it ended.")
    undone_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="When it was taken back.")

    __table_args__ = (
        owned_reference("conversation_id", "conversations"),
        owned_reference("message_id", "messages"),
        owned_reference("reply_id", "messages"),
        CheckConstraint(
            "status IN ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL', 'COMPLETED', 'CANCELLED', 'FAILED')",
            name="status_known",
        ),
        CheckConstraint("input_tokens >= 0 AND output_tokens >= 0", name="tokens_counted"),
        Index("ix_runs_revision", "user_id", "revision"),
        Index("ix_runs_message", "user_id", "message_id"),
        Index("uq_runs_reply", "user_id", "reply_id", unique=True),
        Index("ix_runs_conversation", "user_id", "conversation_id", "created_at", "id"),
        # One at a time in a conversation.
        Index(
            "uq_runs_active",
            "user_id",
            "conversation_id",
            unique=True,
            postgresql_where=_ACTIVE,
            sqlite_where=_ACTIVE,
        ),
        Index("ix_runs_lease", "lease_until", postgresql_where=_LEASED, sqlite_where=_LEASED),
    )
