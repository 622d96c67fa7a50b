"""The GraphQL type of task changes."""

from typing import Any

import strawberry
from strawberry import auto
from strawberry.utils.str_converters import to_camel_case

import models
from graph.mapping import enum_type, needing, table_type
from graph.references import reference
from graph.run import Run, ToolCall
from graph.scalars import Json
from models.columns import DescribedEnum


class TaskChangeAuthor(DescribedEnum):
    """Who changed a task."""

    USER = "USER", "The person."
    ASSISTANT = "ASSISTANT", "The assistant, by a run."


enum_type(models.HistoryAction, name="TaskChangeKind")
enum_type(TaskChangeAuthor)


@strawberry.type(description="How a field of a task was, and how it became.")
class FieldChange:
    """One field of a change."""

    name: str = strawberry.field(description="The field, by the name that it has in updateTask, such as dueAt.")
    before: Json | None = strawberry.field(description="How it was; null where the task was made.")
    after: Json | None = strawberry.field(description="How it became; null where the task was deleted.")


@table_type(models.HistoryEntry, name="TaskChange")
class TaskChange:
    """One change of a task."""

    id: strawberry.ID = strawberry.field(description="Unique and stable.")
    kind: auto
    created_at: auto

    @needing("before", "after", description="What changed of the task; all of it where it was made or deleted.")
    @staticmethod
    def fields(root: strawberry.Parent[models.HistoryEntry]) -> list[FieldChange]:
        """Return each field with both its values."""
        names = dict.fromkeys((*root.before, *root.after))
        return [_field_change(name, root.before.get(name), root.after.get(name)) for name in names]

    @needing("run_id", description="Who made the change.")
    @staticmethod
    def by(root: strawberry.Parent[models.HistoryEntry]) -> TaskChangeAuthor:
        """Tell by whether there was a run."""
        return TaskChangeAuthor.USER if root.run_id is None else TaskChangeAuthor.ASSISTANT

    run = reference(
        models.Run, "run_id", Run | None, "The run that made it; null where the person did, and where the run is gone."
    )
    tool_call = reference(
        models.ToolCall, "tool_call_id", ToolCall | None, "The tool call that made it; null where there is no run."
    )


def _field_change(name: str, before: Any, after: Any) -> FieldChange:
    return FieldChange(name=to_camel_case(name), before=before, after=after)
