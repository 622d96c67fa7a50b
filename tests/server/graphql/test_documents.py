"""Documents: prepared once, cached and bounded, without hints at the schema in production; and their cost."""

from pathlib import Path
from typing import Any, Final
from unittest.mock import Mock, call

import httpx2
import pytest
from graphql import (
    FragmentDefinitionNode,
    OperationDefinitionNode,
    build_schema,
    get_introspection_query,
    parse,
    validate,
)
from httpx2 import AsyncClient

from core.settings import Settings
from server.graphql import documents
from server.graphql.cost import WRITE_COST, compile_cost
from server.graphql.documents import Documents
from server.http.errors import RefusedError
from tests.server.asking import ask
from tests.server.sample import sample_settings

QUERY: Final = "type Query { a: Query b: Query x(in: [[In]]): Int name: String } input In { in: In }"
SCHEMA: Final = build_schema(f"{QUERY} type Mutation {{ rename: String }}")


@pytest.fixture
def defaults(tmp_path: Path) -> Settings:
    return sample_settings(tmp_path)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Mock:
    spy = Mock(wraps=parse)
    monkeypatch.setattr(documents, "parse", spy)
    return spy


def errors_of(prepared: Documents, text: str) -> Any:
    with pytest.raises(RefusedError) as refusal:
        prepared.get(text)
    return refusal.value.errors


def test_valid_document_is_prepared_once(defaults: Settings, parsed: Mock) -> None:
    prepared = Documents(SCHEMA, defaults)
    assert prepared.get("{ name }") is prepared.get("{ name }")
    assert errors_of(prepared, "{ nope }") == errors_of(prepared, "{ nope }")
    assert parsed.call_args_list == [call("{ name }"), call("{ nope }")]


def test_unused_document_is_evicted(defaults: Settings, parsed: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_CACHE_BYTES", 3 * (3 * 1_000 + 4 * 9))
    prepared = Documents(SCHEMA, defaults)
    first, second, third, fourth = ("{ name }" + ignored for ignored in " \t\n,")
    for text in (first, second, third, first, fourth):
        prepared.get(text)
    parsed.reset_mock()
    for text in (first, third, fourth, second):
        prepared.get(text)
    parsed.assert_called_once_with(second)


def test_operation_is_selected_by_name_unless_it_is_the_only_one(defaults: Settings) -> None:
    prepared = Documents(SCHEMA, defaults)
    document = prepared.get("query A { name } mutation B { rename }")
    assert (document.select("A").name, document.select("A").type.value) == ("A", "query")
    assert document.select("B").type.value == "mutation"
    for name in (None, "C", "a"):
        with pytest.raises(RefusedError) as refusal:
            document.select(name)
        assert (refusal.value.status, refusal.value.json_status) == (400, 200)
    assert prepared.get("{ name }").select(None).name is None
    assert prepared.get("query A { name }").select(None).name == "A"


def test_validation_errors_have_their_location_and_are_bounded(defaults: Settings) -> None:
    prepared = Documents(SCHEMA, defaults)
    errors = errors_of(prepared, "{" + " ".join(f"nope{n}" for n in range(1_000)) + "}")
    assert len(errors) == 21
    assert {error["extensions"]["code"] for error in errors} == {"GRAPHQL_VALIDATION_FAILED"}
    (error,) = errors_of(prepared, "{\n  nmae\n}")
    assert error == {
        "message": "Cannot query field 'nmae' on type 'Query'. Did you mean 'name'?",
        "locations": [{"line": 2, "column": 3}],
        "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"},
    }


MISSPELT: Final = ("{ helo }", "{ hello(nam: 1) }", "{ thing { nam } }", "{ ... on Quer { hello } }")
INTROSPECTION: Final = (
    get_introspection_query(),
    "{ __schema { queryType { name } } }",
    '{ __type(name: "Query") { name } }',
    "{ ...A } fragment A on Query { hello s: __schema { types { name } } }",
    'query A { hello } query B { __type(name: "Query") { name } }',
)


async def test_schema_is_not_disclosed_in_production(api: AsyncClient, production_api: AsyncClient) -> None:
    for query in MISSPELT:
        assert "Did you mean" in (await ask(api, query=query)).text
        refusal = await ask(production_api, query=query)
        assert ("errors" in refusal.json(), "Did you mean" in refusal.text) == (True, False)
    for query in INTROSPECTION:
        body: dict[str, Any] = {"query": query, "operationName": "B" if "query B" in query else None}
        assert "errors" not in (await ask(api, **body)).json()
        refused = (await ask(production_api, **body)).json()
        assert refused.keys() == {"errors"}
        assert {error["extensions"]["code"] for error in refused["errors"]} == {"GRAPHQL_VALIDATION_FAILED"}
    assert (await ask(production_api, query="{ __typename }")).json() == {"data": {"__typename": "Query"}}


