"""GraphQL types, inputs and payloads of tasks, their history and their undoing."""

from functools import partial
from typing import Any

import strawberry
from strawberry import auto
from strawberry.utils.str_converters import to_camel_case

import models
from engine import batched
from graph.connection import Connection, Edge, connect_children, edge_of
from graph.context import Info
from graph.mapping import (
    IDEMPOTENCY_KEY,
    CreateInput,
    Node,
    RefInput,
    UpdateInput,
    create_input,
    enum_type,
    filter_input,
    input_type,
    order_input,
    reads_columns,
    table_type,
    update_input,
)
from graph.payload import UserError
from graph.relations import LazyTask, owner, reference, viewer
from graph.run import Run, ToolCall
from graph.scalars import Json
from models.columns import DescribedEnum
from services.entities.history import history_listing
from services.entities.lists import DateTimeFilter, IntFilter, StringFilter
from services.query.pagination import PageArguments
from services.tasks import undo
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing

for condition in (DateTimeFilter, IntFilter, StringFilter):
    input_type(condition)
filter_input(TaskFilter)
order_input(TaskOrder)


class TaskChangeAuthor(DescribedEnum):
    """Who changed a task."""

    USER = "USER", "The person."
    ASSISTANT = "ASSISTANT", "The assistant, by a run."


enum_type(models.HistoryAction, name="TaskChangeKind")
enum_type(TaskChangeAuthor)


@strawberry.type(description="How a field of a task was, and how it became.")
class FieldChange:
    name: str = strawberry.field(description="The field, by the name that it has in updateTask, such as dueAt.")
    before: Json | None = strawberry.field(description="How it was; null where the task was made.")
    after: Json | None = strawberry.field(description="How it became; null where the task was deleted.")


@table_type(models.HistoryEntry, name="TaskChange")
class TaskChange:
    id: strawberry.ID = strawberry.field(description="Unique and stable.")
    kind: auto
    created_at: auto

    @reads_columns("before", "after", description="What changed of the task; all of it where it was made or deleted.")
    @staticmethod
    def fields(root: strawberry.Parent[models.HistoryEntry]) -> list[FieldChange]:
        names = dict.fromkeys((*root.before, *root.after))
        return [
            FieldChange(name=to_camel_case(name), before=root.before.get(name), after=root.after.get(name))
            for name in names
        ]

    @reads_columns("run_id", description="Who made the change.")
    @staticmethod
    def by(root: strawberry.Parent[models.HistoryEntry]) -> TaskChangeAuthor:
        """Return the assistant where a run made the change."""
        return TaskChangeAuthor.USER if root.run_id is None else TaskChangeAuthor.ASSISTANT

    run = reference(
        models.Run, "run_id", Run | None, "The run that made it; null where the person did, and where the run is gone."
    )
    tool_call = reference(
        models.ToolCall, "tool_call_id", ToolCall | None, "The tool call that made it; null where there is no run."
    )


@table_type(models.Task)
class Task(Node):
    parent = reference(models.Task, "parent_id", LazyTask | None, "The task that this one is a part of.")

    @reads_columns("id", graphql_type=Connection[LazyTask], description="The tasks that this one is made of.")
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
        make = partial(task_listing, info.context.require_caller(), task_filter=filter, order=order_by)
        arguments = PageArguments(first, after, last, before)
        return await connect_children(info, models.Task, "parent_id", parents, make, arguments)

    @reads_columns(
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
        make = partial(history_listing, info.context.require_caller())
        arguments = PageArguments(first, after, last, before)
        return await connect_children(info, models.HistoryEntry, "row_id", parents, make, arguments)

    owner = owner("Whose task it is.")


@strawberry.type(description="A task as made or changed.")
class TaskPayload:
    task: Task | None = strawberry.field(
        default=None, description="The task; after a CONFLICT over expectedRevision, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")
    viewer = viewer()

    @strawberry.field(
        graphql_type=Edge[Task] | None,
        description="The task with its cursor in the list where no order is asked for.",
    )
    @staticmethod
    def task_edge(root: strawberry.Parent["TaskPayload"], info: Info) -> Any:
        return edge_of(info, task_listing, root.task)


@strawberry.type(description="Tasks as made or changed.")
class TasksPayload:
    tasks: list[Task] = strawberry.field(default_factory=list, description="The tasks, in the order asked for.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")
    viewer = viewer()


@create_input(models.Task)
class CreateTaskInput(CreateInput):
    """Input of createTask."""


@strawberry.input(description="Tasks to make, all or none.")
class CreateTasksInput:
    tasks: list[CreateTaskInput] = strawberry.field(description="Up to 100; a parent stands before its subtasks.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)


@update_input(models.Task)
class UpdateTaskInput(UpdateInput):
    """Input of updateTask."""


@strawberry.input(description="A task, by its id.")
class TaskRefInput(RefInput):
    """The id of a task."""


@strawberry.input(description="Tasks to complete or to reopen, all or none.")
class SetTasksCompletedInput:
    ids: list[strawberry.ID] = strawberry.field(description="Up to 100.")
    completed: bool = strawberry.field(description="Whether they shall be done.")


@strawberry.input(description="Tasks to delete, all or none.")
class DeleteTasksInput:
    ids: list[strawberry.ID] = strawberry.field(description="Up to 100.")


def _kept_field(root: strawberry.Parent[undo.KeptChange]) -> str | None:
    return root.field and to_camel_case(root.field)


@strawberry.type(description="A change that was not taken back.")
class KeptChange:
    task_id: strawberry.ID = strawberry.field(description="The task, which may be gone.")
    field: str | None = strawberry.field(
        resolver=_kept_field, description="The field that stays as it is, such as dueAt; null for the whole task."
    )
    message: str = strawberry.field(description="Why, for people.")


@strawberry.type(description="What became of the tasks that a run had changed.")
class UndoRunPayload:
    run: Run | None = strawberry.field(
        default=None, description="The run; after a CONFLICT over how far it is, as it stands now."
    )
    tasks: list[Task] = strawberry.field(
        default_factory=list, description="The tasks that are back, or as they were before, as they now stand."
    )
    deleted_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="The tasks that the run had made and that are gone again."
    )
    kept: list[KeptChange] = strawberry.field(
        default_factory=list, description="What was not taken back, since something else has changed it or needs it."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was taken back.")
    viewer = viewer()
