"""Runs a prepared operation: its cost, its time-limit, and its end where the client has gone away."""

from collections.abc import Awaitable
from typing import Any, Final

import strawberry
from graphql import ExecutionResult, OperationType, execute
from starlette.types import Receive
from strawberry.execution.is_awaitable import optimized_is_awaitable

from core.errors import QueryTooComplexError, UnavailableError
from core.settings import GraphQLEngine, Settings
from graph.context import Context
from server.documents import PreparedOperation
from server.errors import refuse_document, refuse_for
from server.request_body import GraphQLRequest
from server.schema import core_schema
from server.watch import Watch

QUERY_TIMEOUT_S: Final = 60.0


class Execution:
    """Executes operations on one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings) -> None:
        self._schema = core_schema(schema)
        self._engine = settings.graphql_engine
        self._max_cost = settings.graphql_max_cost
        self._watch = Watch()
        self._options: dict[str, Any] = {
            "executor_class": schema.execution_context_class,
            "operation_extensions": None,
            "is_awaitable": optimized_is_awaitable,
            "hide_suggestions": settings.is_production,
        }

    async def run(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, receive: Receive | None = None
    ) -> ExecutionResult:
        """Return what the operation gives; raise the refusal of one that is not executed at all.

        With `receive` given, a query ends where its client has gone.
        """
        self.check_cost(operation, request)
        work = self._execute(operation, request, context, None)
        if operation.type is OperationType.QUERY:
            result = await self._in_time(work, receive)
        else:
            # However soon its client leaves: half of it may be done. It is told of that.
            result = await self._watch.to_its_end(work, receive, context.leave)
        if result.data is None and result.errors and not any(error.path for error in result.errors):
            raise refuse_document(result.errors, "BAD_USER_INPUT")
        return result

    async def _in_time(self, work: Awaitable[ExecutionResult], receive: Receive | None) -> ExecutionResult:
        try:
            return await self._watch.while_wanted(work, receive, QUERY_TIMEOUT_S)
        except TimeoutError:
            message = f"The query took longer than {QUERY_TIMEOUT_S:.0f} seconds. Try again, or ask for less."
            raise refuse_for(UnavailableError(message)) from None

    async def run_event(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, payload: Any
    ) -> ExecutionResult:
        """Return what a subscription gives for an event."""
        return await self._execute(operation, request, context, payload)

    async def _execute(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, root: Any
    ) -> ExecutionResult:
        if self._engine is GraphQLEngine.BREADTH_FIRST:
            hide = self._options["hide_suggestions"]
            return await operation.plan.execute(root, context, request.variables, hide_suggestions=hide)
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
