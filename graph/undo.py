"""What taking back a run answers."""

from functools import partial
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from core.errors import ConflictError, TasktalkError
from graph.context import Info
from graph.payload import UserError, as_data
from graph.run import Run
from graph.task import Task
from services.tasks import undo


@strawberry.type(description="A change that was not taken back.")
class KeptChange:
    """What stays, and why."""

    task_id: strawberry.ID = strawberry.field(description="The task, which may be gone.")
    field: str | None = strawberry.field(
        description="The field that stays as it is, such as dueAt; null for the whole task."
    )
    message: str = strawberry.field(description="Why, for people.")


@strawberry.type(description="What became of the tasks that a run had changed.")
class UndoRunPayload:
    """The answer of undoRun."""

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


async def undo_run(info: Info, run_id: str) -> UndoRunPayload:
    """Take back a run of the caller's."""
    info.context.require_caller()
    try:
        undone = await info.context.write(partial(undo.undo_run, run_id=run_id))
    except TasktalkError as error:
        current: Any = error.current if isinstance(error, ConflictError) else None
        return UndoRunPayload(run=current, errors=[as_data(error)])
    parts: dict[str, Any] = {"run": undone.run, "tasks": undone.tasks, "deleted_ids": undone.deleted_ids}
    return UndoRunPayload(**parts, kept=[_kept(each) for each in undone.kept])


def _kept(kept: undo.KeptChange) -> KeptChange:
    name = None if kept.field is None else to_camel_case(kept.field)
    return KeptChange(task_id=strawberry.ID(kept.task_id), field=name, message=kept.message)
