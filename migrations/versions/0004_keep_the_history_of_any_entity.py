"""Keep the history of any entity, and name foreign keys after the table that has them."""

import sqlalchemy as sa
from alembic import op

from migrations.tables import ID, owned_columns, owner_key, rename_constraint

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Table, the table that it refers to, and the column that does.
REFERENCES = (
    ("messages", "conversations", "conversation_id"),
    ("runs", "conversations", "conversation_id"),
    ("runs", "messages", "message_id"),
    ("runs", "messages", "reply_id"),
    ("tool_calls", "runs", "run_id"),
)
COLUMNS = "user_id, id, revision, created_at, {row}, kind, run_id, tool_call_id, before, after"


def upgrade() -> None:
    _create_history("history", "row", entity=True)
    _move("task_changes", COLUMNS.format(row="task_id"), "history", COLUMNS.format(row="row_id"), "'TASK'")
    for table, target, column in REFERENCES:
        rename_constraint(table, f"fk_{target}_of_{column}", f"fk_{table}_of_{column}")


def downgrade() -> None:
    _create_history("task_changes", "task", entity=False)
    _move("history", COLUMNS.format(row="row_id"), "task_changes", COLUMNS.format(row="task_id"))
    for table, target, column in REFERENCES:
        rename_constraint(table, f"fk_{table}_of_{column}", f"fk_{target}_of_{column}")


def _create_history(table: str, row: str, *, entity: bool) -> None:
    op.create_table(
        table,
        *owned_columns(),
        *([sa.Column("entity", sa.String(20), nullable=False)] if entity else []),
        sa.Column(f"{row}_id", ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("tool_call_id", ID, nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('CREATED', 'UPDATED', 'DELETED')", name=op.f(f"ck_{table}_kind_known")),
        owner_key(table),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f(f"pk_{table}")),
    )
    op.create_index(f"ix_{table}_{row}", table, ["user_id", f"{row}_id", "created_at", "id"])
    op.create_index(f"ix_{table}_run", table, ["user_id", "run_id"])
    op.create_index(f"ix_{table}_created_at", table, ["created_at"])


def _move(source: str, columns: str, target: str, target_columns: str, entity: str | None = None) -> None:
    """Move the rows; on the way down those of other entities than tasks, which have no place there, are left behind."""
    names, values = (f"{target_columns}, entity", f"{columns}, {entity}") if entity else (target_columns, columns)
    only_tasks = "" if entity else " WHERE entity = 'TASK'"
    op.execute(f"INSERT INTO {target} ({names}) SELECT {values} FROM {source}{only_tasks}")  # noqa: S608 - our own names
    op.drop_table(source)
