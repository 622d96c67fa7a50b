"""The GraphQL endpoint: GraphQL over HTTP and over server-sent events, as a plain ASGI application."""

from contextlib import aclosing
from typing import Any, Final

import orjson
from graphql import ExecutionResult, OperationType
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from core.errors import TasktalkError
from graph.context import Context, Runtime
from server.graphql.documents import PreparedOperation
from server.graphql.execution import require_post_for_mutations
from server.graphql.streaming import Streaming
from server.http.authentication import open_context
from server.http.errors import RETRY_AFTER, FormattedError, Header, RefusedError, format_field_error, refuse, refuse_for
from server.http.event_stream import EventStream
from server.http.headers import MediaType, RequestHeaders, get_request_headers, preferred_media_type
from server.http.pages import Page
from server.http.rate_limit import charge
from server.http.request_body import GraphQLRequest, read_json_request, read_query_string
from server.http.session_cookie import read_session_cookie, set_cookie_headers
from server.observability.request_log import OperationOutcome, RequestRecord, get_request_record

_NO_STORE: Final = (b"cache-control", b"no-store")
# The answer depends on it, and a cache between us and the client must know.
_VARY: Final = (b"vary", b"Accept, Authorization")
_JSON, _GRAPHQL_RESPONSE = (
    ((b"content-type", f"{media_type.value}; charset=utf-8".encode()), _NO_STORE, _VARY)
    for media_type in (MediaType.JSON, MediaType.GRAPHQL_RESPONSE)
)
_COMPLETE: Final = b"event: complete\ndata:\n\n"
# Of a stream that is refused.
_PLAIN_JSON: Final = ((b"content-type", b"application/json"),)


