"""The conventional server's tasks: what they are filtered and ordered by, and how one is made."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import strawberry
from sqlalchemy import update
from sqlmodel import col

from bench.peers.conventional_data import Sessions
from bench.peers.conventional_models import Task, TaskChange, TaskPriority, User
from bench.peers.rows import searchable

strawberry.enum(TaskPriority)


@strawberry.enum
class TaskOrderField(StrEnum):
    """What tasks can be ordered by."""

    CREATED_AT = "CREATED_AT"
    DUE_AT = "DUE_AT"


@strawberry.input
class TaskFilter:
    """Which tasks."""

    completed: bool | None = None
    priority: list[TaskPriority] | None = None
    is_subtask: bool | None = None


@strawberry.input
class TaskOrder:
    """What to order by."""

    field: TaskOrderField


@strawberry.input
class CreateTaskInput:
    """A task to make."""

    title: str
    description: str | None = None
    priority: TaskPriority = TaskPriority.MEDIUM
    due_at: datetime | None = None
    tags: list[str] = strawberry.field(default_factory=list)


def task_conditions(user_id: str, task_filter: TaskFilter | None) -> list[Any]:
    """Return what holds of the tasks that are asked for."""
    conditions: list[Any] = [Task.user_id == user_id]
    if task_filter is None:
        return conditions
    if task_filter.completed is not None:
        conditions.append(col(Task.completed).is_(task_filter.completed))
    if task_filter.priority is not None:
        conditions.append(col(Task.priority).in_(task_filter.priority))
    if task_filter.is_subtask is not None:
        parent = col(Task.parent_id)
        conditions.append(parent.is_not(None) if task_filter.is_subtask else parent.is_(None))
    return conditions


def task_order(order_by: list[TaskOrder] | None) -> list[Any]:
    """Return what to order by."""
    if order_by and order_by[0].field is TaskOrderField.DUE_AT:
        due_at = col(Task.due_at)
        return [due_at.is_(None), due_at, col(Task.id)]
    return [col(Task.created_at), col(Task.id)]


async def create_task(sessions: Sessions, user_id: str, given: CreateTaskInput) -> Task:
    """Make a task, and leave the same rows behind as our server does."""
    async with sessions.begin() as session:
        counting = update(User).where(col(User.id) == user_id).values(revision=User.revision + 1)
        revision = (await session.execute(counting.returning(col(User.revision)))).scalar_one()
        moment = datetime.now(UTC)
        task = Task(
            user_id=user_id,
            revision=revision,
            words=searchable(given.title, given.description),
            created_at=moment,
            updated_at=moment,
            **vars(given),
        )
        session.add(task)
        await session.flush()
        session.add(_making_of(task))
    return task


def _making_of(task: Task) -> TaskChange:
    fields = {"title", "description", "completed", "completed_at", "priority", "due_at", "tags", "parent_id"}
    return TaskChange(
        user_id=task.user_id,
        revision=task.revision,
        created_at=task.created_at,
        entity="TASK",
        row_id=task.id,
        kind="CREATED",
        before={},
        after=task.model_dump(mode="json", include=fields | {"created_at"}),
    )
