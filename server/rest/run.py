"""The REST routes of runs and their tool calls."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter
from pydantic import Field

import models
from core.errors import NotFoundError
from graph.context import Context
from models import RunStatus, ToolCallStatus
from server.rest.caller import SignedIn
from server.rest.described import problems
from server.rest.entities import row_of
from server.rest.fields import Body, Row
from server.rest.route import RestRoute
from services.conversations.reply import read_reply
from services.query.lookup import not_found, rows_by_id
from services.runs.run_list import tool_calls_by_run

router: Final = APIRouter(prefix="/api", tags=["chat"], route_class=RestRoute)


@row_of(models.ToolCall)
class ToolCall(Row):
    """One use of a tool within a run."""

    id: str = Field(description="Its id, a UUID.")
    name: str
    arguments: dict[str, Any]
    result: Any
    status: ToolCallStatus


@row_of(models.Run)
class Run(Row):
    """The assistant's work on one reply."""

    id: str = Field(description="Its id, a UUID.")
    conversation_id: str = Field(description="The conversation that it answers in.")
    message_id: str = Field(description="The message that it answers.")
    reply_id: str = Field(description="The message that it writes.")
    status: RunStatus
    model: str
    input_tokens: int
    output_tokens: int
    error: str | None
    revision: int
    created_at: datetime
    finished_at: datetime | None


class Answer(Row):
    """A run, what it has said, and what it has done or asks to do."""

    conversation_id: str = Field(description="The conversation; a new one where none was named.")
    message_id: str = Field(description="The message that is answered.")
    reply_id: str = Field(description="The assistant's message.")
    run_id: str = Field(description="The assistant's work on it.")
    status: RunStatus = Field(description="How far the run is.")
    response: str = Field(description="What the assistant has said so far.")
    tool_calls: list[ToolCall] = Field(description="The tools that it has called, or asks to call, in that order.")
    error: str | None = Field(description="Why the run failed, in a plain sentence.")


class Decision(Body):
    """What the person has decided."""

    approve: bool = Field(description="Whether the tool may do it.")


RUN_COLUMNS: Final = frozenset(Run.model_fields)
TOOL_CALL_COLUMNS: Final = frozenset(ToolCall.model_fields) | {"revision", "position"}


async def read_answer(context: Context, run_id: str, path: tuple[str, ...] = ("input", "id")) -> Answer:
    """Return a run as it stands."""
    caller = context.require_caller()
    async with context.database.read() as session:
        (run,) = await rows_by_id(session, caller, models.Run, [run_id], RUN_COLUMNS)
        if run is None:
            raise not_found(models.Run, path)
        (calls,) = await tool_calls_by_run(session, caller, [run.id], TOOL_CALL_COLUMNS)
        try:
            reply = await read_reply(session, caller, run.reply_id, 0)
        except NotFoundError:
            raise not_found(models.Run, path) from None
    return Answer(
        conversation_id=run.conversation_id,
        message_id=run.message_id,
        reply_id=run.reply_id,
        run_id=run.id,
        status=run.status,
        response=reply.text,
        tool_calls=[ToolCall.model_validate(call) for call in calls],
        error=run.error,
    )


@router.get("/runs/{run_id}", responses=problems(401, 404))
async def read_run(context: SignedIn, run_id: str) -> Answer:
    """Read a run as it stands, with what it has said and done."""
    return await read_answer(context, run_id)


@router.post("/runs/{run_id}/cancel", responses=problems(401, 404, 409))
async def cancel_run(context: SignedIn, run_id: str) -> Run:
    """Stop a run wherever it is executed; the text so far is kept."""
    return Run.model_validate(await context.runtime.assistant.cancel(context.require_caller(), run_id))


@router.post("/tool-calls/{tool_call_id}/resolve", responses=problems(401, 404, 409, body=True))
async def resolve_tool_call(context: SignedIn, tool_call_id: str, body: Decision) -> Run:
    """Approve or reject a tool call that waits for approval; once none is left, its run goes on."""
    resolving = context.runtime.assistant.resolve_tool_call(
        context.require_caller(), tool_call_id, approve=body.approve
    )
    return Run.model_validate(await resolving)
