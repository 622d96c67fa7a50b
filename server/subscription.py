"""Runs subscriptions: a stream of source events, each executed like an operation of its own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import strawberry
from graphql import ExecutionResult, create_source_event_stream
from graphql.execution import Executor

from core.errors import UnavailableError
from core.settings import Settings
from graph.context import Context
from server.documents import PreparedOperation
from server.errors import refuse_document
from server.execution import Execution
from server.request_body import GraphQLRequest
from server.schema import core_schema

_RETRY_S: Final = 0.5


class Event(NamedTuple):
    """What a subscription brings, and when it came about, where that is known."""

    result: ExecutionResult
    happened_at: datetime | None


class Subscriptions:
    """Subscribes to operations of one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings, execution: Execution) -> None:
        self._schema = core_schema(schema)
        self._settings = settings
        self._execution = execution

    async def events(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context
    ) -> AsyncGenerator[Event, None]:
        """Yield the results of a subscription; raise the refusal of one that cannot begin."""
        self._execution.check_cost(operation, request)
        source = await self._source(operation, request, context)
        async with aclosing(cast("AsyncGenerator[Any, None]", source)) as payloads:
            async for payload in payloads:
                result = await self._result(operation, request, context, payload)
                yield Event(result, getattr(payload, "happened_at", None))

    async def _result(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, payload: Any
    ) -> ExecutionResult:
        """Return what the subscription gives for an event, which is lost if it goes out while the database is away."""
        while True:
            # Loaders remember, and what they remember of the last event may have changed since.
            context.loaders.clear()
            result = await self._execution.run_event(operation, request, context, payload)
            if not any(isinstance(error.original_error, UnavailableError) for error in result.errors or ()):
                return result
            await asyncio.sleep(_RETRY_S)

    async def _source(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context
    ) -> AsyncIterable[Any]:
        executor = Executor.build(
            self._schema,
            operation.document,
            None,
            context,
            request.variables,
            operation.name,
            hide_suggestions=self._settings.is_production,
        )
        if isinstance(executor, list):
            raise refuse_document(executor, "BAD_USER_INPUT")
        stream = create_source_event_stream(executor)
        if not isinstance(stream, AsyncIterable | ExecutionResult):
            stream = await stream
        if isinstance(stream, ExecutionResult):
            raise refuse_document(stream.errors or (), "BAD_USER_INPUT")
        return stream
