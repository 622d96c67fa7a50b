"""The table of sessions."""

from datetime import datetime

from sqlalchemy import JSON, Index, text
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
from models.audit_event import MAX_ADDRESS_LENGTH, MAX_USER_AGENT_LENGTH
from models.types import Id, UserId, UtcDateTime


class Session(SQLModel, table=True):
    """A sign-in, kept alive by a refresh token of which only the hash is stored."""

    __tablename__ = "sessions"
    __table_args__ = (Index("ix_sessions_user_id", "user_id"), Index("ix_sessions_expires_at", "expires_at"))

    id: str = Field(primary_key=True, sa_type=Id, default_factory=new_id)
    user_id: str = Field(sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    # With SECRET_KEY, the refresh token of each generation follows from it; by itself it says nothing.
    seed: str = Field(default="", max_length=32, repr=False, sa_column_kwargs={"server_default": text("''")})
    token_hash: str = Field(max_length=64, repr=False)
    generation: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    # When each of the latest generations began, in seconds since 1970, the present one last.
    rotations: list[float] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    expires_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    address: str | None = Field(
        default=None, max_length=MAX_ADDRESS_LENGTH, description="The network address that it was last used from."
    )
    user_agent: str | None = Field(
        default=None, max_length=MAX_USER_AGENT_LENGTH, description="The program that used it last, as it names itself."
    )
    # Null where a release before this one began it.
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="When it was last refreshed.")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, description="When it began.")
