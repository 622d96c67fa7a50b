"""Subscriptions: a stream of events, each executed by the plan of the operation."""

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable
from typing import Any

from graphql import DocumentNode, ExecutionResult, GraphQLSchema, create_source_event_stream
from graphql.execution import Executor, map_async_iterable

from engine.plan import plan_for


async def subscribe(  # noqa: PLR0913, PLR0917 - the signature is graphql-core's
    schema: GraphQLSchema,
    document: DocumentNode,
    root_value: Any = None,
    context_value: Any = None,
    variable_values: dict[str, Any] | None = None,
    operation_name: str | None = None,
    *,
    hide_suggestions: bool = False,
) -> AsyncGenerator[ExecutionResult, None] | ExecutionResult:
    """Return the results of a subscription's events; a result with errors where it cannot begin."""
    executor = Executor.build(
        schema,
        document,
        root_value,
        context_value,
        variable_values,
        operation_name,
        hide_suggestions=hide_suggestions,
    )
    if isinstance(executor, list):
        return ExecutionResult(None, executor)
    stream = create_source_event_stream(executor)
    if isinstance(stream, Awaitable):
        stream = await stream
    if not isinstance(stream, AsyncIterable):
        return stream
    plan = plan_for(schema, document, operation_name)

    async def execute_event(event: Any) -> ExecutionResult:
        return await plan.execute(event, context_value, variable_values, hide_suggestions=hide_suggestions)

    return map_async_iterable(stream, execute_event)
