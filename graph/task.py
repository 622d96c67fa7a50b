"""The GraphQL type of tasks."""

from functools import partial
from typing import Any, Final

import strawberry

import models
from engine import batched
from graph.connection import Connection, Relation
from graph.context import Info
from graph.lazy import LazyTask
from graph.mapping import (
    CreateInput,
    UpdateInput,
    create_input,
    filter_input,
    input_type,
    needing,
    order_input,
    table_type,
    update_input,
)
from graph.node import Node, ids_of
from graph.payload import UserError
from graph.references import reference
from graph.selection import selected_columns
from graph.task_change import TaskChange
from graph.user import User, load_owners
from services.entities.history import history_listing
from services.entities.lists import DateTimeFilter, IntFilter, StringFilter
from services.query.lookup import find_node
from services.query.pagination import PageArguments
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing

for condition in (DateTimeFilter, IntFilter, StringFilter):
    input_type(condition)
filter_input(TaskFilter)
order_input(TaskOrder)

HISTORY: Final = Relation(models.HistoryEntry, "row_id")
SUBTASKS: Final = Relation(models.Task, "parent_id")


@table_type(models.Task)
class Task(Node):
    """Something to do."""

    parent = reference(models.Task, "parent_id", LazyTask | None, "The task that this one is a part of.")

    @needing("id", graphql_type=Connection[LazyTask], description="The tasks that this one is made of.")
    @staticmethod
    @batched
    async def subtasks(
        parents: strawberry.Parent[list[models.Task]],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: TaskFilter | None = None,
        order_by: list[TaskOrder] | None = None,
    ) -> list[Any]:
        """Load a page of the subtasks of each."""
        make = partial(task_listing, info.context.require_caller(), task_filter=filter, order=order_by)
        return await SUBTASKS.connect(info, ids_of(parents), make, PageArguments(first, after, last, before))

    @needing(
        "id",
        graphql_type=Connection[TaskChange],
        description="What was changed of it, and by whom, the oldest first.",
    )
    @staticmethod
    @batched
    async def history(
        parents: strawberry.Parent[list[models.Task]],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> list[Any]:
        """Load a page of the history of each."""
        make = partial(history_listing, info.context.require_caller())
        return await HISTORY.connect(info, ids_of(parents), make, PageArguments(first, after, last, before))

    @needing("user_id", graphql_type=User, description="Whose task it is.")
    @staticmethod
    @batched
    async def owner(parents: strawberry.Parent[list[models.Task]], info: Info) -> list[Any]:
        """Load the owners."""
        return await load_owners(info, parents)


async def load_task(info: Info, task_id: str) -> Any:
    """Load the caller's task of an id with the columns that are selected."""
    caller, columns = info.context.require_caller(), selected_columns(info, models.Task)
    return await find_node(info.context.database.batch_loader, caller, ((models.Task, columns),), task_id)


@strawberry.type(description="A task as made or changed.")
class TaskPayload:
    """The answer of mutations of one task."""

    task: Task | None = strawberry.field(
        default=None, description="The task; after a CONFLICT over expectedRevision, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.type(description="Tasks as made or changed.")
class TasksPayload:
    """The answer of mutations of several tasks."""

    tasks: list[Task] = strawberry.field(default_factory=list, description="The tasks, in the order asked for.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@create_input(models.Task)
class CreateTaskInput(CreateInput):
    """Everything that a task is made from."""


@strawberry.input(description="Tasks to make, all or none.")
class CreateTasksInput:
    """Up to 100 tasks."""

    tasks: list[CreateTaskInput] = strawberry.field(description="Up to 100; a parent stands before its subtasks.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="Sent again with the same input, it gives the first answer again."
    )


@update_input(models.Task)
class UpdateTaskInput(UpdateInput):
    """A task and its changes."""


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
