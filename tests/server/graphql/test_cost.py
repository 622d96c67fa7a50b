"""The cost of an operation: objects, with the page sizes multiplied along the depth."""

from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from graphql import FragmentDefinitionNode, OperationDefinitionNode, build_schema, parse, validate

from server.graphql.cost import compile_cost
from tests.server.sample import open_api, sample_settings

SCHEMA: Final = build_schema(
    """
    interface Node { id: ID! }
    type PageInfo { hasNextPage: Boolean! }
    type User implements Node { id: ID! tasks(first: Int, after: String, last: Int): TaskConnection! }
    type Task implements Node {
      id: ID! tags: [String!]! owner: User! parent: Task
      subtasks(first: Int, after: String, last: Int): TaskConnection!
      madeBy: Run
    }
    type Run implements Node { id: ID! toolCalls: [ToolCall!]! }
    type ToolCall implements Node { id: ID! run: Run! }
    type TaskEdge { cursor: String! node: Task! }
    type TaskConnection { edges: [TaskEdge!]! nodes: [Task!]! pageInfo: PageInfo! totalCount: Int! }
    type ChangeSet { changed: [Node!]! deletedIds: [ID!]! }
    type UserError { message: String! } type TasksPayload { tasks: [Task!]! errors: [UserError!]! }
    type Query {
      viewer: User node(id: ID!): Node nodes(ids: [ID!]!): [Node]!
      tasks(first: Int, after: String, last: Int): TaskConnection! changes(since: String, first: Int): ChangeSet!
    }
    type Subscription { changes(since: String): ChangeSet! }
    type Mutation { createTasks: TasksPayload! createTask: TasksPayload! }
    """
)


def cost_of(text: str, variables: dict[str, Any] | None = None) -> int:
    document = parse(text)
    assert validate(SCHEMA, document) == []
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return compile_cost(SCHEMA, operation, fragments)(variables or {})


