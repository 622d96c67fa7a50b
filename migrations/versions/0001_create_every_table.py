"""Create every table."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.tables import ID, MOMENT, USER_ID, owned_columns, owned_reference, owner_key

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TITLE = sa.String(500).with_variant(sa.String(500, collation="C"), "postgresql")
TEXT_LIST = sa.JSON().with_variant(postgresql.ARRAY(sa.String()), "postgresql")


def upgrade() -> None:
    _create_users()
    _create_sessions()
    _create_idempotency_keys()
    _create_deletions()
    _create_conversations()
    _create_messages()
    _create_tasks()
    if op.get_context().dialect.name == "postgresql":
        _create_word_indexes()


def downgrade() -> None:
    for table in ("tasks", "messages", "conversations", "deletions", "idempotency_keys", "sessions", "users"):
        op.drop_table(table)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", USER_ID, nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("image", sa.String(2000), nullable=True),
        sa.Column("email_verified", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("issuer", sa.String(2000), nullable=True),
        sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.CheckConstraint("length(name) BETWEEN 0 AND 200", name=op.f("ck_users_name_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("ix_users_created_at_id", "users", ["created_at", "id"])
    with_password = sa.text("password_hash IS NOT NULL")
    op.create_index(
        "uq_users_email", "users", ["email"], unique=True, postgresql_where=with_password, sqlite_where=with_password
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("generation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        owner_key("sessions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("operation", sa.String(50), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("result_ids", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        owner_key("idempotency_keys"),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_deletions() -> None:
    op.create_table(
        "deletions",
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("deleted_at", MOMENT, nullable=False),
        owner_key("deletions"),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_deletions")),
    )
    op.create_index("ix_deletions_revision", "deletions", ["user_id", "revision"])
    op.create_index("ix_deletions_deleted_at", "deletions", ["deleted_at"])


def _create_conversations() -> None:
    op.create_table(
        "conversations",
        *owned_columns(),
        sa.Column("title", TITLE, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        owner_key("conversations"),
        sa.CheckConstraint("length(title) BETWEEN 1 AND 500", name=op.f("ck_conversations_title_length")),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_conversations")),
    )
    op.create_index("ix_conversations_revision", "conversations", ["user_id", "revision"])
    op.create_index("ix_conversations_created_at", "conversations", ["user_id", "created_at", "id"])
    op.create_index("ix_conversations_updated_at", "conversations", ["user_id", "updated_at", "id"])


def _create_messages() -> None:
    op.create_table(
        "messages",
        *owned_columns(),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("content", sa.String(100_000), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        owner_key("messages"),
        owned_reference("conversation_id", "conversations", name="fk_conversations_of_conversation_id"),
        sa.CheckConstraint("length(content) BETWEEN 0 AND 100000", name=op.f("ck_messages_content_length")),
        sa.CheckConstraint("role IN ('USER', 'ASSISTANT')", name=op.f("ck_messages_role_known")),
        sa.CheckConstraint(
            "status IN ('STREAMING', 'COMPLETE', 'CANCELLED', 'FAILED')", name=op.f("ck_messages_status_known")
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_messages")),
    )
    op.create_index("ix_messages_revision", "messages", ["user_id", "revision"])
    op.create_index("ix_messages_conversation", "messages", ["user_id", "conversation_id", "created_at", "id"])


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        *owned_columns(),
        sa.Column("title", TITLE, nullable=False),
        sa.Column("description", sa.String(10_000), nullable=True),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("completed_at", MOMENT, nullable=True),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("tags", TEXT_LIST, nullable=False),
        sa.Column("parent_id", ID, nullable=True),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        owner_key("tasks"),
        owned_reference("parent_id", "tasks", name="fk_tasks_of_parent_id"),
        sa.CheckConstraint("length(title) BETWEEN 1 AND 500", name=op.f("ck_tasks_title_length")),
        sa.CheckConstraint("length(description) BETWEEN 0 AND 10000", name=op.f("ck_tasks_description_length")),
        sa.CheckConstraint("priority BETWEEN 1 AND 3", name=op.f("ck_tasks_priority_rank")),
        sa.CheckConstraint("(completed_at IS NOT NULL) = completed", name=op.f("ck_tasks_completed_at_when_completed")),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_tasks_not_its_own_parent")),
        sa.PrimaryKeyConstraint("user_id", "id", name=op.f("pk_tasks")),
    )
    indexes: dict[str, list[Any]] = {
        "revision": ["revision"],
        "created_at": ["created_at", "id"],
        "updated_at": ["updated_at", "id"],
        "priority": ["priority", "id"],
        "title": [sa.text("lower(title)"), "id"],
        "due_at": [sa.text("(due_at IS NULL)"), "due_at", "id"],
        "due_at_desc": [sa.text("(due_at IS NOT NULL)"), "due_at", "id"],
        "parent": ["parent_id", "created_at", "id"],
    }
    for name, columns in indexes.items():
        op.create_index(f"ix_tasks_{name}", "tasks", ["user_id", *columns])


def _create_word_indexes() -> None:
    words = sa.text("array_to_tsvector(string_to_array(words, ' '))")
    op.create_index("ix_tasks_tags", "tasks", ["tags"], postgresql_using="gin")
    op.create_index("ix_tasks_words", "tasks", [words], postgresql_using="gin")
