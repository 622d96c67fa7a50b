"""Add the assistant: runs, tool calls, the history of tasks, token usage and personal access tokens."""

import sqlalchemy as sa
from alembic import op

from migrations.tables import ID, MOMENT, USER_ID, owned_columns, owned_reference, owner_key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_runs()
    _create_tool_calls()
    _create_task_changes()
    _create_token_usage()
    _create_access_tokens()


def _create_runs() -> None:
    op.create_table(
        "runs",
        *owned_columns(),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("reply_id", ID, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(500), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("undone_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "status IN ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL', 'COMPLETED', 'CANCELLED', 'FAILED')",
            name=op.f("ck_runs_status_known"),
        ),
        sa.CheckConstraint("input_tokens >= 0 AND output_tokens >= 0", name=op.f("ck_runs_tokens_counted")),
        owned_reference("conversation_id", "conversations", name="fk_conversations_of_conversation_id"),
        owned_reference("message_id", "messages", name="fk_messages_of_message_id"),
        owned_reference("reply_id", "messages", name="fk_messages_of_reply_id"),
        owner_key("runs"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_runs"),
    )
    op.create_index("ix_runs_revision", "runs", ["user_id", "revision"])
    op.create_index("ix_runs_message", "runs", ["user_id", "message_id"])
    op.create_index("uq_runs_reply", "runs", ["user_id", "reply_id"], unique=True)
    op.create_index("ix_runs_conversation", "runs", ["user_id", "conversation_id", "created_at", "id"])
    active = sa.text("status IN ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL')")
    columns = ["user_id", "conversation_id"]
    op.create_index("uq_runs_active", "runs", columns, unique=True, postgresql_where=active, sqlite_where=active)
    leased = sa.text("lease_until IS NOT NULL")
    op.create_index("ix_runs_lease", "runs", ["lease_until"], postgresql_where=leased, sqlite_where=leased)


def _create_tool_calls() -> None:
    op.create_table(
        "tool_calls",
        *owned_columns(),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("call_id", sa.String(200), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("status", sa.String(20), nullable=False),
        sa.CheckConstraint(
            "status IN ('AWAITING_APPROVAL', 'RUNNING', 'COMPLETED', 'REJECTED', 'FAILED')",
            name=op.f("ck_tool_calls_status_known"),
        ),
        owned_reference("run_id", "runs", name="fk_runs_of_run_id"),
        owner_key("tool_calls"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_tool_calls"),
    )
    op.create_index("ix_tool_calls_revision", "tool_calls", ["user_id", "revision"])
    op.create_index("ix_tool_calls_run", "tool_calls", ["user_id", "run_id", "position"])
    op.create_index("uq_tool_calls_call", "tool_calls", ["user_id", "run_id", "call_id"], unique=True)


def _create_task_changes() -> None:
    op.create_table(
        "task_changes",
        *owned_columns(),
        sa.Column("task_id", ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("tool_call_id", ID, nullable=True),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.CheckConstraint("kind IN ('CREATED', 'UPDATED', 'DELETED')", name=op.f("ck_task_changes_kind_known")),
        owner_key("task_changes"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_task_changes"),
    )
    op.create_index("ix_task_changes_task", "task_changes", ["user_id", "task_id", "created_at", "id"])
    op.create_index("ix_task_changes_run", "task_changes", ["user_id", "run_id"])
    op.create_index("ix_task_changes_created_at", "task_changes", ["created_at"])


def _create_token_usage() -> None:
    op.create_table(
        "token_usage",
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        owner_key("token_usage"),
        sa.PrimaryKeyConstraint("user_id", "day", name="pk_token_usage"),
    )


def _create_access_tokens() -> None:
    op.create_table(
        "access_tokens",
        *owned_columns(with_revision=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 100", name=op.f("ck_access_tokens_name_length")),
        owner_key("access_tokens"),
        sa.PrimaryKeyConstraint("user_id", "id", name="pk_access_tokens"),
    )
    op.create_index("uq_access_tokens_token_hash", "access_tokens", ["token_hash"], unique=True)
    op.create_index("ix_access_tokens_created_at", "access_tokens", ["user_id", "created_at", "id"])


def downgrade() -> None:
    for table in ("access_tokens", "token_usage", "task_changes", "tool_calls", "runs"):
        op.drop_table(table)
