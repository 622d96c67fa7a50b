"""The GraphQL type of task changes."""

from enum import StrEnum
from typing import Any

import strawberry
from strawberry import auto
from strawberry.utils.str_converters import to_camel_case

import models
from engine import batched
from graph.context import Info
from graph.loaders import RunById, ToolCallById
from graph.mapping import enum_type, needing, table_type
from graph.run import Run
from graph.scalars import Json
from graph.selection import selected_columns
from graph.tool_call import ToolCall


class TaskChangeAuthor(StrEnum):
    """Who changed a task."""

    USER = "USER"
    ASSISTANT = "ASSISTANT"


enum_type(TaskChangeAuthor)


@strawberry.type(description="How a field of a task was, and how it became.")
class FieldChange:
    """One field of a change."""

    name: str = strawberry.field(description="The field, by the name that it has in updateTask, such as dueAt.")
    before: Json | None = strawberry.field(description="How it was; null where the task was made.")
    after: Json | None = strawberry.field(description="How it became; null where the task was deleted.")


@table_type(models.TaskChange)
class TaskChange:
    """One change of a task."""

    id: strawberry.ID = strawberry.field(description="Unique and stable.")
    kind: auto
    created_at: auto

    @needing("before", "after", description="What changed of the task; all of it where it was made or deleted.")
    @staticmethod
    def fields(root: strawberry.Parent[models.TaskChange]) -> list[FieldChange]:
        """Return each field with both its values."""
        names = dict.fromkeys((*root.before, *root.after))
        return [_field_change(name, root.before.get(name), root.after.get(name)) for name in names]

    @needing("run_id", description="Who made the change.")
    @staticmethod
    def by(root: strawberry.Parent[models.TaskChange]) -> TaskChangeAuthor:
        """Tell by whether there was a run."""
        return TaskChangeAuthor.USER if root.run_id is None else TaskChangeAuthor.ASSISTANT

    @needing(
        "run_id",
        graphql_type=Run | None,
        description="The run that made it; null where the person did, and where the run is gone.",
    )
    @staticmethod
    @batched
    async def run(parents: strawberry.Parent[list[models.TaskChange]], info: Info) -> list[Any]:
        """Load the runs."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.Run)
        return await info.context.load(RunById(caller, columns), [change.run_id for change in parents])

    @needing(
        "tool_call_id",
        graphql_type=ToolCall | None,
        description="The tool call that made it; null where there is no run.",
    )
    @staticmethod
    @batched
    async def tool_call(parents: strawberry.Parent[list[models.TaskChange]], info: Info) -> list[Any]:
        """Load the tool calls."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.ToolCall)
        return await info.context.load(ToolCallById(caller, columns), [change.tool_call_id for change in parents])


def _field_change(name: str, before: Any, after: Any) -> FieldChange:
    return FieldChange(name=to_camel_case(name), before=before, after=after)
