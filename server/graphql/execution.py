"""The operations of a schema: prepared, bounded in cost and time, executed, cancelled with their clients."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine
from contextlib import ExitStack, aclosing, nullcontext
from datetime import datetime
from typing import Any, Final, cast

import strawberry
from graphql import ExecutionResult, OperationType, create_source_event_stream, execute
from graphql.execution import Executor
from starlette.requests import ClientDisconnect
from starlette.types import Receive
from strawberry.execution.is_awaitable import optimized_is_awaitable

from core.errors import QueryTooComplexError, RateLimitedError, UnauthenticatedError, UnavailableError
from core.permits import PermitQueue
from core.settings import GraphQLEngine, Settings
from core.tasks import run_to_completion
from core.workload import current_workload
from graph.context import Context
from resolvers.mutation import OPEN_FIELDS
from server.graphql.documents import Documents, LongDocumentError, PreparedOperation
from server.graphql.limits import selects_any
from server.graphql.schema import core_schema
from server.http.disconnect import on_disconnect, run_until_disconnect
from server.http.errors import RefusedError, refuse, refuse_document, refuse_for
from server.http.overload import current_progress
from server.http.rate_limit import charge
from server.http.request_body import GraphQLRequest

_RETRY_S: Final = 0.5


class Operations:
    """Prepares and executes the operations of one schema."""

    def __init__(self, schema: strawberry.Schema, settings: Settings) -> None:
        self._schema = core_schema(schema)
        self._documents = Documents(self._schema, settings)
        self._documents.defers_long = True
        self.caches = self._documents.caches
        self._is_breadth_first = settings.graphql_engine is GraphQLEngine.BREADTH_FIRST
        self._hide_suggestions = settings.is_production
        self._max_cost = settings.graphql_max_cost
        self._timeout_s = settings.graphql_timeout_s
        self._mutations: set[asyncio.Task[ExecutionResult]] = set()
        # More at once would only wait for their user's connections, and keep the processor from others meanwhile.
        at_once = settings.database_connections_per_user
        self._turns = PermitQueue(sys.maxsize, per_user=at_once, per_request=at_once)
        self._options: dict[str, Any] = {
            "executor_class": schema.execution_context_class,
            "operation_extensions": None,
            "is_awaitable": optimized_is_awaitable,
            "hide_suggestions": self._hide_suggestions,
        }

    async def prepare(self, request: GraphQLRequest, context: Context) -> PreparedOperation:
        """Return the operation that a request means, its cost counted; raise the refusal of one not to be executed."""
        cost = 1
        try:
            operation = await self._find(request)
            if context.token_error is not None and not selects_any(operation.document, operation.name, OPEN_FIELDS):
                raise context.token_error
            cost = max(cost, self._check_cost(operation, request))
        except (RefusedError, RateLimitedError, UnauthenticatedError) as refusal:
            # Even so it was read.
            await charge(context.runtime, context.user_id, context.client_address)
            raise context.token_error or refusal from None
        await charge(context.runtime, context.user_id, context.client_address, cost)
        return operation

    async def _find(self, request: GraphQLRequest) -> PreparedOperation:
        try:
            if request.reference is None:
                document = self._documents.get(request.query)
            else:
                document = self._documents.get_named(request.reference, request.query)
        except LongDocumentError as long:
            document = await self._documents.prepare_in_thread(long.new)
        return document.select(request.operation_name)

    async def run(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, receive: Receive | None = None
    ) -> ExecutionResult:
        """Return what a query or mutation gives; raise the refusal of one that is not executed at all.

        With `receive` given, a query ends where its client has gone.
        """
        work = self._execute_in_turn(operation, request, context)
        try:
            result = await self._supervise(operation, work, context, receive)
        except TimeoutError:
            message = f"The query took longer than {self._timeout_s:g} seconds. Try again, or ask for less."
            raise refuse_for(UnavailableError(message)) from None
        if not result.errors:
            return result
        errors = operation.errors(result.errors)
        if result.data is None and not any(error.path for error in errors):
            raise refuse_document(errors, "BAD_USER_INPUT")
        return ExecutionResult(result.data, errors)

    async def _execute_in_turn(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context
    ) -> ExecutionResult:
        """Execute an operation when few others of its user run, unless its client has gone by then."""
        workload, progress = current_workload.get(), current_progress.get()
        if not self._turns.take(workload):
            with nullcontext() if progress is None else progress.paused():
                await self._turns.wait(workload)
        with ExitStack() as turn:
            turn.callback(self._turns.give_back, workload)
            if progress is not None:
                turn.callback(progress.end)
            context.end_turn = turn.close
            context.ends_at_s = asyncio.get_running_loop().time() + self._timeout_s
            if context.is_disconnected:
                raise ClientDisconnect
            return await self._execute(operation, request, context)

    async def _supervise(
        self,
        operation: PreparedOperation,
        work: Coroutine[Any, Any, ExecutionResult],
        context: Context,
        receive: Receive | None,
    ) -> ExecutionResult:
        if operation.type is OperationType.QUERY:
            if receive is not None:
                return await run_until_disconnect(work, receive, self._timeout_s)
            async with asyncio.timeout(self._timeout_s):
                return await work
        # A mutation goes on without its client, for half of it may be done; what only waits for others ends.
        if receive is not None:
            with on_disconnect(receive, context.mark_disconnected):
                return await work
        try:
            return await run_to_completion(work, self._mutations)
        except asyncio.CancelledError:
            context.mark_disconnected()
            raise

    async def finish(self) -> None:
        """Wait for the mutations whose streams have ended."""
        await asyncio.gather(*self._mutations, return_exceptions=True)

    async def events(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context
    ) -> AsyncGenerator[tuple[ExecutionResult, datetime | None], None]:
        """Yield the results of a subscription and when each came about; raise the refusal of one that cannot begin."""
        source = await self._subscribe(operation, request, context)
        async with aclosing(cast("AsyncGenerator[Any, None]", source)) as payloads:
            async for payload in payloads:
                result = await self._execute_event(operation, request, context, payload)
                yield result, getattr(payload, "happened_at", None)

    async def _subscribe(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context
    ) -> AsyncIterable[Any]:
        executor = Executor.build(
            self._schema,
            operation.document,
            None,
            context,
            operation.variables(request.variables),
            operation.name,
            hide_suggestions=self._hide_suggestions,
        )
        if isinstance(executor, list):
            raise refuse_document(operation.errors(executor), "BAD_USER_INPUT")
        stream = create_source_event_stream(executor)
        if not isinstance(stream, AsyncIterable | ExecutionResult):
            stream = await stream
        if isinstance(stream, ExecutionResult):
            raise refuse_document(operation.errors(stream.errors or ()), "BAD_USER_INPUT")
        return stream

    async def _execute_event(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, payload: Any
    ) -> ExecutionResult:
        """Return what the subscription gives for an event; try again while the database is unavailable."""
        while True:
            # Loaders remember, and what they remember of the last event may have changed since.
            context.loaders.clear()
            result = await self._execute(operation, request, context, payload)
            if not any(isinstance(error.original_error, UnavailableError) for error in result.errors or ()):
                errors = operation.errors(result.errors) if result.errors else None
                return ExecutionResult(result.data, errors)
            await asyncio.sleep(_RETRY_S)

    def _execute(
        self, operation: PreparedOperation, request: GraphQLRequest, context: Context, root: Any = None
    ) -> Coroutine[Any, Any, ExecutionResult]:
        variables = operation.variables(request.variables)
        if self._is_breadth_first:
            return operation.plan.execute(root, context, variables, hide_suggestions=self._hide_suggestions)
        return self._execute_depth_first(operation, variables, context, root)

    async def _execute_depth_first(
        self, operation: PreparedOperation, variables: dict[str, Any], context: Context, root: Any
    ) -> ExecutionResult:
        result = execute(self._schema, operation.document, root, context, variables, operation.name, **self._options)
        return result if isinstance(result, ExecutionResult) else await result

    def _check_cost(self, operation: PreparedOperation, request: GraphQLRequest) -> int:
        cost = operation.cost(operation.variables(request.variables))
        if cost > self._max_cost:
            message = f"The operation costs {cost}; the limit is {self._max_cost}. Ask for less at once."
            raise refuse_for(QueryTooComplexError(message, cost=cost, limit=self._max_cost))
        return cost


def require_post_for_mutations(operation: PreparedOperation, method: str) -> None:
    """Refuse a mutation by GET: links and pictures on other people's pages can send that."""
    if method == "GET" and operation.type is OperationType.MUTATION:
        raise refuse(405, "A mutation cannot be sent by GET; use POST.", headers=((b"allow", b"POST"),))