def chain(length: int, first: str, each: str, last: str) -> str:
    """Return a document whose fragments spread each other: `each` has the next one's number for {n}."""
    links = [f"fragment F{n} on Query {{ {each.format(n=n + 1)} }}" for n in range(length)]
    return " ".join([first, *links, f"fragment F{length} on Query {{ {last} }}"])


def many(text: str, count: int) -> str:
    """Return a text that many times over, each with its number for {n}."""
    return " ".join(text.format(n=n) for n in range(count))


# The second backslash escapes the three quotes behind it, so that the string ends at the last ones.
ESCAPED: Final = '{ x(in: """\\\\""" """) '
DOUBLED: Final = "x: a {{ ...F{n} }} y: a {{ ...F{n} }}"
# Each is refused by the bound that is named, with the settings as they are by default.
TOO_MUCH: Final = {
    "QUERY_TOO_LONG": ["{ name }" + " " * 300_000, "#" * 300_000 + "\n{ name }", "{a" * 100_000 + "}" * 100_000],
    "TOO_MANY_TOKENS": [
        *("{" + "name " * 5_000 + "}", "{" + many("n{n}: name", 2_000) + "}", "#\n" * 6_000 + "{ name }"),
        *("{ name " + "@skip(if: false) " * 1_000 + "}", "{ x(in: [" + "-1" * 5_000 + "]) }"),
        ESCAPED + "name " * 5_000 + "}",
    ],
    "QUERY_TOO_DEEP": [
        *("{a" * depth + "}" * depth for depth in (16, 101, 3_000)),
        *("{a" * 20_000, "{ x(in: " + "[" * 3_000 + "]" * 3_000 + ") }", "{ name " + "@a(b: [" * 200),
        *("{ x(in: " + "{in: " * 1_000 + "1" + "}" * 1_000 + ") }", ESCAPED + "a {" * 200),
        chain(20, "{ ...F0 }", "a {{ ...F{n} }}", "name"),
        # Fragments without a field between them, and a document that spreads none of its fragments.
        chain(300, "{" + "a {" * 15 + "...F0" + "}" * 16, "...F{n}", "name"),
        chain(20, "{ name }", "a {{ ...F{n} }}", "name"),
        "{ __schema " + "{ types { ofType" * 11 + "{ name }" + "}}" * 11 + "}",
    ],
    "TOO_MANY_ALIASES": [
        *("{" + many("n{n}: name", 101) + "}", chain(7, "{ ...F0 }", DOUBLED, "name")),
        chain(200, "{ ...F0 }", DOUBLED, "name").replace("{ ...F0 }", "{ name }"),
    ],
    "TOO_MANY_DIRECTIVES": [
        *("{ name " + "@a " * 1_000 + "}", "query " + "@a " * 51 + "{ name }", "{ ..." + " @a" * 51 + " { name } }"),
        "query (" + many("$v{n}: Int @a", 51) + ") { name }",
        "{ ...F0 } fragment F0 on Query " + "@a " * 51 + "{ name }",
        chain(6, "{ ...F0 }", "a {{ ...F{n} }} b {{ ...F{n} }}", "name @a"),
    ],
    "TOO_MANY_FIELDS": [
        *("{" + "name " * 51 + "}", "{" + "a { name } " * 51 + "}", "{ a {" + "name " * 51 + "} }"),
        "{" + many("...F{n}", 51) + "}" + many("fragment F{n} on Query {{ name }}", 51),
        chain(14, "{ ...F0 }", "a {{ ...F{n} }} b {{ ...F{n} }}", "name"),
        chain(400, "{ ...F0 }", "...F{n} ...F{n}", "name"),
    ],
}
CYCLES: Final = [
    "{ ...A } fragment A on Query { ...A }",
    "{ ...A } fragment A on Query { a { ...B } } fragment B on Query { ... { ...A } }",
    "{ name } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }",
    chain(400, "{ ...F0 }", "...F{n}", "...F0"),
]
WITHIN: Final = [
    *("{a" * 14 + "{ name }" + "}" * 14, "{" + many("n{n}: name", 100) + "}", "{" + "name " * 50 + "}"),
    chain(100, "{ ...F0 }", "...F{n}", "name"),
    *('{ name } # {{{{{{ """ "', "{ x(in: []) name @include(if: true) }"),
]


