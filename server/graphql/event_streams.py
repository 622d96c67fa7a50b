"""GraphQL over server-sent events (graphql-sse, distinct connections mode)."""

from contextlib import aclosing
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from core.errors import TasktalkError
from graph.context import Context, Runtime
from server.graphql.execution import require_post_for_mutations
from server.graphql.streaming import Streaming
from server.http.authentication import authenticate
from server.http.connections import TooManyConnectionsError
from server.http.errors import FormattedError, RefusedError, refuse, refuse_for
from server.http.event_stream import EventStream
from server.http.headers import get_request_headers
from server.http.request_body import GraphQLRequest, read_json_request, read_query_string
from server.observability.request_log import OperationOutcome, RequestRecord, get_request_record

_COMPLETE: Final = b"event: complete\ndata:\n\n"


class GraphQLEventStream(EventStream):
    """The results of a GraphQL operation."""

    def __init__(self, context: Context, request: GraphQLRequest, streaming: Streaming) -> None:
        super().__init__(context.caller, streaming.settings)
        self._context = context
        self._request = request
        self._streaming = streaming

    def format_final_error(self, error: FormattedError) -> bytes:
        """Return the event that ends the stream with an error."""
        return _event({"errors": [error]}) + _COMPLETE

    async def send_events(self) -> None:
        """Send the results."""
        try:
            async with aclosing(self._streaming.results(self._request, self._context)) as results:
                async for result in results:
                    await self.send(_event(result))
        except RefusedError as refusal:
            await self.send(_event({"errors": list(refusal.errors)}))
        self.final_bytes = _COMPLETE


def _event(result: dict[str, Any]) -> bytes:
    return b"event: next\ndata: " + orjson.dumps(result) + b"\n\n"


def wants_events(scope: Scope) -> bool:
    """Return whether the client accepts only events; one that accepts JSON too gets events for subscriptions alone."""
    headers = get_request_headers(scope)
    return headers.accepts_events and headers.media_type is None


class GraphQLEventStreamEndpoint:
    """ASGI application for the requests that accept only text/event-stream."""

    def __init__(self, streaming: Streaming) -> None:
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, unless its client has disconnected."""
        record = get_request_record(scope)
        try:
            stream = await self._open(scope, receive)
        except RefusedError as refusal:
            record.outcome = OperationOutcome.REFUSED
            answer = JSONResponse({"errors": refusal.errors}, refusal.status)
            answer.raw_headers.extend(refusal.headers)
            await answer(scope, receive, send)
            return
        except ClientDisconnect:
            return
        await self.serve(stream, scope, receive, send)

    async def serve(self, stream: GraphQLEventStream, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an open stream to its end."""
        get_request_record(scope).outcome = OperationOutcome.OK
        try:
            await stream.serve(scope, receive, send)
        finally:
            self._streaming.connections.remove(stream)

    async def _open(self, scope: Scope, receive: Receive) -> GraphQLEventStream:
        runtime: Runtime = scope["app"].state.runtime
        record, headers = get_request_record(scope), get_request_headers(scope)
        try:
            caller = await authenticate(headers.credentials, runtime)
        except TasktalkError as error:
            raise refuse_for(error) from None
        record.user_id = caller.user_id if caller else None
        request = await self._read(scope, receive)
        self._check_method(request, scope["method"], record)
        context = Context(runtime, caller, record.request_id, (scope.get("client") or ("",))[0])
        return self.open(context, request)

    def open(self, context: Context, request: GraphQLRequest) -> GraphQLEventStream:
        """Return a registered stream; refuse it if the user has too many."""
        stream = GraphQLEventStream(context, request, self._streaming)
        try:
            self._streaming.connections.add(stream)
        except TooManyConnectionsError as error:
            raise refuse(429, str(error), code="RATE_LIMITED") from None
        return stream

    def _check_method(self, request: GraphQLRequest, method: str, record: RequestRecord) -> None:
        try:
            operation = self._streaming.operations.prepare(request)
        except RefusedError:
            # The stream sends the error, as a WebSocket would.
            return
        record.operation = operation.label
        require_post_for_mutations(operation, method)

    async def _read(self, scope: Scope, receive: Receive) -> GraphQLRequest:
        if scope["method"] == "POST":
            max_bytes = self._streaming.settings.graphql_max_body_bytes
            return await read_json_request(get_request_headers(scope).values, receive, max_bytes)
        if scope["method"] == "GET":
            return read_query_string(scope["query_string"])
        raise refuse(405, "Use POST or GET.", headers=((b"allow", b"GET, POST"),))
