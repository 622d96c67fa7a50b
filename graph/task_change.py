"""The GraphQL type of task changes."""

from enum import StrEnum
from functools import partial
from typing import Any, Final

import strawberry
from strawberry import auto
from strawberry.utils.str_converters import to_camel_case

import models
from graph.connection import Relation
from graph.context import Info
from graph.loaders import RunById, TaskChangeCountByTask, TaskChangesByTask, ToolCallById
from graph.mapping import enum_type, needing, table_type
from graph.run import Run
from graph.scalars import Json
from graph.selection import selected_columns
from graph.tool_call import ToolCall
from services.paging import PageArguments
from services.task_history import history_listing

CHANGES: Final = Relation(models.TaskChange, TaskChangesByTask, TaskChangeCountByTask)


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

    @needing("run_id", description="The run that made it; null where the person did, and where the run is gone.")
    @staticmethod
    async def run(root: strawberry.Parent[models.TaskChange], info: Info) -> Run | None:
        """Load the run."""
        return await _load(info, RunById, models.Run, root.run_id)

    @needing("tool_call_id", description="The tool call that made it; null where there is no run.")
    @staticmethod
    async def tool_call(root: strawberry.Parent[models.TaskChange], info: Info) -> ToolCall | None:
        """Load the tool call."""
        return await _load(info, ToolCallById, models.ToolCall, root.tool_call_id)


def _field_change(name: str, before: Any, after: Any) -> FieldChange:
    return FieldChange(name=to_camel_case(name), before=before, after=after)


async def _load(info: Info, by_id: type[RunById | ToolCallById], model: Any, row_id: str | None) -> Any:
    if row_id is None:
        return None
    caller = info.context.require_caller()
    return await info.context.loader(info, lambda: by_id(caller, selected_columns(info, model))).load(row_id)


async def load_history(info: Info, task_id: str, arguments: PageArguments) -> Any:
    """Load a page of a task's history."""
    return await CHANGES.connect(info, task_id, partial(history_listing, info.context.require_caller()), arguments)
