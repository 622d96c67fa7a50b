"""The table of conversations."""

from datetime import datetime
from typing import Annotated, Final

from sqlalchemy import Index, text
from sqlmodel import Field

from core.clock import utc_now
from models.base import Editable
from models.columns import Sortable, Writable
from models.types import Title, UtcDateTime

_IS_REMOVED: Final = text("removed_at IS NOT NULL")


class Conversation(Editable, table=True):
    """A talk between a person and the assistant."""

    __tablename__ = "conversations"

    title: Annotated[str, Writable()] = Field(
        default="New conversation", min_length=1, max_length=500, sa_type=Title, description="What it is about."
    )
    updated_at: Annotated[datetime, Sortable()] = Field(
        default_factory=utc_now, sa_type=UtcDateTime, description="When it, or its messages, last changed."
    )
    # It is there for nobody any more, and its many messages are being removed.
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    __table_args__ = (
        Index("ix_conversations_removed", "user_id", "id", postgresql_where=_IS_REMOVED, sqlite_where=_IS_REMOVED),
    )
