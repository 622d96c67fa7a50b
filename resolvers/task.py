"""Queries and mutations of tasks."""

from functools import partial
from typing import Any

import strawberry

import models
from graph.connection import Connection, connect
from graph.context import Info
from graph.payload import DeletePayload, create, create_row, delete_row, mutate, update_row
from graph.relations import load_row
from graph.task import (
    CreateTaskInput,
    CreateTasksInput,
    DeleteTasksInput,
    SetTasksCompletedInput,
    Task,
    TaskPayload,
    TaskRefInput,
    TasksPayload,
    UpdateTaskInput,
)
from services.query.pagination import PageArguments
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing
from services.tasks.tasks import tasks


@strawberry.type
class TaskQuery:
    """Queries of the caller's tasks."""

    @strawberry.field(graphql_type=Task | None, description="The caller's task of an id.")
    async def task(self, info: Info, id: strawberry.ID) -> Any:
        """Load one task."""
        return await load_row(info, models.Task, id)

    @strawberry.field(
        graphql_type=Connection[Task],
        description="The caller's tasks, in the order of their making where no order is asked for.",
    )
    async def tasks(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: TaskFilter | None = None,
        order_by: list[TaskOrder] | None = None,
    ) -> Any:
        """Load a page of tasks."""
        make = partial(task_listing, info.context.require_caller(), task_filter=filter, order=order_by)
        return await connect(info, models.Task, make, PageArguments(first, after, last, before))


@strawberry.type
class TaskMutation:
    """Mutations of the caller's tasks."""

    @strawberry.mutation(description="Make a task.")
    async def create_task(self, info: Info, input: CreateTaskInput) -> TaskPayload:
        """Create a task."""
        return await create_row(info, TaskPayload, tasks, input)

    @strawberry.mutation(description="Make up to 100 tasks, all or none.")
    async def create_tasks(self, info: Info, input: CreateTasksInput) -> TasksPayload:
        """Create several tasks."""
        new = [task.to_new() for task in input.tasks]
        work = partial(tasks.create_many_alone, new=new, idempotency_key=input.idempotency_key)
        return await create(info, TasksPayload, "tasks", work)

    @strawberry.mutation(description="Change what is given of a task: what is left out stays, null clears.")
    async def update_task(self, info: Info, input: UpdateTaskInput) -> TaskPayload:
        """Update a task."""
        return await update_row(info, TaskPayload, tasks, input)

    @strawberry.mutation(description="Complete an open task, reopen a completed one.")
    async def toggle_task(self, info: Info, input: TaskRefInput) -> TaskPayload:
        """Toggle a task."""
        work = partial(tasks.toggle, row_id=input.id, expected_revision=input.expected_revision)
        return await mutate(info, TaskPayload, "task", work)

    @strawberry.mutation(description="Complete or reopen up to 100 tasks, all or none.")
    async def set_tasks_completed(self, info: Info, input: SetTasksCompletedInput) -> TasksPayload:
        """Complete or reopen several tasks."""
        work = partial(tasks.update_many, row_ids=input.ids, changes={"completed": input.completed})
        return await mutate(info, TasksPayload, "tasks", work)

    @strawberry.mutation(description="Delete a task with its subtasks.")
    async def delete_task(self, info: Info, input: TaskRefInput) -> DeletePayload:
        """Delete a task."""
        return await delete_row(info, tasks, input)

    @strawberry.mutation(description="Delete up to 100 tasks with their subtasks, all or none.")
    async def delete_tasks(self, info: Info, input: DeleteTasksInput) -> DeletePayload:
        """Delete several tasks."""
        return await mutate(info, DeletePayload, "deleted_ids", partial(tasks.delete_many, row_ids=input.ids))
