"""OperationExecutor of prepared operations: cost limit, time limit, cancellation, subscriptions."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import strawberry
from graphql import ExecutionResult, OperationType, create_source_event_stream, execute
from graphql.execution import Executor
from starlette.types import Receive
from strawberry.execution.is_awaitable import optimized_is_awaitable

from core.errors import QueryTooComplexError, UnavailableError
from core.settings import GraphQLEngine, Settings
from core.tasks import run_to_completion
from graph.context import Context
from server.graphql.documents import Documents, NamedDocuments, PreparedDocument, PreparedOperation
from server.graphql.schema import core_schema
from server.http.disconnect import on_disconnect, run_until_disconnect
from server.http.errors import RefusedError, refuse, refuse_document, refuse_for
from server.http.request_body import GraphQLRequest

QUERY_TIMEOUT_S: Final = 60.0


class OperationExecutor:
    """Executes operations on one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings) -> None:
        self._schema = core_schema(schema)
        self._is_breadth_first = settings.graphql_engine is GraphQLEngine.BREADTH_FIRST
        self._hide_suggestions = settings.is_production
        self._max_cost = settings.graphql_max_cost
        self._mutations: set[asyncio.Task[ExecutionResult]] = set()
        self._options: dict[str, Any] = {
            "executor_class": schema.execution_context_class,
            "operation_extensions": None,
            "is_awaitable": optimized_is_awaitable,
            "hide_suggestions": self._hide_suggestions,
        }

    async def run(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, receive: Receive | None = None
    ) -> ExecutionResult:
        """Return what the operation gives; raise the refusal of one that is not executed at all.

        With `receive` given, a query ends where its client has gone.
        """
        self.check_cost(operation, request)
        work = self.execute(operation, request, context)
        try:
            result = await self._supervise(operation, work, context, receive)
        except TimeoutError:
            raise _too_slow() from None
        if result.data is None and result.errors and not any(error.path for error in result.errors):
            raise refuse_document(result.errors, "BAD_USER_INPUT")
        return result

    async def _supervise(
        self,
        operation: PreparedOperation,
        work: Coroutine[Any, Any, ExecutionResult],
        context: Context,
        receive: Receive | None,
    ) -> ExecutionResult:
        if operation.type is OperationType.QUERY:
            if receive is not None:
                return await run_until_disconnect(work, receive, QUERY_TIMEOUT_S)
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                return await work
        if receive is None:
            return await self._run_to_completion(work, context)
        # A mutation goes on without its client, for half of it may be done; what only waits for others ends.
        with on_disconnect(receive, context.mark_disconnected):
            return await work

    async def _run_to_completion(
        self, mutation: Coroutine[Any, Any, ExecutionResult], context: Context
    ) -> ExecutionResult:
        """Run a mutation of a stream to completion, even if the stream ends and cancels its operations."""
        try:
            return await run_to_completion(mutation, self._mutations)
        except asyncio.CancelledError:
            context.mark_disconnected()
            raise

    async def finish(self) -> None:
        """Wait for the mutations whose streams have ended."""
        await asyncio.gather(*self._mutations, return_exceptions=True)

    def execute(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, root: Any = None
    ) -> Coroutine[Any, Any, ExecutionResult]:
        """Return what the operation gives; of a subscription, for an event, which is its root."""
        if self._is_breadth_first:
            return operation.plan.execute(root, context, request.variables, hide_suggestions=self._hide_suggestions)
        return self._execute_depth_first(operation, request, context, root)

    async def _execute_depth_first(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, root: Any
    ) -> ExecutionResult:
        result = execute(
            self._schema, operation.document, root, context, request.variables, operation.name, **self._options
        )
        return result if isinstance(result, ExecutionResult) else await result

    def check_cost(self, operation: PreparedOperation, request: GraphQLRequest) -> None:
        """Refuse an operation that may return too much."""
        cost = operation.cost(request.variables)
        if cost > self._max_cost:
            message = f"The operation may return {cost} objects; the limit is {self._max_cost}. Ask for smaller pages."
            raise refuse_for(QueryTooComplexError(message, cost=cost, limit=self._max_cost))


def _too_slow() -> RefusedError:
    message = f"The query took longer than {QUERY_TIMEOUT_S:.0f} seconds. Try again, or ask for less."
    return refuse_for(UnavailableError(message))


_RETRY_S: Final = 0.5


class Event(NamedTuple):
    """What a subscription brings, and when it came about, where that is known."""

    result: ExecutionResult
    happened_at: datetime | None


class Subscriptions:
    """Subscribes to operations of one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings, execution: OperationExecutor) -> None:
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
            result = await self._execution.execute(operation, request, context, payload)
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


class Operations:
    """The operations of one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings) -> None:
        self._documents = Documents(core_schema(schema), settings)
        self._named_documents = NamedDocuments(self._documents, settings)
        self.execution = OperationExecutor(schema, settings)
        self.document_cache = self._documents.cache
        self.subscriptions = Subscriptions(schema, settings, self.execution)

    def prepare(self, request: GraphQLRequest) -> PreparedOperation:
        """Return the operation that a request means; raise the refusal of one that cannot be executed."""
        return self._document(request).select(request.operation_name)

    def _document(self, request: GraphQLRequest) -> PreparedDocument:
        if request.reference is None:
            return self._documents.get(request.query)
        return self._named_documents.get(request.reference, request.query)


def require_post_for_mutations(operation: PreparedOperation, method: str) -> None:
    """Refuse a mutation by GET: links and pictures on other people's pages can send that."""
    if method == "GET" and operation.type is OperationType.MUTATION:
        raise refuse(405, "A mutation cannot be sent by GET; use POST.", headers=((b"allow", b"POST"),))
