"""The table of users."""

from datetime import datetime
from typing import Annotated, Final

from sqlalchemy import Index, false, text, true
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
from models.base import length_check
from models.columns import Writable
from models.types import UserId, UtcDateTime

_IS_REMOVED: Final = text("removed_at IS NOT NULL")
_IS_LINKED: Final = text("subject IS NOT NULL")
_IS_VERIFIED_ELSEWHERE: Final = text("issuer IS NOT NULL AND email_verified")


class User(SQLModel, table=True):
    """A person with an account, here or at the issuer of tokens that vouches for them."""

    __tablename__ = "users"
    __table_args__ = (
        # Only of those who sign in here: the issuer decides about the addresses of its users.
        Index(
            "uq_users_email",
            "email",
            unique=True,
            postgresql_where=text("password_hash IS NOT NULL"),
            sqlite_where=text("password_hash IS NOT NULL"),
        ),
        Index(
            "uq_users_subject", "subject", "issuer", unique=True, postgresql_where=_IS_LINKED, sqlite_where=_IS_LINKED
        ),
        Index(
            "ix_users_verified_elsewhere",
            "email",
            postgresql_where=_IS_VERIFIED_ELSEWHERE,
            sqlite_where=_IS_VERIFIED_ELSEWHERE,
        ),
        Index("ix_users_created_at_id", "created_at", "id"),
        Index("ix_users_removed", "id", postgresql_where=_IS_REMOVED, sqlite_where=_IS_REMOVED),
        length_check("name", 0, 200),
    )

    id: str = Field(primary_key=True, sa_type=UserId, default_factory=new_id)
    email: str = Field(max_length=320, description="The address they sign in with, in lower case.")
    name: Annotated[str, Writable()] = Field(min_length=1, max_length=200, description="What they are called.")
    image: Annotated[str | None, Writable(create=False)] = Field(
        default=None, min_length=1, max_length=2_000, description="Address of a picture of them."
    )
    email_verified: bool = Field(
        default=False,
        sa_column_kwargs={"server_default": false()},
        description="Whether the address is known to be theirs.",
    )
    is_active: bool = Field(
        default=True, sa_column_kwargs={"server_default": true()}, description="Whether they may sign in."
    )
    is_admin: bool = Field(
        default=False, sa_column_kwargs={"server_default": false()}, description="Whether they may manage users."
    )
    password_hash: str | None = Field(default=None, max_length=255, repr=False)
    issuer: str | None = Field(default=None, max_length=2_000)
    # What the issuer calls the user of an account that was made here and linked; of its other users it is the id.
    subject: str | None = Field(default=None, sa_type=UserId)
    profile_revision: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    forgotten_revision: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    revision: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, description="When the account was made.")
    updated_at: datetime = Field(
        default_factory=utc_now, sa_type=UtcDateTime, description="When the profile last changed."
    )
    # The account is gone, and its many rows are being removed.
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
