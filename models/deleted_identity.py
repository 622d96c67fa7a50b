"""The table of deleted users of other issuers, whose older tokens must not make the account anew."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from models.types import UserId, UtcDateTime


class DeletedIdentity(SQLModel, table=True):
    """A user of an issuer whose account was deleted."""

    __tablename__ = "deleted_identities"
    __table_args__ = (Index("ix_deleted_identities_deleted_at", "deleted_at"),)

    issuer: str = Field(primary_key=True, max_length=2_000)
    subject: str = Field(primary_key=True, sa_type=UserId)
    deleted_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
