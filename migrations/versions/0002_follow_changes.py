"""Let a user's own row, and what is known of old deletions, be followed by revision."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("profile_revision", "forgotten_revision"):
        op.add_column("users", sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.drop_column("forgotten_revision")
        users.drop_column("profile_revision")
