"""Let an index hold all that lists of tasks are sorted and counted by, besides their texts."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ORDER: tuple[Any, ...] = ("user_id", sa.text("priority DESC"), sa.text("(due_at IS NULL)"), "due_at", "id")


def upgrade() -> None:
    _replace(["completed", "created_at", "updated_at"])


def downgrade() -> None:
    _replace(["completed"])


def _replace(included: Sequence[str]) -> None:
    # SQLite's indexes include nothing.
    if op.get_context().dialect.name == "postgresql":
        # Made before the other is dropped, which readers would wait for.
        op.create_index("ix_tasks_sorted", "tasks", list(ORDER), postgresql_include=included)
        op.drop_index("ix_tasks_priority_due", "tasks")
        op.execute("ALTER INDEX ix_tasks_sorted RENAME TO ix_tasks_priority_due")
