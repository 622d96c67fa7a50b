"""Add the epoch that a restore changes, deletion in batches, and indexes for accounts that have grown large."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.tables import MOMENT

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

IS_REMOVED = sa.text("removed_at IS NOT NULL")
# The tables of which one account may have very many rows: their statistics, and the map of pages that indexes need not
# look up, are kept up to date after each 2 % of change.
GROWING = ("tasks", "messages", "history", "deletions")
AUTOVACUUM = {f"autovacuum_{kind}_scale_factor": "0.02" for kind in ("vacuum", "vacuum_insert", "analyze")}


def upgrade() -> None:
    epoch = op.create_table(
        "database_epoch",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_database_epoch")),
    )
    op.bulk_insert(epoch, [{"id": 1, "epoch": ""}])
    for table, columns in (("users", ["id"]), ("conversations", ["user_id", "id"])):
        op.add_column(table, sa.Column("removed_at", MOMENT, nullable=True))
        op.create_index(f"ix_{table}_removed", table, columns, postgresql_where=IS_REMOVED, sqlite_where=IS_REMOVED)
    op.add_column("runs", sa.Column("is_history_cut", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_messages_completed", "messages", ["user_id", "conversation_id", "revision", "id"])
    order: list[Any] = ["user_id", sa.text("priority DESC"), sa.text("(due_at IS NULL)"), "due_at", "id"]
    op.create_index("ix_tasks_priority_due", "tasks", order, postgresql_include=["completed"])
    _set_autovacuum("SET", ", ".join(f"{name} = {value}" for name, value in AUTOVACUUM.items()))


def downgrade() -> None:
    _set_autovacuum("RESET", ", ".join(AUTOVACUUM))
    op.drop_index("ix_tasks_priority_due", "tasks")
    op.drop_index("ix_messages_completed", "messages")
    op.drop_column("runs", "is_history_cut")
    for table in ("conversations", "users"):
        op.drop_index(f"ix_{table}_removed", table)
        op.drop_column(table, "removed_at")
    op.drop_table("database_epoch")


def _set_autovacuum(verb: str, parameters: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in GROWING:
            op.execute(f"ALTER TABLE {table} {verb} ({parameters})")
