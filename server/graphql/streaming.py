"""Runs the operations of WebSockets and event streams, and formats their results."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import structlog
from graphql import ExecutionResult, OperationType

from core.clock import utc_now
from core.errors import TasktalkError
from core.settings import Settings
from graph.context import Context
from server.graphql.documents import PreparedOperation
from server.graphql.execution import Operations, require_post_for_mutations
from server.http.connections import ConnectionRegistry
from server.http.errors import RefusedError, format_field_error, masked, refuse_for
from server.http.request_body import GraphQLRequest
from server.observability.metrics import StreamMetrics

_log = structlog.stdlib.get_logger("streaming")


@dataclass(frozen=True, slots=True)
class Streaming:
    """Runs operations whose results are sent one after another."""

    operations: Operations
    connections: ConnectionRegistry
    settings: Settings
    metrics: StreamMetrics

    async def results(
        self, request: GraphQLRequest, context: Context, operation: PreparedOperation | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Yield each result as the client sees it; raise RefusedError for one that cannot begin or go on."""
        try:
            if operation is None:
                operation = await self.operations.prepare(request, context)
                require_post_for_mutations(operation, request.method)
            if operation.type is not OperationType.SUBSCRIPTION:
                yield _shown(await self.operations.run(operation, request, context), context)
                return
            began_at = utc_now()
            async with aclosing(self.operations.events(operation, request, context)) as events:
                with self.metrics.subscriptions.one_more():
                    async for result, happened_at in events:
                        yield _shown(result, context)
                        # The lag of an event that was missed during a disconnect is not the server's.
                        is_live = happened_at is not None and happened_at >= began_at
                        self.metrics.count_event(happened_at if is_live else None)
        except TasktalkError as error:
            raise refuse_for(error) from None
        except RefusedError:
            raise
        except Exception as error:
            _log.exception("stream failed", request_id=context.request_id)
            raise masked(context.request_id) from error


def _shown(result: ExecutionResult, context: Context) -> dict[str, Any]:
    shown: dict[str, Any] = {"data": result.data}
    if result.errors:
        shown["errors"] = [format_field_error(error, context.request_id) for error in result.errors]
    return shown
