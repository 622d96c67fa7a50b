"""The table of e-mails: those to be sent, and those whose link can still be used."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
from models.base import known_check
from models.types import Id, Named, UserId, UtcDateTime


class EmailKind(StrEnum):
    """What an e-mail says."""

    VERIFY_EMAIL = "VERIFY_EMAIL"
    CHANGE_EMAIL = "CHANGE_EMAIL"
    RESET_PASSWORD = "RESET_PASSWORD"  # noqa: S105 - no password
    ACCOUNT_EXISTS = "ACCOUNT_EXISTS"
    EMAIL_CHANGED = "EMAIL_CHANGED"


class Email(SQLModel, table=True):
    """An e-mail, written with what it is about; its link, if it has one, is signed from the id and not stored."""

    __tablename__ = "emails"
    __table_args__ = (
        known_check("kind", EmailKind),
        Index("ix_emails_user_id", "user_id"),
        Index("ix_emails_due_at", "due_at"),
        Index("ix_emails_expires_at", "expires_at"),
    )

    id: str = Field(primary_key=True, sa_type=Id, default_factory=new_id)
    # None where an address was named that has no account: nothing is sent, which takes as long.
    user_id: str | None = Field(default=None, sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    kind: EmailKind = Field(sa_type=Named(EmailKind))
    address: str = Field(max_length=320)
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    # When it is to be sent, or sent again unless the attempt that is under way succeeds; None once it is sent.
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # Until when the link can be used; counted from the sending.
    expires_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime)
