"""Add the audit log."""

import sqlalchemy as sa
from alembic import op

from migrations.tables import USER_ID, owned_columns, owner_key

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KINDS = (
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
        "audit_events",
        *owned_columns(with_revision=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("actor_id", USER_ID, nullable=True),
        sa.Column("subject_id", USER_ID, nullable=True),
        sa.Column("address", sa.String(100), nullable=True),
        sa.Column("user_agent", sa.String(300), nullable=True),
        sa.CheckConstraint(f"kind IN ({names})", name=op.f("ck_audit_events_kind_known")),
        owner_key("audit_events"),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_owner", "audit_events", ["user_id", "created_at", "id"])
    op.create_index("ix_audit_events_created_at", "audit_events", ["created_at"])


def downgrade() -> None:
    op.drop_table("audit_events")
