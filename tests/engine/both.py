"""Executes an operation by both executors, and compares what they give."""

from collections.abc import Awaitable, Iterable
from typing import Any

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, parse
from graphql import execute as execute_depth_first

import engine


async def depth_first(  # noqa: PLR0917 - as graphql-core's
    schema: GraphQLSchema,
    query: str,
    root: Any = None,
    context: Any = None,
    variables: dict[str, Any] | None = None,
    name: str | None = None,
) -> ExecutionResult:
    """Execute by graphql-core."""
    result = execute_depth_first(schema, parse(query), root, context, variables, name)
    return await result if isinstance(result, Awaitable) else result


async def breadth_first(  # noqa: PLR0917 - as graphql-core's
    schema: GraphQLSchema,
    query: str,
    root: Any = None,
    context: Any = None,
    variables: dict[str, Any] | None = None,
    name: str | None = None,
) -> ExecutionResult:
    """Execute by the engine, which must not leave it to graphql-core."""
    plan = engine.compile(schema, parse(query), name)
    assert plan.is_planned
    return await plan.execute(root, context, variables)


async def same(  # noqa: PLR0917 - as graphql-core's
    schema: GraphQLSchema,
    query: str,
    root: Any = None,
    context: Any = None,
    variables: dict[str, Any] | None = None,
    name: str | None = None,
) -> ExecutionResult:
    """Return what both give; the order of keys and of errors is a part of it."""
    expected = await depth_first(schema, query, root, context, variables, name)
    found = await breadth_first(schema, query, root, context, variables, name)
    assert found.data == expected.data
    assert repr(found.data) == repr(expected.data)
    assert described(found.errors) == described(expected.errors)
    return found


def described(errors: Iterable[GraphQLError] | None) -> list[tuple[Any, ...]]:
    """Return all that a client or a server may see of errors."""
    return [
        (error.message, error.path, error.locations, repr(error.original_error), error.extensions)
        for error in errors or ()
    ]


def nulls(result: ExecutionResult) -> set[tuple[str | int, ...]]:
    """Return the places that errors have made null: the same, whichever of several errors was the first."""
    found = set()
    for error in result.errors or ():
        value: Any = result.data
        path: list[str | int] = []
        for key in error.path or ():
            if value is None:
                break
            value = value[key]
            path.append(key)
        assert value is None, (path, error)
        found.add(tuple(path))
    return found
