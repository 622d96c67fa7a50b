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


PARTS = (("ck", "_kind_known"), ("fk", "_user_id"), ("pk", ""))
# The release before reads and writes its table until it is stopped.
VIEW = "CREATE VIEW task_changes AS SELECT {columns}, entity FROM history"


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        _rename_postgres("task_changes", "history", "task_id", "row_id")
        op.add_column("history", sa.Column("entity", sa.String(20), nullable=False, server_default="TASK"))
        op.alter_column("history", "entity", server_default=None)
        op.execute(VIEW.format(columns=COLUMNS.format(row="row_id AS task_id")))
        op.execute("ALTER VIEW task_changes ALTER COLUMN entity SET DEFAULT 'TASK'")
    else:
        _create_history("history", "row", entity=True)
        _move("task_changes", COLUMNS.format(row="task_id"), "history", COLUMNS.format(row="row_id"), "'TASK'")
    for table, target, column in REFERENCES:
        rename_constraint(table, f"fk_{target}_of_{column}", f"fk_{table}_of_{column}")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP VIEW task_changes")
        op.execute("DELETE FROM history WHERE entity <> 'TASK'")
        op.drop_column("history", "entity")
        _rename_postgres("history", "task_changes", "row_id", "task_id")
    else:
        _create_history("task_changes", "task", entity=False)
        _move("history", COLUMNS.format(row="row_id"), "task_changes", COLUMNS.format(row="task_id"))
    for table, target, column in REFERENCES:
        rename_constraint(table, f"fk_{table}_of_{column}", f"fk_{target}_of_{column}")


def _rename_postgres(source: str, target: str, column: str, new_column: str) -> None:
    """Rename the table and all that is named after it, which takes no time, however many rows there are."""
    op.rename_table(source, target)
    op.alter_column(target, column, new_column_name=new_column)
    for kind, rest in PARTS:
        rename_constraint(target, f"{kind}_{source}{rest}", f"{kind}_{target}{rest}")
    names = {column.removesuffix("_id"): new_column.removesuffix("_id"), "run": "run", "created_at": "created_at"}
    for name, new_name in names.items():
        op.execute(f"ALTER INDEX ix_{source}_{name} RENAME TO ix_{target}_{new_name}")


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
