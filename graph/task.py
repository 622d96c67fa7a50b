"""The GraphQL type of tasks."""

from functools import partial
from typing import Any, Final

import strawberry
from strawberry import auto

import models
from engine import batched
from graph.connection import Connection, Relation
from graph.context import Info
from graph.lazy import LazyTask
from graph.loaders import SubtaskCountByTask, SubtasksByTask, TaskById, TaskChangeCountByTask, TaskChangesByTask
from graph.mapping import enum_type, input_type, needing, table_type
from graph.node import Node, ids_of
from graph.payload import UserError
from graph.selection import selected_columns
from graph.task_change import TaskChange
from graph.user import User, load_owners
from services.query.lookup import find_node
from services.query.pagination import PageArguments
from services.task_filter import DateTimeFilter, StringFilter, TaskFilter
from services.task_history import history_listing
from services.task_list import TaskOrder, TaskOrderField, task_listing

for services_enum in (models.TaskPriority, TaskOrderField):
    enum_type(services_enum)
for services_input in (TaskOrder, DateTimeFilter, StringFilter, TaskFilter):
    input_type(services_input)

CHANGES: Final = Relation(models.TaskChange, TaskChangesByTask, TaskChangeCountByTask)
SUBTASKS: Final = Relation(models.Task, SubtasksByTask, SubtaskCountByTask)


@table_type(models.Task)
class Task(Node):
    """Something to do."""

    title: auto
    description: auto
    completed: auto
    completed_at: auto
    priority: auto
    due_at: auto
    tags: auto
    revision: auto
    created_at: auto
    updated_at: auto

    @needing("parent_id", graphql_type=LazyTask | None, description="The task that this one is a part of.")
    @staticmethod
    @batched
    async def parent(parents: strawberry.Parent[list[models.Task]], info: Info) -> list[Any]:
        """Load the parents."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.Task)
        return await info.context.load(TaskById(caller, columns), [task.parent_id for task in parents])

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
        return await CHANGES.connect(info, ids_of(parents), make, PageArguments(first, after, last, before))

    @needing("user_id", graphql_type=User, description="Whose task it is.")
    @staticmethod
    @batched
    async def owner(parents: strawberry.Parent[list[models.Task]], info: Info) -> list[Any]:
        """Load the owners."""
        return await load_owners(info, parents)


async def load_task(info: Info, task_id: str) -> Any:
    """Load the caller's task of an id with the columns that are selected."""
    caller, columns = info.context.require_caller(), selected_columns(info, models.Task)
    return await find_node(info.context.database.gathered, caller, ((models.Task, columns),), task_id)


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
