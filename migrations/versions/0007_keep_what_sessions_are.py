"""Keep of each session from where it is used, and what its refresh tokens follow from."""

import sqlalchemy as sa
from alembic import op

from migrations.tables import MOMENT

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = ("seed", "rotations", "address", "user_agent", "last_used_at")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("seed", sa.String(32), server_default=sa.text("''"), nullable=False))
    op.add_column("sessions", sa.Column("rotations", sa.JSON(), nullable=True))
    op.add_column("sessions", sa.Column("address", sa.String(100), nullable=True))
    op.add_column("sessions", sa.Column("user_agent", sa.String(300), nullable=True))
    op.add_column("sessions", sa.Column("last_used_at", MOMENT, nullable=True))


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_column("sessions", column)
