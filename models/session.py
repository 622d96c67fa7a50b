"""The table of sessions."""

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
from models.types import Id, UserId, UtcDateTime


class Session(SQLModel, table=True):
    """A sign-in, kept alive by a refresh token of which only the hash is stored."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user_id", "user_id"), Index("ix_sessions_expires_at", "expires_at"))

    id: str = Field(primary_key=True, sa_type=Id, default_factory=new_id)
    user_id: str = Field(sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    token_hash: str = Field(max_length=64, repr=False)
    generation: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    expires_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
