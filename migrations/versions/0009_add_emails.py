"""Add e-mails, and the events of the audit log that they lead to."""

import sqlalchemy as sa
from alembic import op

from migrations.tables import ID, MOMENT, USER_ID, owner_key, set_known_values

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KINDS = ("VERIFY_EMAIL", "CHANGE_EMAIL", "RESET_PASSWORD", "ACCOUNT_EXISTS", "EMAIL_CHANGED")
NEW_EVENTS = ("PASSWORD_RESET", "EMAIL_VERIFIED", "EMAIL_CHANGED")
OLD_EVENTS = (
    "SIGNED_UP",
    "SIGNED_IN",
    "SIGN_IN_FAILED",
    "SIGNED_OUT",
    "SESSION_ENDED",
    "PASSWORD_CHANGED",
    "ACCESS_TOKEN_CREATED",
    "ACCESS_TOKEN_REVOKED",
    "ACCOUNT_DEACTIVATED",
    "ACCOUNT_ACTIVATED",
    "ACCOUNT_DELETED",
    "ADMIN_GRANTED",
    "ADMIN_REVOKED",
)


def upgrade() -> None:
    names = ", ".join(f"'{kind}'" for kind in KINDS)
    op.create_table(
        "emails",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", USER_ID, nullable=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("address", sa.String(320), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(f"kind IN ({names})", name=op.f("ck_emails_kind_known")),
        owner_key("emails"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emails")),
    )
    for column in ("user_id", "due_at", "expires_at"):
        op.create_index(f"ix_emails_{column}", "emails", [column])
    events = (*OLD_EVENTS[:6], *NEW_EVENTS, *OLD_EVENTS[6:])
    set_known_values("audit_events", "kind", events)


def downgrade() -> None:
    events = sa.table("audit_events", sa.column("kind"))
    op.execute(events.delete().where(events.c.kind.in_(NEW_EVENTS)))
    set_known_values("audit_events", "kind", OLD_EVENTS)
    op.drop_table("emails")
