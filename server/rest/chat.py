"""The REST routes that talk to the assistant."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header
from pydantic import Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from core.errors import NotFoundError
from graph.context import Context
from server.http.connections import ConnectionRegistry
from server.http.disconnect import on_disconnect
from server.rest.caller import SignedIn
from server.rest.chat_stream import LAST_EVENT_ID, ChatStream, Position, StreamedChat, read_position
from server.rest.described import problems
from server.rest.fields import Body, IdempotencyKey, text
from server.rest.route import RestRoute
from server.rest.run import Answer, read_answer
from services.runs.run import UserMessage

router: Final = APIRouter(prefix="/api/chat", tags=["chat"], route_class=RestRoute)

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The id of the last event that came; what comes after it follows."),
]
_EVENT: Final = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["run", "text", "tool_call", "approval_needed", "done", "problem"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
        "id": {"type": "string"},
        "retry": {"type": "integer"},
    },
    "required": ["event", "data"],
}
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`run` first; then, as they come, `text` (a piece of the reply), `tool_call` (one that began "
        "or ended) and `approval_needed` (one to be decided on); at last `done` with the whole answer, or `problem`.",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
    },
    204: {"description": "Everything has come, `done` included."},
}


class ChatMessage(Body):
    """A message for the assistant."""

    message: str = text("1 to 100,000 characters.", most=100_000)
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


@router.post("", responses=problems(401, 404, 409, 429, body=True))
async def chat(context: SignedIn, body: ChatMessage, request: Request, key: IdempotencyKey = None) -> Answer:
    """Ask the assistant, and wait until it has answered or needs an approval; it goes on when the client leaves."""
    assistant, caller = context.runtime.assistant, context.require_caller()
    started = await assistant.send_message(caller, body.to_message(key))
    try:
        with on_disconnect(request.receive, context.mark_disconnected):
            run = await context.wait_while_connected(assistant.wait_for_run(caller, started.run.id))
        if run is None:
            raise ClientDisconnect
        return await read_answer(context, run.id)
    except NotFoundError:
        raise NotFoundError("The conversation was deleted before the reply was complete.") from None


@router.post("/stream", response_class=StreamingResponse, responses=problems(401, 404, 409, 429, body=True) | _EVENTS)
async def stream_chat(
    context: SignedIn, body: ChatMessage, request: Request, key: IdempotencyKey = None, last: LastEventId = None
) -> Response:
    """Ask the assistant and follow its answer as server-sent events; with a Last-Event-ID, go on with that answer."""
    if last is not None:
        return await _stream(context, request, read_position(last), LAST_EVENT_ID)
    started = await context.runtime.assistant.send_message(context.require_caller(), body.to_message(key))
    return await _stream(context, request, Position(started.run.id))


@router.get("/stream/{run_id}", response_class=StreamingResponse, responses=problems(401, 404, 429) | _EVENTS)
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
    presence: ConnectionRegistry = request.app.state.connections
    return StreamedChat(ChatStream(context, answer, position), presence)
