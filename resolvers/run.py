"""Mutations of runs and their tool calls."""

from functools import partial

import strawberry

from graph.context import Info
from graph.payload import answer, mutate
from graph.run import ResolveToolCallInput, RunPayload, RunRefInput
from graph.task import UndoRunPayload, undo_fields
from services.tasks import undo


@strawberry.type
class RunMutation:
    """Mutations of the caller's runs."""

    @strawberry.mutation(description="Stop a run wherever it is executed; the text so far is kept.")
    async def cancel_run(self, info: Info, input: RunRefInput) -> RunPayload:
        """Cancel a run."""
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        return await answer(RunPayload, "run", info.context.changing(assistant.cancel(caller, input.id)))

    @strawberry.mutation(
        description="Approve or reject a tool call that waits for approval; once none is left, its run goes on."
    )
    async def resolve_tool_call(self, info: Info, input: ResolveToolCallInput) -> RunPayload:
        """Approve or reject a tool call."""
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        resolving = assistant.resolve_tool_call(caller, input.id, approve=input.approve)
        return await answer(RunPayload, "run", info.context.changing(resolving))

    @strawberry.mutation(
        description="Take back what a run that has ended changed, as far as nothing else has changed it since."
    )
    async def undo_run(self, info: Info, input: RunRefInput) -> UndoRunPayload:
        """Undo the changes of a run."""
        return await mutate(info, UndoRunPayload, "run", partial(undo.undo_run, run_id=input.id), undo_fields)
