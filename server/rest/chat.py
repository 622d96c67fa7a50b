"""The REST routes of the assistant: chat, runs and their tool calls."""

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from pydantic import Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from core.errors import NotFoundError
from graph.context import Context
from server.http.disconnect import on_disconnect
from server.rest.chat_stream import (
    EVENTS,
    LAST_EVENT_ID,
    Answer,
    ChatStream,
    Position,
    Run,
    read_answer,
    read_position,
)
from server.rest.fields import Body, IdempotencyKey, Row, example, text
from server.rest.problem import problems
from server.rest.route import RestRoute, SignedIn
from server.rest.task import Task
from services.runs.run import UserMessage
from services.tasks import undo

router: Final = APIRouter(prefix="/api/chat", tags=["chat"], route_class=RestRoute)
runs_router: Final = APIRouter(prefix="/api", tags=["chat"], route_class=RestRoute)

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The id of the last event that came; what comes after it follows."),
]


def _event_schema(name: str, data: type[Row]) -> dict[str, Any]:
    content = {"$ref": f"#/components/schemas/{data.__name__}"}
    properties = {
        "event": {"type": "string", "const": name},
        "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": content},
        "id": {"type": "string"},
        "retry": {"type": "integer"},
    }
    return {"type": "object", "properties": properties, "required": ["event", "data"]}


_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`run` first; then, as they come, `text` (a piece of the reply), `tool_call` (one that began "
        "or ended) and `approval_needed` (one to be decided on); at last `done` with the whole answer, or `problem`.",
        "content": {"text/event-stream": {"itemSchema": {"oneOf": list(map(_event_schema, EVENTS, EVENTS.values()))}}},
    },
    204: {"description": "Everything has come, `done` included."},
}


# Named so in /openapi.json, by which clients are generated.
class Said(Body):
    """A message for the assistant."""

    model_config = example(message="Add a task: water the plants tomorrow", time_zone="Europe/Berlin")

    message: str = text("1 to 100,000 characters.", max_length=100_000)
    conversation_id: str | None = Field(
        default=None, description="Where it is said; without one a new conversation begins."
    )
    time_zone: str = Field(
        default="UTC",
        description="The name of the person's time zone, such as Europe/Berlin; dates are read in it.",
        json_schema_extra={"format": "time-zone"},
    )

    def to_message(self, key: str | None) -> UserMessage:
        """Return what the service takes."""
        return UserMessage(self.message, self.conversation_id, self.time_zone, key)


class Unanswered(Body):
    """A message to answer anew."""

    message_id: str = Field(description="The message to answer, or a reply of the assistant to it.")


class Decision(Body):
    """What the person has decided."""

    model_config = example(approve=True)

    approve: bool = Field(description="Whether the tool may do it.")


class KeptChange(Row):
    """A change that was not taken back."""

    task_id: str = Field(description="The task, which may be gone.")
    field: str | None = Field(description="The field that stays as it is, such as due_at; null for the whole task.")
    message: str = Field(description="Why, for people.")


class Undone(Row):
    """What became of the tasks that a run had changed."""

    run: Run = Field(description="The run.")
    tasks: list[Task] = Field(description="The tasks that are back, or as they were before, as they now stand.")
    deleted_ids: list[str] = Field(description="The tasks that the run had made and that are gone again.")
    kept: list[KeptChange] = Field(description="What was not taken back, since something else has changed it since.")


@router.post("", responses=problems(401, 404, 409, body=True))
async def chat(context: SignedIn, body: Said, request: Request, key: IdempotencyKey = None) -> Answer:
    """Ask the assistant, and wait until it has answered or needs an approval; it goes on when the client leaves."""
    started = await context.runtime.assistant.send_message(context.require_caller(), body.to_message(key))
    return await _wait_for_answer(context, request, started.run.id)


@router.post("/regenerate", responses=problems(401, 404, 409, 429, body=True))
async def regenerate_reply(context: SignedIn, body: Unanswered, request: Request, key: IdempotencyKey = None) -> Answer:
    """Let the assistant answer a message anew, and wait as for a new one; what a failed run has done stays done."""
    assistant, caller = context.runtime.assistant, context.require_caller()
    started = await assistant.regenerate_reply(caller, body.message_id, key)
    return await _wait_for_answer(context, request, started.run.id)


async def _wait_for_answer(context: Context, request: Request, run_id: str) -> Answer:
    waiting = context.runtime.assistant.wait_for_run(context.require_caller(), run_id)
    try:
        with on_disconnect(request.receive, context.mark_disconnected):
            run = await context.wait_while_connected(waiting)
        if run is None:
            raise ClientDisconnect
        return await read_answer(context, run.id)
    except NotFoundError:
        raise NotFoundError("The conversation was deleted before the reply was complete.") from None


@router.post("/stream", response_class=StreamingResponse, responses=problems(401, 404, 409, body=True) | _EVENTS)
async def stream_chat(
    context: SignedIn, body: Said, request: Request, key: IdempotencyKey = None, last: LastEventId = None
) -> Response:
    """Ask the assistant and follow its answer as server-sent events; with a Last-Event-ID, go on with that answer."""
    if last is not None:
        return await _stream(context, request, read_position(last), LAST_EVENT_ID)
    started = await context.runtime.assistant.send_message(context.require_caller(), body.to_message(key))
    return await _stream(context, request, Position(started.run.id))


@router.get("/stream/{run_id}", response_class=StreamingResponse, responses=problems(401, 404) | _EVENTS)
async def follow_run(context: SignedIn, run_id: str, request: Request, last: LastEventId = None) -> Response:
    """Follow the answer of a run as server-sent events, from its beginning or from the last event that came."""
    position = Position(run_id) if last is None else read_position(last, run_id)
    return await _stream(context, request, position)


async def _stream(
    context: Context, request: Request, position: Position, path: tuple[str, ...] = ("input", "id")
) -> Response:
    answer = await read_answer(context, position.run_id, path)
    if position.is_done:
        # A browser's EventSource does not reconnect after it.
        return Response(status_code=204)
    return ChatStream(context, answer, position, request.app.state.connections)


@runs_router.get("/runs/{run_id}", responses=problems(401, 404))
async def read_run(context: SignedIn, run_id: str) -> Answer:
    """Read a run as it stands, with what it has said and done."""
    return await read_answer(context, run_id)


@runs_router.post("/runs/{run_id}/cancel", responses=problems(401, 404, 409))
async def cancel_run(context: SignedIn, run_id: str) -> Run:
    """Stop a run wherever it is executed; the text so far is kept."""
    return Run.model_validate(await context.runtime.assistant.cancel(context.require_caller(), run_id))


@runs_router.post("/runs/{run_id}/undo", responses=problems(401, 404, 409))
async def undo_run(context: SignedIn, run_id: str) -> Undone:
    """Take back what a run has changed of tasks, as far as nothing else has changed it since."""
    return Undone.model_validate(await context.write(partial(undo.undo_run, run_id=run_id)))


@runs_router.post("/tool-calls/{tool_call_id}/resolve", responses=problems(401, 404, 409, body=True))
async def resolve_tool_call(context: SignedIn, tool_call_id: str, body: Decision) -> Run:
    """Approve or reject a tool call that waits for approval; once none is left, its run goes on."""
    resolving = context.runtime.assistant.resolve_tool_call(
        context.require_caller(), tool_call_id, approve=body.approve
    )
    return Run.model_validate(await resolving)
