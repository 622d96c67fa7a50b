"""Plans: executed many times, concurrently too; what is left to graphql-core gives its results."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from graphql import (
    ExecutionResult,
    GraphQLDeferDirective,
    GraphQLError,
    GraphQLSchema,
    build_schema,
    get_introspection_query,
    parse,
    specified_directives,
    subscribe,
)

import engine
from tests.engine.both import depth_first, described, same

SCHEMA: Final = build_schema("""
    type Item { id: Int!  items: [[Item!]!]! } type Query { item(by: Int): Item  word: String }
""")


async def test_concurrent_executions_of_a_plan() -> None:
    async def item(_info: Any, by: int) -> Any:
        await asyncio.sleep(0.001 * (by % 3))
        return {"id": by if by % 4 else None}

    plan = engine.Plan(SCHEMA, parse("query ($by: Int!) { item(by: $by) { id } word }"))
    executing = (plan.execute({"item": item, "word": f"{by}"}, None, {"by": by}) for by in range(20))
    for by, result in enumerate(await asyncio.gather(*executing)):
        assert result.data == {"item": {"id": by} if by % 4 else None, "word": f"{by}"}
        assert len(result.errors or ()) == (not by % 4)


async def test_lists_at_maximum_depth() -> None:
    depth = 48
    item: dict[str, Any] = {"id": None, "items": []}
    for _ in range(depth - 1):
        item = {"id": 1, "items": [[], [item]]}
    query = "{ item " + "{ id items " * (depth - 1) + "{ id }" + " }" * depth
    result = await same(SCHEMA, query, {"item": item})
    assert [len(error.path or ()) for error in result.errors or ()] == [2 + (depth - 1) * 3]


ITEM_SCHEMA: Final = build_schema("type Item { id: Int  item: Item } type Query { id: Int  item: Item }")
ITEM_ROOT: Final[dict[str, Any]] = {"id": 1, "item": {"id": 2, "item": {"id": None}}}
DEEP: Final = "{ item " * 150 + "{ id }" + " }" * 150


@pytest.mark.parametrize(
    "query",
    [
        get_introspection_query(),
        '{ id __type(name: "Item") { name } item { id } }',
        "{ item { ...Q } } fragment Q on Query { __schema { types { name } } }",
        "query @experimental_disableErrorPropagation { id }",
        DEEP,
        "{ id } query B { id }",
        "fragment F on Query { id }",
        "mutation { id }",
        "subscription { id }",
        "{ ...Missing id }",
        "{ item { ...A } } fragment A on Item { id item { ...A } }",
        "{ id item { ... @defer(if: false) { id } } }",
    ],
)
async def test_unplannable_operations_are_left_to_graphql_core(query: str) -> None:
    document = parse(query)
    plan = engine.Plan(ITEM_SCHEMA, document)
    assert not plan.is_planned
    assert await plan.execute(ITEM_ROOT) == await depth_first(ITEM_SCHEMA, query, ITEM_ROOT)


async def test_other_operations_of_a_document_do_not_matter() -> None:
    document = parse("query A { __schema { queryType { name } } } query B { id }")
    plans = {name: engine.Plan(ITEM_SCHEMA, document, name) for name in "ABC"}
    assert (plans["A"].is_planned, plans["B"].is_planned) == (False, True)
    assert (await plans["B"].execute(ITEM_ROOT)).data == {"id": 1}
    assert (await plans["C"].execute(ITEM_ROOT)).errors == [GraphQLError("Unknown operation named 'C'.")]


WITH_DEFER: Final[dict[str, Any]] = ITEM_SCHEMA.to_kwargs() | {
    "directives": [*specified_directives, GraphQLDeferDirective]
}


@pytest.mark.parametrize(
    ("schema", "query", "error", "message"),
    [
        (ITEM_SCHEMA, "{ id ... @defer { item { id } } }", GraphQLError, "multiple payloads"),
        (GraphQLSchema(**WITH_DEFER), "{ id }", GraphQLError, "defer"),
        (GraphQLSchema(), "{ id }", TypeError, "Query root type must be provided"),
    ],
    ids=["deferred fragment", "schema with defer", "invalid schema"],
)
async def test_deferred_fragments_and_invalid_schemas_are_refused(
    schema: GraphQLSchema, query: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        await engine.Plan(schema, parse(query)).execute(ITEM_ROOT)


async def test_suggestions_can_be_hidden() -> None:
    schema = build_schema("input Place { town: String } type Query { id(at: Place): Int }")
    document = parse("query ($at: Place) { id(at: $at) }")
    for hidden in (True, False):
        plan = engine.Plan(schema, document)
        result = await plan.execute(None, None, {"at": {"tow": "Ulm"}}, hide_suggestions=hidden)
        assert ("Did you mean" in str(result.errors)) is not hidden


async def test_events_of_a_subscription_are_executed_as_by_graphql_core() -> None:
    schema = build_schema("type Event { id: Int! } type Query { id: Int } type Subscription { event(by: Int): Event }")
    document = parse("subscription ($by: Int) { event(by: $by) { id __typename } }")
    payloads: list[Any] = [{"event": {"id": 1}}, {"event": {"id": None}}, {"event": None}, None, "odd"]

    async def events(_info: Any, by: int) -> AsyncIterator[Any]:
        assert by == 3
        for payload in payloads:
            yield payload

    stream: Any = subscribe(schema, document, {"event": events}, None, {"by": 3})
    expected = [result async for result in stream]
    plan = engine.Plan(schema, document)
    found: list[ExecutionResult] = [await plan.execute(payload, None, {"by": 3}) for payload in payloads]
    assert [(result.data, described(result.errors)) for result in found] == [
        (result.data, described(result.errors)) for result in expected
    ]
