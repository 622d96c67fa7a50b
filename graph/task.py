"""The GraphQL type of tasks."""

from functools import partial
from typing import Any, Final

import strawberry
from strawberry import auto

import models
from graph.connection import Connection, Relation
from graph.context import Info
from graph.loaders import SubtaskCountByTask, SubtasksByTask, TaskById
from graph.mapping import enum_type, input_type, needing, table_type
from graph.node import Node
from graph.payload import UserError
from graph.selection import selected_columns
from graph.task_change import TaskChange, load_history
from graph.user import User, load_owner
from services.paging import PageArguments
from services.task_filter import DateTimeFilter, StringFilter, TaskFilter
from services.task_list import TaskOrder, TaskOrderField, task_listing

for services_enum in (models.TaskPriority, TaskOrderField):
    enum_type(services_enum)
for services_input in (TaskOrder, DateTimeFilter, StringFilter, TaskFilter):
    input_type(services_input)

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

    @needing("parent_id", description="The task that this one is a part of.")
    @staticmethod
    async def parent(root: strawberry.Parent[models.Task], info: Info) -> "Task | None":
        """Load the parent."""
        return await load_task(info, root.parent_id)

    @needing("id", description="The tasks that this one is made of.")
    @staticmethod
    async def subtasks(
        root: strawberry.Parent[models.Task],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: TaskFilter | None = None,
        order_by: list[TaskOrder] | None = None,
    ) -> Connection["Task"]:
        """Load a page of the subtasks."""
        make = partial(task_listing, info.context.require_caller(), task_filter=filter, order=order_by)
        return await SUBTASKS.connect(info, root.id, make, PageArguments(first, after, last, before))

    @needing("id", description="What was changed of it, and by whom, the oldest first.")
    @staticmethod
    async def history(
        root: strawberry.Parent[models.Task],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[TaskChange]:
        """Load a page of the history."""
        return await load_history(info, root.id, PageArguments(first, after, last, before))

    @needing("user_id", description="Whose task it is.")
    @staticmethod
    async def owner(root: strawberry.Parent[models.Task], info: Info) -> User:
        """Load the owner."""
        return await load_owner(info, root.user_id)


async def load_task(info: Info, task_id: str | None) -> Any:
    """Load the caller's task of an id with the columns that are selected."""
    if task_id is None:
        return None
    caller = info.context.require_caller()
    loader = info.context.loader(info, lambda: TaskById(caller, selected_columns(info, models.Task)))
    return await loader.load(task_id)


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
