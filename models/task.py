"""The table of tasks."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index, column, func, text
from sqlmodel import Field

from core.clock import utc_now
from models.base import Owned, length_check, owned_reference
from models.types import Id, Ranked, TextList, Title, UtcDateTime

_WORDS = func.array_to_tsvector(func.string_to_array(column("words"), text("' '")))


class TaskPriority(StrEnum):
    """How much a task matters, rising."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class Task(Owned, table=True):
    """Something to do."""

    __tablename__ = "tasks"

    title: str = Field(sa_type=Title, description="What is to be done.")
    description: str | None = Field(default=None, max_length=10_000, description="More about it.")
    completed: bool = Field(default=False, description="Whether it is done.")
    completed_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="When it was done.")
    priority: TaskPriority = Field(
        default=TaskPriority.MEDIUM, sa_type=Ranked(TaskPriority), description="How much it matters."
    )
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime, description="When it is due.")
    tags: list[str] = Field(default_factory=list, sa_type=TextList, description="Labels, in the order given.")
    parent_id: str | None = Field(default=None, sa_type=Id)
    words: str = Field(default="")
    updated_at: datetime = Field(default_factory=utc_now, sa_type=UtcDateTime, description="When it last changed.")

    __table_args__ = (
        owned_reference("parent_id", "tasks"),
        length_check("title", 1, 500),
        length_check("description", 0, 10_000),
        CheckConstraint("priority BETWEEN 1 AND 3", name="priority_rank"),
        CheckConstraint("(completed_at IS NOT NULL) = completed", name="completed_at_when_completed"),
        CheckConstraint("parent_id <> id", name="not_its_own_parent"),
        Index("ix_tasks_revision", "user_id", "revision"),
        Index("ix_tasks_created_at", "user_id", "created_at", "id"),
        Index("ix_tasks_updated_at", "user_id", "updated_at", "id"),
        Index("ix_tasks_priority", "user_id", "priority", "id"),
        Index("ix_tasks_title", "user_id", func.lower(column("title")), "id"),
        Index("ix_tasks_due_at", "user_id", text("(due_at IS NULL)"), "due_at", "id"),
        Index("ix_tasks_due_at_desc", "user_id", text("(due_at IS NOT NULL)"), "due_at", "id"),
        Index("ix_tasks_parent", "user_id", "parent_id", "created_at", "id"),
        Index("ix_tasks_tags", "tags", postgresql_using="gin").ddl_if(dialect="postgresql"),
        Index("ix_tasks_words", _WORDS, postgresql_using="gin").ddl_if(dialect="postgresql"),
    )
