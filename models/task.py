"""The table of tasks."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import StringConstraints
from sqlalchemy import CheckConstraint, Index, column, func, text
from sqlmodel import Field

from models.base import Editable
from models.columns import DescribedEnum, Filterable, Recorded, References, Sortable, Writable
from models.types import Id, Ranked, TextList, Title, UtcDateTime

_WORDS = func.array_to_tsvector(func.string_to_array(column("words"), text("' '")))


class TaskPriority(DescribedEnum):
    """How much a task matters, rising."""

    LOW = "LOW", "It can wait."
    MEDIUM = "MEDIUM", "The usual."
    HIGH = "HIGH", "It comes first."


class Task(Editable, table=True):
    """Something to do."""

    __tablename__ = "tasks"

    title: Annotated[str, Writable(), Filterable(), Sortable()] = Field(
        min_length=1, max_length=500, sa_type=Title, description="What is to be done."
    )
    description: Annotated[str | None, Writable()] = Field(
        default=None, max_length=10_000, description="More about it."
    )
    completed: Annotated[bool, Writable(create=False, tools=False), Filterable()] = Field(
        default=False, description="Whether it is done."
    )
    completed_at: Annotated[datetime | None, Recorded()] = Field(
        default=None, sa_type=UtcDateTime, description="When it was done."
    )
    priority: Annotated[TaskPriority, Writable(), Filterable(), Sortable()] = Field(
        default=TaskPriority.MEDIUM, sa_type=Ranked(TaskPriority), description="How much it matters."
    )
    due_at: Annotated[datetime | None, Writable(), Filterable(), Sortable()] = Field(
        default=None, sa_type=UtcDateTime, description="When it is due."
    )
    tags: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=50)]], Writable(), Filterable()] = (
        Field(default_factory=list, max_length=20, sa_type=TextList, description="Labels, in the order given.")
    )
    parent_id: Annotated[str | None, Writable(), References("tasks", cascades=True)] = Field(
        default=None, sa_type=Id, description="The task that it is a part of."
    )
    # The words of title and description, for `search`.
    words: str = Field(default="")

    has_history: ClassVar[bool] = True

    __table_args__ = (
        CheckConstraint("priority BETWEEN 1 AND 3", name="priority_rank"),
        CheckConstraint("(completed_at IS NOT NULL) = completed", name="completed_at_when_completed"),
        CheckConstraint("parent_id <> id", name="not_its_own_parent"),
        Index("ix_tasks_parent", "user_id", "parent_id", "created_at", "id"),
        # What matters most and is due first; lists are counted and sorted by several keys in it too.
        Index(
            "ix_tasks_priority_due",
            "user_id",
            text("priority DESC"),
            text("(due_at IS NULL)"),
            "due_at",
            "id",
            postgresql_include=["completed", "created_at", "updated_at"],
        ),
        Index("ix_tasks_tags", "tags", postgresql_using="gin").ddl_if(dialect="postgresql"),
        Index("ix_tasks_words", _WORDS, postgresql_using="gin").ddl_if(dialect="postgresql"),
    )
