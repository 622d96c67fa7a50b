"""The API by both executors, on real databases: operations give the same, by as many statements."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from graphql import ExecutionResult, GraphQLSchema

from graph.context import Context
from server.graphql.schema import core_schema, schema
from tests.databases import counted
from tests.engine.both import breadth_first, depth_first, described
from tests.factories import SignedIn
from tests.graph.conftest import House
from tests.graph.test_statement_counts import NODES, OPERATIONS, ROWS
from tests.servers import RunningServer

SCHEMA: Final[GraphQLSchema] = core_schema(schema)
Execute = Callable[..., Awaitable[ExecutionResult]]


async def executed(
    execute: Execute, server: RunningServer, user: SignedIn | None, query: str, variables: dict[str, Any] | None = None
) -> tuple[ExecutionResult, int]:
    """Return the result, and how many statements it took."""
    with counted() as count:
        context = Context(server.runtime, user.caller if user else None, "test", "127.0.0.1")
        return await execute(SCHEMA, query, None, context, variables=variables), len(count)


async def same(
    server: RunningServer, user: SignedIn | None, query: str, variables: dict[str, Any] | None = None
) -> ExecutionResult:
    """Execute an operation by both; return what both give."""
    expected, most = await executed(depth_first, server, user, query, variables)
    found, statements = await executed(breadth_first, server, user, query, variables)
    assert found.data == expected.data
    assert sorted(described(found.errors), key=repr) == sorted(described(expected.errors), key=repr)
    assert statements == most
    return found


async def test_lists_rows_and_nodes_are_the_same_by_both_executors(
    server: RunningServer, one_of_each: House, fifty_of_each: House
) -> None:
    for query, _ in OPERATIONS:
        for house in (one_of_each, fifty_of_each):
            assert (await same(server, house.owner, query)).errors is None
    for query, kind, _ in ROWS:
        row_id = getattr(fifty_of_each, kind)[0]
        assert (await same(server, fifty_of_each.owner, query, {"id": row_id})).errors is None
    for selection, _ in NODES:
        query = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {selection} }}"
        ids = [*fifty_of_each.node_ids[:90], "nobody's"]
        assert (await same(server, fifty_of_each.owner, query, {"ids": ids})).errors is None


async def test_anonymous_caller_is_refused_by_both_executors(server: RunningServer) -> None:
    result = await same(server, None, "{ tasks { nodes { id } } viewer { id } a: __typename }")
    assert result.errors


async def test_wrong_cursor_is_refused_by_both_executors(server: RunningServer, one_of_each: House) -> None:
    query = '{ tasks { nodes { subtasks(after: "nowhere") { nodes { id } } title } } }'
    assert (await same(server, one_of_each.owner, query)).errors


async def test_payload_errors_by_both_executors(server: RunningServer, one_of_each: House) -> None:
    query = """mutation ($title: String!) {
        a: createTask(input: {title: $title}) { task { id } errors { code path message } }
        b: updateTask(input: {id: "unknown", title: "x"}) { task { id } errors { code path message } }
    }"""
    result = await same(server, one_of_each.owner, query, {"title": ""})
    assert (result.data or {})["a"]["errors"]
    assert result.errors is None
