"""GraphQL over server-sent events (graphql-sse, distinct connections mode)."""

from contextlib import aclosing
from typing import Any, Final

import orjson

from graph.context import Context
from server.graphql.documents import PreparedOperation
from server.graphql.streaming import Streaming
from server.http.errors import FormattedError, RefusedError
from server.http.event_stream import EventStream
from server.http.request_body import GraphQLRequest

_COMPLETE: Final = b"event: complete\ndata:\n\n"


class GraphQLEventStream(EventStream):
    """The results of a GraphQL operation; one that is not prepared yet is refused by an event."""

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
