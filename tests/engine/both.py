"""Executes an operation by both executors, and compares what they give."""

import re
from collections.abc import Awaitable, Iterable
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError, GraphQLSchema, parse
from graphql import execute as execute_depth_first

import engine


async def depth_first(
    schema: GraphQLSchema, query: str, root: Any = None, context: Any = None, **how: Any
) -> ExecutionResult:
    result = execute_depth_first(schema, parse(query), root, context, how.get("variables"), how.get("name"))
    return await result if isinstance(result, Awaitable) else result


async def breadth_first(
    schema: GraphQLSchema, query: str, root: Any = None, context: Any = None, **how: Any
) -> ExecutionResult:
    """Execute by the engine, which must not leave it to graphql-core."""
    plan = engine.Plan(schema, parse(query), how.get("name"))
    assert plan.is_planned
    return await plan.execute(root, context, how.get("variables"))


async def same(
    schema: GraphQLSchema, query: str, root: Any = None, context: Any = None, *, is_race: bool = False, **how: Any
) -> ExecutionResult:
    """Return what both give; the order of keys is a part of it, that of errors where nothing is waited for.

    Where errors race, each may be in the response or not, but what they make null is the same.
    """
    expected = execute_depth_first(schema, parse(query), root, context, how.get("variables"), how.get("name"))
    is_awaited = isinstance(expected, Awaitable)
    if isinstance(expected, Awaitable):
        expected = await expected
    found = await breadth_first(schema, query, root, context, **how)
    assert found.data == expected.data
    assert repr(found.data) == repr(expected.data)
    if is_race:
        assert nulls(found) == nulls(expected)
    elif is_awaited:
        assert sorted(described(found.errors), key=repr) == sorted(described(expected.errors), key=repr)
    else:
        assert described(found.errors) == described(expected.errors)
    return found


def core_schema(schema: strawberry.Schema) -> GraphQLSchema:
    core: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry gives it no public name
    return core


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


def label(value: Any) -> str:
    """Return what a value is called in the name of a test: the same in every process."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))
