"""The endpoint's door for event streams: reads the request, and answers with events."""

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from core.errors import TasktalkError
from graph.context import Context, Runtime
from server.bearer import authenticate
from server.errors import RefusedError, refuse, refuse_for
from server.event_stream import EventStream
from server.head import head_of
from server.operations import require_post_for_mutations
from server.presence import TooManyConnectionsError
from server.request_body import GraphQLRequest, read_json_request, read_query_string
from server.request_record import Outcome, RequestRecord, record_of
from server.streaming import Streaming


def wants_events(scope: Scope) -> bool:
    """Tell whether the client reads nothing but events; one that takes JSON too gets that, but for subscriptions."""
    head = head_of(scope)
    return head.takes_events and head.media_type is None


class EventStreams:
    """Serves every request of the endpoint that asks for events."""

    def __init__(self, streaming: Streaming) -> None:
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless its client has gone."""
        record = record_of(scope)
        try:
            stream = await self._open(scope, receive)
        except RefusedError as refusal:
            record.outcome = Outcome.REFUSED
            answer = JSONResponse({"errors": refusal.errors}, refusal.status)
            answer.raw_headers.extend(refusal.headers)
            await answer(scope, receive, send)
            return
        except ClientDisconnect:
            return
        await self.serve(stream, scope, receive, send)

    async def serve(self, stream: EventStream, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an open stream to its end."""
        record_of(scope).outcome = Outcome.OK
        try:
            await stream.serve(scope, receive, send)
        finally:
            self._streaming.presence.leave(stream)

    async def _open(self, scope: Scope, receive: Receive) -> EventStream:
        runtime: Runtime = scope["app"].state.runtime
        record, head = record_of(scope), head_of(scope)
        try:
            caller = await authenticate(head.credentials, runtime)
        except TasktalkError as error:
            raise refuse_for(error) from None
        record.user_id = caller.user_id if caller else None
        request = await self._read(scope, receive)
        self._check_method(request, scope["method"], record)
        context = Context(runtime, caller, record.request_id, (scope.get("client") or ("",))[0])
        return self.open(context, request)

    def open(self, context: Context, request: GraphQLRequest) -> EventStream:
        """Return the stream of a request, counted in; raise the refusal of one too many."""
        stream = EventStream(context, request, self._streaming)
        try:
            self._streaming.presence.enter(stream)
        except TooManyConnectionsError as error:
            raise refuse(429, str(error), code="RATE_LIMITED") from None
        return stream

    def _check_method(self, request: GraphQLRequest, method: str, record: RequestRecord) -> None:
        try:
            operation = self._streaming.operations.prepare(request)
        except RefusedError:
            # The stream tells of it, as a socket would.
            return
        record.operation = operation.label
        require_post_for_mutations(operation, method)

    async def _read(self, scope: Scope, receive: Receive) -> GraphQLRequest:
        if scope["method"] == "POST":
            most_bytes = self._streaming.settings.graphql_max_body_bytes
            return await read_json_request(head_of(scope).headers, receive, most_bytes)
        if scope["method"] == "GET":
            return read_query_string(scope["query_string"])
        raise refuse(405, "Use POST or GET.", headers=((b"allow", b"GET, POST"),))
