"""Queries whose body was sent before: they are read once, executed each time, and bounded in what they take."""

import json
from typing import Any

import httpx
import pytest
from graphql import GraphQLInputObjectType, GraphQLInputType, GraphQLSchema, get_named_type

from core.database import Database
from core.settings import GraphQLEngine, Settings
from server import known_queries as module
from server.known_queries import KnownQueries
from server.operations import Operations
from server.schema import core_schema
from server.schema import schema as product_schema
from tests.factories import make_task, sign_in
from tests.server import sample
from tests.server.asking import JSON
from tests.server.persisted import persisted
from tests.servers import serve_with

HELLO = b'{"query": "{ hello }"}'
NESTED = {
    "filter": {"or": [{"priority": ["HIGH", "LOW"]}, {"not": {"createdAt": {"gt": "2100-01-01T00:00:00Z"}}}]},
    "orderBy": [{"field": "CREATED_AT"}, {"field": "TITLE", "direction": "DESC"}],
}
TASKS = """
query ($filter: TaskFilter, $orderBy: [TaskOrder!], $ids: [ID!]!) {
  tasks(filter: $filter, orderBy: $orderBy) { nodes { id } }
  nodes(ids: $ids) { id }
}
"""


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> KnownQueries:
    """Give what is kept by the operations that the test makes."""
    kept = KnownQueries()
    monkeypatch.setattr("server.operations.KnownQueries", lambda: kept)
    return kept


@pytest.fixture
def operations(kept: KnownQueries, settings: Settings) -> Operations:  # noqa: ARG001 - they keep them there
    return Operations(sample.schema, settings)


def body_of(query: str, **others: Any) -> bytes:
    return json.dumps({"query": query} | others).encode()


@pytest.mark.parametrize(
    "body",
    [
        HELLO,
        body_of("query ($n: Int!) { double(number: $n) }", variables={"n": 1}),
        body_of("query A { hello } query B { hello }", operationName="B"),
    ],
)
def test_a_query_that_comes_again_is_read_once(operations: Operations, body: bytes) -> None:
    first, operation = operations.read(body)
    second, _ = operations.read(body)
    third, same = operations.read(body)
    assert first == second == third
    assert third is second
    assert same is operation


@pytest.mark.parametrize(
    "body",
    [
        body_of('mutation { note(text: "a") }'),
        body_of("subscription { ticks }"),
        body_of("{ hello }", extensions=persisted("{ hello }")),
        body_of(f"{{ hello }} # {'x' * 4096}"),
    ],
)
def test_what_is_read_each_time(operations: Operations, kept: KnownQueries, body: bytes) -> None:
    for _ in range(3):
        operations.read(body)
    assert kept.recall(body) is None


def test_what_is_kept_is_bounded_in_bytes(
    operations: Operations, kept: KnownQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [body_of("{ hello }", variables={"n": n}) for n in range(100, 200)]
    # Each twice in a row, or another with the same place among the sightings could come between.
    for body in bodies[:3]:
        operations.read(body)
        operations.read(body)
    monkeypatch.setattr(module, "_MOST_KEPT_BYTES", kept._known_bytes)  # noqa: SLF001
    operations.read(bodies[0])
    for body in bodies[3:]:
        operations.read(body)
        operations.read(body)
        operations.read(bodies[0])
        assert kept._known_bytes == sum(known.size_bytes for known in kept._known.values())  # noqa: SLF001
    assert [bodies.index(body) for body in kept._known] == [98, 99, 0]  # noqa: SLF001


async def test_a_known_query_is_executed_each_time(door: httpx.AsyncClient, happenings: sample.Happenings) -> None:
    happenings.may_end.set()
    for _ in range(4):
        response = await door.post("/graphql", json={"query": "{ wait }"})
        assert response.json() == {"data": {"wait": "done"}}
    assert happenings.ended == ["done"] * 4


async def test_a_known_body_is_no_excuse_for_its_head(door: httpx.AsyncClient) -> None:
    for content_type, status in [(JSON, 200), (JSON, 200), (JSON, 200), ("text/plain", 415), (JSON, 200)]:
        response = await door.post("/graphql", content=HELLO, headers={"Content-Type": content_type})
        assert response.status_code == status


@pytest.mark.parametrize("engine", GraphQLEngine)
async def test_nothing_that_executes_changes_the_variables(
    kept: KnownQueries, database: Database, settings: Settings, engine: GraphQLEngine
) -> None:
    user = await sign_in(database, settings)
    task = await make_task(database, user.caller)
    variables = NESTED | {"ids": [task.id, "none"]}
    body = body_of(TASKS, variables=variables)
    headers = {**user.headers, "Content-Type": JSON}
    async with (
        serve_with(settings, graphql_engine=engine) as running,
        httpx.AsyncClient(base_url=running.url, headers=headers) as client,
    ):
        answers = [(await client.post("/graphql", content=body)).json() for _ in range(4)]
    assert answers[0]["data"]["tasks"]["nodes"] == [{"id": task.id}], answers[0]
    assert all(answer == answers[0] for answer in answers)
    known = kept.recall(body)
    assert known is not None
    assert known.request.variables == variables


def test_no_query_is_given_json_as_it_was_sent() -> None:
    """All other inputs are made anew for each execution; a value of this scalar would be the one that is kept."""
    schema = core_schema(product_schema)
    assert schema.query_type is not None
    assert "JSON" in schema.type_map
    assert "JSON" not in _inputs_below(schema)


def _inputs_below(schema: GraphQLSchema) -> set[str]:
    """Return the names of all types that arguments of any field, but of mutations, can have."""
    seen: set[str] = set()
    waiting: list[GraphQLInputType] = []
    for each in schema.type_map.values():
        if each is not schema.mutation_type:
            for field in getattr(each, "fields", {}).values():
                waiting.extend(argument.type for argument in getattr(field, "args", {}).values())
    while waiting:
        named = get_named_type(waiting.pop())
        if named.name not in seen:
            seen.add(named.name)
            if isinstance(named, GraphQLInputObjectType):
                waiting.extend(field.type for field in named.fields.values())
    return seen
