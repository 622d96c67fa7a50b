"""What the mutations of tasks take."""

from datetime import datetime
from typing import Any, Final

import strawberry

from models import TaskPriority
from services.task import TaskChanges
from services.task_making import NewTask

UNSET: Final[Any] = strawberry.UNSET


@strawberry.input(description="A task to make.")
class CreateTaskInput:
    """Everything that a task is made from."""

    title: str = strawberry.field(description="1 to 500 characters.")
    id: strawberry.ID | None = strawberry.field(default=None, description="A UUID that the client made, or ours.")
    description: str | None = strawberry.field(default=None, description="Up to 10,000 characters.")
    priority: TaskPriority = strawberry.field(default=TaskPriority.MEDIUM, description="How much it matters.")
    due_at: datetime | None = strawberry.field(default=None, description="When it is due.")
    tags: list[str] = strawberry.field(default_factory=list, description="Up to 20 labels of 50 characters.")
    parent_id: strawberry.ID | None = strawberry.field(default=None, description="The task that it is a part of.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="Sent again with the same input, it gives the first answer again; not in createTasks."
    )

    def to_new(self) -> NewTask:
        """Return what the service takes."""
        return NewTask(**vars(self))


@strawberry.input(description="Tasks to make, all or none.")
class CreateTasksInput:
    """Up to 100 tasks."""

    tasks: list[CreateTaskInput] = strawberry.field(description="Up to 100; a parent stands before its subtasks.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="Sent again with the same input, it gives the first answer again."
    )


@strawberry.input(description="What is to change of a task: what is left out stays, null clears.")
class UpdateTaskInput:
    """A task and its changes."""

    id: strawberry.ID = strawberry.field(description="The task to change.")
    title: str | None = strawberry.field(default=UNSET, description="1 to 500 characters; not null.")
    description: str | None = strawberry.field(default=UNSET, description="Up to 10,000 characters.")
    completed: bool | None = strawberry.field(default=UNSET, description="Whether it is done; not null.")
    priority: TaskPriority | None = strawberry.field(default=UNSET, description="How much it matters; not null.")
    due_at: datetime | None = strawberry.field(default=UNSET, description="When it is due.")
    tags: list[str] | None = strawberry.field(default=UNSET, description="Up to 20 labels, in place of the old ones.")
    parent_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The task that it is a part of; null makes it stand by itself."
    )
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision that the client has seen; another one gets CONFLICT."
    )

    def to_changes(self) -> TaskChanges:
        """Return what is given."""
        unchanged = ("id", "expected_revision")
        given = {name: value for name, value in vars(self).items() if value is not UNSET and name not in unchanged}
        return TaskChanges(**given)  # type: ignore[typeddict-item]  # the names are the same


@strawberry.input(description="A task, by its id.")
class TaskRefInput:
    """Names one task."""

    id: strawberry.ID
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision that the client has seen; another one gets CONFLICT."
    )


@strawberry.input(description="Tasks to complete or to reopen, all or none.")
class SetTasksCompletedInput:
    """Names several tasks."""

    ids: list[strawberry.ID] = strawberry.field(description="Up to 100.")
    completed: bool = strawberry.field(description="Whether they shall be done.")


@strawberry.input(description="Tasks to delete, all or none.")
class DeleteTasksInput:
    """Names several tasks."""

    ids: list[strawberry.ID] = strawberry.field(description="Up to 100.")
