"""The table of personal access tokens."""

from datetime import datetime

from sqlalchemy import JSON, Index
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
from models.base import length_check
from models.columns import DescribedEnum
from models.types import Id, UserId, UtcDateTime


class AccessScope(DescribedEnum):
    """What a personal access token allows; the value is the scope's name in OAuth."""

    TASKS_READ = "tasks:read", "Reading tasks and conversations."
    TASKS_WRITE = "tasks:write", "Changing tasks."


class AccessToken(SQLModel, table=True):
    """A token that a person made for a program of theirs; only its hash is stored."""

    __tablename__ = "access_tokens"

    user_id: str = Field(primary_key=True, sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    id: str = Field(primary_key=True, sa_type=Id, default_factory=new_id)
    name: str = Field(min_length=1, max_length=100, description="What it is for.")
    token_hash: str = Field(max_length=64, repr=False)
    scopes: list[str] = Field(sa_type=JSON)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="Until when it is good.")
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="When it was last used.")
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, description="When it was made.")

    __table_args__ = (
        length_check("name", 1, 100),
        Index("uq_access_tokens_token_hash", "token_hash", unique=True),
        Index("ix_access_tokens_created_at", "user_id", "created_at", "id"),
    )
