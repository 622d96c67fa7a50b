"""The table of task changes: who changed what of a task, and how it was before."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlmodel import Field

from models.base import Owned
from models.types import Id, Named


class TaskChangeKind(StrEnum):
    """What happened to a task."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


class TaskChange(Owned, table=True):
    """One change of a task, by its owner or by a run; it outlives the task, so that a deletion can be taken back."""

    __tablename__ = "task_changes"

    task_id: str = Field(sa_type=Id)
    kind: TaskChangeKind = Field(sa_type=Named(TaskChangeKind), description="What happened.")
    run_id: str | None = Field(default=None, sa_type=Id)
    tool_call_id: str | None = Field(default=None, sa_type=Id)
    before: dict[str, Any] = Field(sa_type=JSON)
    after: dict[str, Any] = Field(sa_type=JSON)

    __table_args__ = (
        CheckConstraint("kind IN ('CREATED', 'UPDATED', 'DELETED')", name="kind_known"),
        Index("ix_task_changes_task", "user_id", "task_id", "created_at", "id"),
        Index("ix_task_changes_run", "user_id", "run_id"),
        Index("ix_task_changes_created_at", "created_at"),
    )
