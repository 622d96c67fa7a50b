"""Runs the operations of WebSockets and event streams, and formats their results."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from graphql import OperationType

from core.clock import utc_now
from core.errors import TasktalkError
from core.settings import Settings
from graph.context import Context
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

    async def results(self, request: GraphQLRequest, context: Context) -> AsyncGenerator[dict[str, Any], None]:
        """Yield each result as the client sees it; raise RefusedError for one that cannot begin or go on."""
        try:
            operation = self.operations.prepare(request)
            # Checked again: a document named by its hash may have been registered since the first check.
            require_post_for_mutations(operation, request.method)
            if operation.type is not OperationType.SUBSCRIPTION:
                yield _shown(await self.operations.execution.run(operation, request, context), context)
                return
            began_at = utc_now()
            events = self.operations.subscriptions.events(operation, request, context)
            async with aclosing(events) as following:
                with self.metrics.subscription():
                    async for event in following:
                        yield _shown(event.result, context)
                        self._count(event.happened_at, began_at)
        except TasktalkError as error:
            raise refuse_for(error) from None
        except (RefusedError, asyncio.CancelledError, GeneratorExit):
            raise
        except Exception as error:
            _log.exception("stream failed", request_id=context.request_id)
            raise masked(context.request_id) from error

    def _count(self, happened_at: datetime | None, began_at: datetime) -> None:
        # The lag of an event that was missed during a disconnect is not the server's.
        is_live = happened_at is not None and happened_at >= began_at
        self.metrics.count_event(happened_at if is_live else None)

    async def finish(self) -> None:
        """Wait for the mutations whose streams have ended."""
        await self.operations.execution.finish()


def _shown(result: Any, context: Context) -> dict[str, Any]:
    shown: dict[str, Any] = {"data": result.data}
    if result.errors:
        shown["errors"] = [format_field_error(error, context.request_id) for error in result.errors]
    return shown