class GraphQLResponse:
    """The response to an operation: status, headers without the length, body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, content: dict[str, Any], headers: tuple[Header, ...]) -> None:
        self.status = status
        self.headers = headers
        self.body = orjson.dumps(content)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [*self.headers, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class GraphQLEventStream(EventStream):
    """The results of an operation as events (graphql-sse, distinct connections mode)."""

    def __init__(
        self, context: Context, request: GraphQLRequest, operation: PreparedOperation | None, streaming: Streaming
    ) -> None:
        super().__init__(context.caller, streaming.settings, streaming.connections)
        self._results = streaming.results(request, context, operation)

    def format_final_error(self, error: FormattedError) -> bytes:
        """Return the event that ends the stream with an error."""
        return _event({"errors": [error]}) + _COMPLETE

    async def send_events(self) -> None:
        """Send the results."""
        try:
            async with aclosing(self._results) as results:
                async for result in results:
                    await self.send(_event(result))
        except RefusedError as refusal:
            await self.send(_event({"errors": refusal.errors}))
        self.final_bytes = _COMPLETE


def _event(result: dict[str, Any]) -> bytes:
    return b"event: next\ndata: " + orjson.dumps(result) + b"\n\n"


class GraphQLEndpoint:
    """Answers POST and GET on its path; `graphiql` is the page for browsers, or None where it is off."""

    def __init__(self, streaming: Streaming, runtime: Runtime, graphiql: Page | None) -> None:
        self._streaming = streaming
        self._operations = streaming.operations
        self._runtime = runtime
        self._max_body_bytes = runtime.settings.graphql_max_body_bytes
        self._graphiql = graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request in the media type that its client prefers, unless the client has disconnected."""
        headers, record = get_request_headers(scope), get_request_record(scope)
        media_type = headers.media_type
        # A client that accepts JSON too gets events for subscriptions alone.
        only_events = media_type is None and headers.accepts_events
        if scope["method"] == "GET" and not only_events:
            media_type = preferred_media_type(headers.values.get(b"accept", b"*/*"), html_offered=True)
        if media_type is MediaType.HTML and self._graphiql:
            await self._graphiql.response()(scope, receive, send)
            return
        response: GraphQLResponse | GraphQLEventStream
        try:
            if media_type is MediaType.HTML:
                raise refuse(404, "There is no page here; send GraphQL operations by POST.", code="NOT_FOUND")
            if media_type is None and not only_events:
                raise refuse(406, "Accept application/graphql-response+json or application/json.")
            response = await self._execute(media_type, scope, receive)
        except RefusedError as refusal:
            response = _refused(refusal, media_type, record, only_events=only_events)
        except TasktalkError as error:
            response = _refused(refuse_for(error), media_type, record, only_events=only_events)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _execute(
        self, media_type: MediaType | None, scope: Scope, receive: Receive
    ) -> GraphQLResponse | GraphQLEventStream:
        """Return the response; `media_type` is None where the client accepts only events."""
        headers, record = get_request_headers(scope), get_request_record(scope)
        context = await open_context(scope, self._runtime, headers.credentials, record.request_id)
        record.user_id = context.user_id
        try:
            context.cookie = read_session_cookie(scope, self._runtime.settings)
            request = await self._read(headers, scope, receive)
        except RefusedError:
            await charge(self._runtime, context.user_id, context.client_address)
            raise
        try:
            operation = await self._operations.prepare(request, context)
        except RefusedError:
            if media_type is not None:
                raise
            # The stream sends the error, as a WebSocket would.
            record.outcome = OperationOutcome.OK
            return GraphQLEventStream(context, request, None, self._streaming)
        record.operation = operation.label
        require_post_for_mutations(operation, scope["method"])
        is_subscription = operation.type is OperationType.SUBSCRIPTION
        if media_type is None and context.cookie is not None and operation.type is OperationType.MUTATION:
            raise refuse(400, "A stream sets no cookie: in cookie mode send mutations with Accept: application/json.")
        if media_type is None or (is_subscription and headers.accepts_events):
            record.outcome = OperationOutcome.OK
            return GraphQLEventStream(context, request, operation, self._streaming)
        if is_subscription:
            raise refuse(400, "Subscribe over a socket, or with Accept: text/event-stream.")
        result = await self._operations.run(operation, request, context, receive)
        response = _format(result, operation, media_type, record)
        response.headers += set_cookie_headers(context.cookie, scope, self._runtime.settings, scope["path"])
        return response

    async def _read(self, headers: RequestHeaders, scope: Scope, receive: Receive) -> GraphQLRequest:
        if scope["method"] == "POST":
            return await read_json_request(headers.values, receive, self._max_body_bytes)
        if scope["method"] == "GET":
            return read_query_string(scope["query_string"])
        raise refuse(405, "Use POST, or GET for queries.", headers=((b"allow", b"GET, POST"),))


def _headers(media_type: MediaType | None) -> tuple[Header, ...]:
    return _GRAPHQL_RESPONSE if media_type is MediaType.GRAPHQL_RESPONSE else _JSON


def _refused(
    refusal: RefusedError, media_type: MediaType | None, record: RequestRecord, *, only_events: bool
) -> GraphQLResponse:
    record.outcome = OperationOutcome.REFUSED
    status = refusal.status if media_type is MediaType.GRAPHQL_RESPONSE else refusal.json_status
    headers = _PLAIN_JSON if only_events else _headers(media_type)
    return GraphQLResponse(status, {"errors": refusal.errors}, headers + refusal.headers)


def _format(
    result: ExecutionResult, operation: PreparedOperation, media_type: MediaType, record: RequestRecord
) -> GraphQLResponse:
    headers = _headers(media_type)
    if not result.errors:
        record.outcome = OperationOutcome.OK
        return GraphQLResponse(200, {"data": result.data}, headers)
    record.outcome = OperationOutcome.ERRORS
    errors = [format_field_error(error, record.request_id) for error in result.errors]
    is_unavailable = any(error["extensions"]["code"] == "SERVICE_UNAVAILABLE" for error in errors)
    # What a mutation has done must be returned, so it fails as a whole only if nothing was done.
    if is_unavailable and (operation.type is OperationType.QUERY or not any((result.data or {}).values())):
        return GraphQLResponse(503, {"data": None, "errors": errors}, (*headers, RETRY_AFTER))
    return GraphQLResponse(200, {"data": result.data, "errors": errors}, headers)