LITERALS: Final = [
    ("{ __typename }", 0),
    ("{ __schema { types { fields { name } } } }", 0),
    ("{ viewer { id } }", 1),
    ('{ node(id: "1") { id } }', 1),
    # A connection is one, its rows are one each, and what wraps them is nothing.
    ("{ tasks { totalCount } }", 1),
    ("{ tasks { pageInfo { hasNextPage } } }", 1),
    ("{ tasks { nodes { id tags } } }", 21),
    ("{ tasks { edges { cursor } } }", 21),
    ("{ tasks { edges { node { id } } } }", 21),
    ("{ tasks(first: 3) { nodes { id } pageInfo { hasNextPage } totalCount } }", 4),
    ("{ tasks(last: 3) { nodes { id } } }", 4),
    ("{ tasks(first: null) { nodes { id } } }", 21),
    ("{ tasks(first: 2) { nodes { owner { id } parent { owner { id } } } } }", 1 + 2 * 4),
    ("{ viewer { tasks(first: 3) { nodes { subtasks(first: 5) { nodes { id } } } } } }", 1 + 1 + 3 * (1 + 1 + 5)),
    ("{ tasks(first: 100) { nodes { subtasks(first: 100) { nodes { id } } } } }", 1 + 100 * (2 + 100)),
    # Sizes out of bounds are the resolver's to refuse.
    ("{ tasks(first: -5) { nodes { id } } }", 1),
    ("{ tasks(first: 0) { nodes { id } } }", 1),
    ("{ tasks(first: 2000000000) { nodes { id } } }", 101),
    ('{ nodes(ids: ["1", "2", "3"]) { id } }', 3),
    ('{ nodes(ids: "1") { id } }', 1),
    ("{ nodes(ids: []) { id } }", 0),
    ('{ nodes(ids: ["1", "2"]) { ... on Task { subtasks(first: 4) { nodes { id } } } } }', 2 * (1 + 1 + 4)),
    ("{ changes(first: 7) { changed { id } deletedIds } }", 1 + 7),
    # Without a size, changes come a hundred at a time.
    ("{ changes { changed { id } deletedIds } }", 1 + 100),
    ("subscription { changes { changed { ... on Task { subtasks(first: 4) { nodes { id } } } } } }", 1 + 100 * 6),
    # A list that has no pages may be as long as one.
    ("{ tasks(first: 3) { nodes { madeBy { toolCalls { id } } } } }", 1 + 3 * (1 + 1 + 100)),
    ("{ tasks(first: 3) { nodes { madeBy { toolCalls { run { id } } } } } }", 1 + 3 * (1 + 1 + 100 * 2)),
    ('{ node(id: "1") { ... on Run { toolCalls { id } } } }', 1 + 100),
    ("{ changes(first: 2) { changed { ... on Run { toolCalls { id } } } } }", 1 + 2 * (1 + 100)),
    ("mutation { createTasks { tasks { id } errors { message } } }", 1 + 100 + 1),
    ("mutation { a: createTasks { tasks { id } } b: createTasks { tasks { id } } }", 2 * (1 + 100)),
]
SIZED: Final = "query ($n: Int) { tasks(first: $n) { nodes { subtasks(last: $n) { nodes { id } } } } }"
DEFAULTED: Final = "query ($n: Int = 3) { tasks(first: $n) { nodes { id } } }"
MANY: Final = "query ($ids: [ID!]!, $n: Int) { nodes(ids: $ids) { ... on User { tasks(first: $n) { nodes { id } } } } }"
SIZES: Final = ((2, 2), (100, 100), (100.0, 100), (1e300, 100), (None, 20), ("no number", 20))
VARIABLES: Final[list[tuple[str, dict[str, Any], int]]] = [
    *((SIZED, {"n": given}, 1 + size * (1 + 1 + size)) for given, size in SIZES),
    *((SIZED, {}, 1 + 20 * (1 + 1 + 20)), (SIZED, {"n": -1}, 1)),
    *((DEFAULTED, {}, 1 + 3), (DEFAULTED, {"n": 4}, 1 + 4), (DEFAULTED, {"n": None}, 1 + 20)),
    *((MANY, {"ids": ["1"] * count, "n": 5}, count * (1 + 1 + 5)) for count in (0, 2, 500)),
    (MANY, {"ids": "1", "n": 5}, 1 + 1 + 5),
    ('query ($id: ID!) { nodes(ids: [$id, "2"]) { id } }', {"id": "1"}, 2),
]
SPREADS: Final = """{ ...A ...B } fragment A on Query { tasks { nodes { owner { id } } } }
fragment B on Query { ...A tasks { nodes { owner { id } parent { id } } } }"""
MERGED: Final = [
    # What execution merges is counted once.
    ("{ tasks(first: 9) { nodes { id } } tasks(first: 9) { nodes { tags } } }", 10),
    (SPREADS, 1 + 20 * 3),
    ("{ tasks { ... { nodes { id } } ... on TaskConnection { nodes { tags } } } }", 21),
    # What has another name in the answer, or stands on another type, is counted by itself.
    ("{ a: tasks(first: 9) { nodes { id } } b: tasks(first: 9) { nodes { id } } }", 20),
    ('{ node(id: "1") { ... on Task { owner { id } } ... on User { tasks(first: 2) { nodes { id } } } } }', 5),
]


def test_cost_is_the_number_of_objects_with_page_sizes_multiplied() -> None:
    for text, variables, cost in VARIABLES + [(text, {}, cost) for text, cost in LITERALS + MERGED]:
        assert cost_of(text, variables) == cost, (text, variables)


@pytest.mark.parametrize("accept", ["application/graphql-response+json", "application/json", "*/*"])
async def test_operation_over_the_cost_limit_is_refused(http: httpx2.AsyncClient, accept: str) -> None:
    query = "query ($n: Int!) { conversations(first: $n) { nodes { messages(first: $n) { nodes { id } } } } }"
    body = {"query": query, "variables": {"n": 100}}
    response = await http.post("/graphql", json=body, headers={"Accept": accept})
    told = "The operation may return 10201 objects; the limit is 10000. Ask for smaller pages."
    extensions = {"code": "QUERY_TOO_COMPLEX", "cost": 10_201, "limit": 10_000}
    assert (response.status_code, response.json()) == (400, {"errors": [{"message": told, "extensions": extensions}]})
    within = await http.post("/graphql", json={"query": query, "variables": {"n": 50}})
    assert within.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_too_costly_operation_is_not_executed(tmp_path: Path) -> None:
    async with open_api(sample_settings(tmp_path, graphql_max_cost=1)) as api:
        response = await api.post("/graphql", json={"query": "{ thing { inner { name } } }"})
        assert response.json()["errors"][0]["extensions"] == {"code": "QUERY_TOO_COMPLEX", "cost": 2, "limit": 1}
        assert "data" not in response.json()
