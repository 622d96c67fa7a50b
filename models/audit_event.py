"""The table of the audit log: who signed in to an account, and what was done to it."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from core.clock import utc_now
from core.ids import new_id
from models.base import known_check
from models.columns import DescribedEnum
from models.types import Id, Named, UserId, UtcDateTime

MAX_ADDRESS_LENGTH = 100
MAX_USER_AGENT_LENGTH = 300


class AuditEventKind(DescribedEnum):
    """What happened to an account."""

    SIGNED_UP = "SIGNED_UP", "The account was made."
    SIGNED_IN = "SIGNED_IN", "A session began."
    SIGN_IN_FAILED = (
        "SIGN_IN_FAILED",
        "A wrong password was given, to sign in or to confirm a change, or a right one to a deactivated account.",
    )
    SIGNED_OUT = "SIGNED_OUT", "A session was ended by its user."
    SESSION_ENDED = (
        "SESSION_ENDED",
        "A session was ended: a refresh token came again later, or there were too many sessions.",
    )
    PASSWORD_CHANGED = "PASSWORD_CHANGED", "The password was changed, which ended all other sessions."
    PASSWORD_RESET = "PASSWORD_RESET", "The password was set by a link in an e-mail, which ended all sessions."
    EMAIL_VERIFIED = "EMAIL_VERIFIED", "The address was verified by a link in an e-mail."
    EMAIL_CHANGED = "EMAIL_CHANGED", "The address was changed, and verified by a link in an e-mail."
    ACCESS_TOKEN_CREATED = "ACCESS_TOKEN_CREATED", "An access token was made."
    ACCESS_TOKEN_REVOKED = "ACCESS_TOKEN_REVOKED", "An access token was revoked."
    ACCOUNT_DEACTIVATED = "ACCOUNT_DEACTIVATED", "An admin deactivated the account, which ended all sessions."
    ACCOUNT_ACTIVATED = "ACCOUNT_ACTIVATED", "An admin activated the account."
    ACCOUNT_DELETED = "ACCOUNT_DELETED", "This admin deleted another account."
    ADMIN_GRANTED = "ADMIN_GRANTED", "The account was given the rights of an admin."
    ADMIN_REVOKED = "ADMIN_REVOKED", "The rights of an admin were taken from the account."


class AuditEvent(SQLModel, table=True):
    """Something that happened to an account."""

    __tablename__ = "audit_events"

    user_id: str = Field(primary_key=True, sa_type=UserId, foreign_key="users.id", ondelete="CASCADE")
    id: str = Field(primary_key=True, sa_type=Id, default_factory=new_id)
    kind: AuditEventKind = Field(sa_type=Named(AuditEventKind), description="What happened.")
    actor_id: str | None = Field(
        default=None, sa_type=UserId, description="The admin who did it; null where the person did, or the server."
    )
    subject_id: str | None = Field(
        default=None, sa_type=UserId, description="The session, access token or account that it is about."
    )
    address: str | None = Field(
        default=None, max_length=MAX_ADDRESS_LENGTH, description="The network address that the request came from."
    )
    user_agent: str | None = Field(
        default=None, max_length=MAX_USER_AGENT_LENGTH, description="The program, as it names itself."
    )
    created_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, description="When it happened.")

    __table_args__ = (
        known_check("kind", AuditEventKind),
        Index("ix_audit_events_owner", "user_id", "created_at", "id"),
        Index("ix_audit_events_created_at", "created_at"),
    )
