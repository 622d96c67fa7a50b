"""Link accounts to users of an issuer, and remember the deleted ones for as long as their tokens may last."""

import sqlalchemy as sa
from alembic import op

from migrations.tables import MOMENT, USER_ID

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

IS_LINKED = sa.text("subject IS NOT NULL")
IS_VERIFIED_ELSEWHERE = sa.text("issuer IS NOT NULL AND email_verified")


def upgrade() -> None:
    op.add_column("users", sa.Column("subject", USER_ID, nullable=True))
    op.create_index(
        "uq_users_subject",
        "users",
        ["subject", "issuer"],
        unique=True,
        postgresql_where=IS_LINKED,
        sqlite_where=IS_LINKED,
    )
    op.create_index(
        "ix_users_verified_elsewhere",
        "users",
        ["email"],
        postgresql_where=IS_VERIFIED_ELSEWHERE,
        sqlite_where=IS_VERIFIED_ELSEWHERE,
    )
    op.create_table(
        "deleted_identities",
        sa.Column("issuer", sa.String(2000), nullable=False),
        sa.Column("subject", USER_ID, nullable=False),
        sa.Column("deleted_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "subject", name=op.f("pk_deleted_identities")),
    )
    op.create_index("ix_deleted_identities_deleted_at", "deleted_identities", ["deleted_at"])


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        # Made where BETTER_AUTH_TABLE is set, from the column below.
        op.execute("ALTER TABLE users DROP COLUMN IF EXISTS better_auth_id")
    op.drop_table("deleted_identities")
    op.drop_index("ix_users_verified_elsewhere", "users")
    op.drop_index("uq_users_subject", "users")
    op.drop_column("users", "subject")
