"""The table of runs: the assistant's answers, from the question to the end."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import CheckConstraint, Index, Text, false, text
from sqlmodel import Field

from models.base import Entity, known_check
from models.columns import DescribedEnum, References
from models.types import Id, Named, UtcDateTime

_ACTIVE = text("status IN ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL')")
_LEASED = text("lease_until IS NOT NULL")


class RunStatus(DescribedEnum):
    """How far a run is."""

    QUEUED = "QUEUED", "It waits for its turn."
    RUNNING = "RUNNING", "The assistant is at work."
    AWAITING_APPROVAL = "AWAITING_APPROVAL", "It waits until the person has decided on its tool calls."
    COMPLETED = "COMPLETED", "The reply is complete."
    CANCELLED = "CANCELLED", "It was stopped."
    FAILED = "FAILED", "It went wrong."


class Run(Entity, table=True):
    """The assistant's work on one reply."""

    __tablename__ = "runs"

    conversation_id: Annotated[str, References("conversations", cascades=True)] = Field(sa_type=Id)
    message_id: Annotated[str, References("messages", cascades=True)] = Field(sa_type=Id)
    reply_id: Annotated[str, References("messages", cascades=True)] = Field(sa_type=Id)
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
    # Some of what it changed is not in the history any more.
    is_history_cut: bool = Field(default=False, sa_column_kwargs={"server_default": false()})

    __table_args__ = (
        known_check("status", RunStatus),
        CheckConstraint("input_tokens >= 0 AND output_tokens >= 0", name="tokens_counted"),
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
