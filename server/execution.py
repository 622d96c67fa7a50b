"""Runs a prepared operation: its cost, its time-limit, and its end where the client has gone away."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

import strawberry
from graphql import ExecutionResult, OperationType, execute
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive
from strawberry.execution.is_awaitable import optimized_is_awaitable

from core.errors import QueryTooComplexError, UnavailableError
from core.settings import GraphQLEngine, Settings
from graph.context import Context
from server.documents import PreparedOperation
from server.errors import refuse_document, refuse_for
from server.request_body import GraphQLRequest
from server.schema import core_schema

QUERY_TIMEOUT_S: Final = 60.0
# Most operations are over before it is worth asking whether anybody still waits.
_WATCH_AFTER_S: Final = 0.1


class Execution:
    """Executes operations on one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings) -> None:
        self._schema = core_schema(schema)
        self._engine = settings.graphql_engine
        self._max_cost = settings.graphql_max_cost
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
        watch = _while_wanted if operation.type is OperationType.QUERY else _to_its_end
        result = await watch(self._execute(operation, request, context, None), context, receive or _hear_nothing)
        if result.data is None and result.errors and not any(error.path for error in result.errors):
            raise refuse_document(result.errors, "BAD_USER_INPUT")
        return result

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


async def _to_its_end(result: Awaitable[ExecutionResult], context: Context, receive: Receive) -> ExecutionResult:
    """Await a mutation's result, however soon its client leaves: half of it may be done. It is told of that."""
    loop = asyncio.get_running_loop()
    watches: list[asyncio.Task[None]] = []
    watch = loop.call_later(
        _WATCH_AFTER_S, lambda: watches.append(loop.create_task(_leave_when_gone(receive, context)))
    )
    try:
        return await result
    finally:
        watch.cancel()
        for task in watches:
            task.cancel()


async def _while_wanted(result: Awaitable[ExecutionResult], _context: Context, receive: Receive) -> ExecutionResult:
    """Await a query's result, but not longer than its time-limit, nor than its client stays."""
    loop = asyncio.get_running_loop()
    watches: list[asyncio.Task[bool]] = []
    try:
        async with asyncio.timeout(QUERY_TIMEOUT_S) as deadline:
            watch = loop.call_later(
                _WATCH_AFTER_S, lambda: watches.append(loop.create_task(_end_when_gone(receive, deadline)))
            )
            try:
                return await result
            finally:
                watch.cancel()
                for task in watches:
                    task.cancel()
    except TimeoutError:
        if watches and watches[0].done() and not watches[0].cancelled():
            raise ClientDisconnect from None
        message = f"The query took longer than {QUERY_TIMEOUT_S:.0f} seconds. Try again, or ask for less."
        raise refuse_for(UnavailableError(message)) from None


async def _hear_nothing() -> Message:
    """Stand for a client whose going is noticed elsewhere."""
    nothing: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    return await nothing


async def _leave_when_gone(receive: Receive, context: Context) -> None:
    await _hear_that_gone(receive)
    context.leave()


async def _hear_that_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end_when_gone(receive: Receive, deadline: asyncio.Timeout) -> bool:
    await _hear_that_gone(receive)
    if not deadline.expired():
        deadline.reschedule(asyncio.get_running_loop().time())
    return True
