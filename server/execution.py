"""Runs a prepared operation: its cost, its time-limit, and its end where the client has gone away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import strawberry
from graphql import ExecutionResult, OperationType, execute
from starlette.types import Receive
from strawberry.execution.is_awaitable import optimized_is_awaitable

from core.errors import QueryTooComplexError, UnavailableError
from core.settings import GraphQLEngine, Settings
from graph.context import Context
from server.disconnect import on_disconnect, run_until_disconnect
from server.documents import PreparedOperation
from server.errors import RefusedError, refuse_document, refuse_for
from server.request_body import GraphQLRequest
from server.schema import core_schema

QUERY_TIMEOUT_S: Final = 60.0


class Execution:
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
        work = self._execute(operation, request, context, None)
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
        with on_disconnect(receive, context.leave):
            return await work

    async def _run_to_completion(
        self, mutation: Coroutine[Any, Any, ExecutionResult], context: Context
    ) -> ExecutionResult:
        """Run a mutation of a stream to completion, even if the stream ends and cancels its operations."""
        task = asyncio.create_task(mutation)
        self._mutations.add(task)
        task.add_done_callback(self._mutations.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            context.leave()
            raise

    async def finish(self) -> None:
        """Wait for the mutations whose streams have ended."""
        await asyncio.gather(*self._mutations, return_exceptions=True)

    async def run_event(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, payload: Any
    ) -> ExecutionResult:
        """Return what a subscription gives for an event."""
        return await self._execute(operation, request, context, payload)

    def _execute(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, root: Any
    ) -> Coroutine[Any, Any, ExecutionResult]:
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