@pytest.fixture
def refused(defaults: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a function that returns the one error of a document that must not come as far as validation."""
    monkeypatch.setattr(documents, "validate", Mock(side_effect=AssertionError("the document was validated")))

    def error_of(text: str) -> dict[str, Any]:
        with pytest.raises(RefusedError) as refusal:
            Documents(SCHEMA, defaults).get(text)
        assert refusal.value.status == 400
        (error,) = refusal.value.errors
        return error

    return error_of


@pytest.mark.parametrize("code", TOO_MUCH)
def test_document_over_a_bound_is_refused(refused: Any, code: str) -> None:
    for text in TOO_MUCH[code]:
        error = refused(text)
        assert error["extensions"]["code"] == code, text[:100]
        assert str(error["extensions"]["limit"]) in error["message"]


def test_fragment_that_spreads_itself_is_refused(refused: Any) -> None:
    for text in CYCLES:
        error = refused(text)
        assert error["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
        assert "must not spread itself" in error["message"]


def test_syntax_error_is_a_parse_failure(refused: Any) -> None:
    for text in ("{a" * 50 + "}" * 49, "{ name " + "@a " * 1_000 + "(", '{ name(a: "' + "a" * 100_000):
        assert refused(text)["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"


def test_document_within_the_bounds_is_prepared(defaults: Settings) -> None:
    for text in WITHIN:
        assert Documents(SCHEMA, defaults).get(text)


def test_deep_brackets_are_refused_before_parsing(refused: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "parse", Mock(side_effect=AssertionError("the document was parsed")))
    assert refused("{a" * 3_000 + "}" * 3_000)["extensions"]["code"] == "QUERY_TOO_DEEP"


@pytest.mark.parametrize("accept", ["application/graphql-response+json", "application/json"])
async def test_limit_is_in_the_response(api: AsyncClient, accept: str) -> None:
    query = "{ thing " + "{ inner " * 20 + "{ name }" + "}" * 21
    response = await api.post("/graphql", json={"query": query}, headers={"Accept": accept})
    told = "The operation nests fields 22 deep, counted with its fragments; the limit is 15."
    error = {"message": told, "extensions": {"code": "QUERY_TOO_DEEP", "limit": 15}}
    assert (response.status_code, response.json()) == (400, {"errors": [error]})


COUNTED: Final = build_schema(
    """
    interface Node { id: ID! }
    type PageInfo { hasNextPage: Boolean! }
    type User implements Node { id: ID! tasks(first: Int, after: String, last: Int): TaskConnection! }
    type Task implements Node {
      id: ID! tags: [String!]! owner: User! parent: Task
      subtasks(first: Int, after: String, last: Int, filter: TaskFilter): TaskConnection!
      madeBy: Run
    }
    type Run implements Node { id: ID! toolCalls: [ToolCall!]! }
    type ToolCall implements Node { id: ID! run: Run! }
    type TaskEdge { cursor: String! node: Task! }
    type TaskConnection { edges: [TaskEdge!]! nodes: [Task!]! pageInfo: PageInfo! totalCount: Int! }
    union Change = Task | User
    type DeletedRow { id: ID! }
    type ChangeSet { changed: [Node!]! entries: [Change!]! deletedIds: [ID!]! deleted: [DeletedRow!]! }
    input TaskFilter { search: String completed: Boolean and: [TaskFilter!] or: [TaskFilter!] not: TaskFilter }
    input TaskOrder { field: String! }
    type UserError { message: String! } type TasksPayload { tasks: [Task!]! errors: [UserError!]! }
    type Query {
      viewer: User node(id: ID!): Node nodes(ids: [ID!]!): [Node]!
      tasks(first: Int, after: String, last: Int, filter: TaskFilter, orderBy: [TaskOrder!]): TaskConnection!
      changes(since: String, first: Int): ChangeSet!
    }
    type Subscription { changes(since: String): ChangeSet! }
    input NewTask { title: String! tags: [String!] } input NewTasks { tasks: [NewTask!]! } input Ids { ids: [ID!]! }
    type Mutation {
      createTasks(input: NewTasks!): TasksPayload! deleteTasks(input: Ids!): TasksPayload!
      createTask(input: NewTask!): TasksPayload! undoRun: TasksPayload!
    }
    """
)


def cost_of(text: str, variables: dict[str, Any] | None = None) -> int:
    document = parse(text)
    assert validate(COUNTED, document) == []
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    return compile_cost(COUNTED, operation, fragments)(variables or {})


LITERALS: Final = [
    ("{ __typename }", 0),
    ("{ __schema { types { fields { name } } } }", 0),
    ("{ viewer { id } }", 1),
    ('{ node(id: "1") { id } }', 1),
    # A connection is one, its rows are one each, and what wraps them is nothing.
    ("{ tasks { pageInfo { hasNextPage } } }", 1),
    ("{ tasks { nodes { id tags } } }", 21),
    ("{ tasks { edges { cursor } } }", 21),
    ("{ tasks { edges { node { id } } } }", 21),
    ("{ tasks(first: 3) { nodes { id } pageInfo { hasNextPage } } }", 4),
    ("{ tasks(first: null) { nodes { id } } }", 21),
    ("{ tasks(first: 2) { nodes { owner { id } parent { owner { id } } } } }", 1 + 2 * 4),
    ("{ viewer { tasks(first: 3) { nodes { subtasks(first: 5) { nodes { id } } } } } }", 1 + 1 + 3 * (1 + 1 + 5)),
    ("{ tasks(first: 100) { nodes { subtasks(first: 100) { nodes { id } } } } }", 1 + 100 * (2 + 100)),
    # Sizes out of bounds are the resolver's to refuse.
    ("{ tasks(first: -5) { nodes { id } } }", 1),
    ("{ tasks(first: 2000000000) { nodes { id } } }", 101),
    ('{ nodes(ids: ["1", "2", "3"]) { id } }', 3),
    ('{ nodes(ids: "1") { id } }', 1),
    ("{ nodes(ids: []) { id } }", 0),
    ('{ nodes(ids: ["1", "2"]) { ... on Task { subtasks(first: 4) { nodes { id } } } } }', 2 * (1 + 1 + 4)),
    ("{ changes(first: 7) { changed { id } deletedIds } }", 1 + 7),
    ("{ changes(first: 1000) { changed { id } deletedIds } }", 1 + 1000),
    # Without a size, changes come a hundred at a time.
    ("{ changes { changed { id } deletedIds } }", 1 + 100),
    ("{ changes(first: 7) { entries { ... on Task { id } } } }", 1 + 7),
    ("{ changes(first: 7) { changed { id } deleted { id } } }", 1 + 7 + 7),
    ("subscription { changes { changed { ... on Task { subtasks(first: 4) { nodes { id } } } } } }", 1 + 100 * 6),
    # A list that has no pages may be as long as one.
    ("{ tasks(first: 3) { nodes { madeBy { toolCalls { run { id } } } } } }", 1 + 3 * (1 + 1 + 100 * 2)),
    ('{ node(id: "1") { ... on Run { toolCalls { id } } } }', 1 + 100),
    ("{ changes(first: 2) { changed { ... on Run { toolCalls { id } } } } }", 1 + 2 * (1 + 100)),
    ("mutation { undoRun { tasks { id } errors { message } } }", WRITE_COST + 1 + 100 + 1),
    ("mutation { a: undoRun { tasks { id } } b: undoRun { tasks { id } } }", 2 * (WRITE_COST + 1 + 100)),
]
SIZED: Final = "query ($n: Int) { tasks(first: $n) { nodes { subtasks(last: $n) { nodes { id } } } } }"
DEFAULTED: Final = "query ($n: Int = 3) { tasks(first: $n) { nodes { id } } }"
NODES: Final = (
    "query ($ids: [ID!]!, $n: Int) { nodes(ids: $ids) { ... on User { tasks(first: $n) { nodes { id } } } } }"
)
SIZES: Final = ((2, 2), (100, 100), (100.0, 100), (1e300, 100), (None, 20), ("no number", 20))
VARIABLE: Final[list[tuple[str, dict[str, Any], int]]] = [
    *((SIZED, {"n": given}, 1 + size * (1 + 1 + size)) for given, size in SIZES),
    *((SIZED, {}, 1 + 20 * (1 + 1 + 20)), (SIZED, {"n": -1}, 1)),
    *((DEFAULTED, {}, 1 + 3), (DEFAULTED, {"n": 4}, 1 + 4), (DEFAULTED, {"n": None}, 1 + 20)),
    *((NODES, {"ids": ["1"] * count, "n": 5}, count * (1 + 1 + 5)) for count in (0, 2, 500)),
    (NODES, {"ids": "1", "n": 5}, 1 + 1 + 5),
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
    for text, variables, cost in VARIABLE + [(text, {}, cost) for text, cost in LITERALS + MERGED]:
        assert cost_of(text, variables) == cost, (text, variables)


@pytest.mark.parametrize("accept", ["application/graphql-response+json", "application/json", "*/*"])
async def test_operation_over_the_cost_limit_is_refused(http: httpx2.AsyncClient, accept: str) -> None:
    query = "query ($n: Int!) { conversations(first: $n) { nodes { messages(first: $n) { nodes { id } } } } }"
    body = {"query": query, "variables": {"n": 100}}
    response = await http.post("/graphql", json=body, headers={"Accept": accept})
    told = "The operation costs 10201; the limit is 10000. Ask for less at once."
    extensions = {"code": "QUERY_TOO_COMPLEX", "cost": 10_201, "limit": 10_000}
    assert (response.status_code, response.json()) == (400, {"errors": [{"message": told, "extensions": extensions}]})
    within = await http.post("/graphql", json={"query": query, "variables": {"n": 50}})
    assert within.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
