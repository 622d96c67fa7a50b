"""What is left to graphql-core: with the same result, and only that."""

from typing import Any, Final

import pytest
from graphql import (
    GraphQLDeferDirective,
    GraphQLError,
    GraphQLSchema,
    build_schema,
    get_introspection_query,
    parse,
    specified_directives,
)  # fmt: skip

import engine
from tests.engine.both import depth_first

SCHEMA: Final = build_schema("type Item { id: Int  item: Item } type Query { id: Int  item: Item }")
ROOT: Final[dict[str, Any]] = {"id": 1, "item": {"id": 2, "item": {"id": None}}}
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
async def test_what_is_left_to_graphql_core(query: str) -> None:
    document = parse(query)
    assert not engine.Plan(SCHEMA, document).is_planned
    assert await engine.Plan(SCHEMA, document).execute(ROOT) == await depth_first(SCHEMA, query, ROOT)


async def test_another_operation_of_the_document_does_not_matter() -> None:
    document = parse("query A { __schema { queryType { name } } } query B { id }")
    assert not engine.Plan(SCHEMA, document, "A").is_planned
    assert engine.Plan(SCHEMA, document, "B").is_planned
    assert (await engine.Plan(SCHEMA, document, "C").execute(ROOT)).errors == [
        GraphQLError("Unknown operation named 'C'.")
    ]


async def test_what_is_deferred_is_refused_as_by_graphql_core() -> None:
    with pytest.raises(GraphQLError, match="multiple payloads"):
        await engine.Plan(SCHEMA, parse("{ id ... @defer { item { id } } }")).execute(ROOT)


async def test_a_schema_that_defers_is_refused_as_by_graphql_core() -> None:
    kwargs: dict[str, Any] = {**SCHEMA.to_kwargs(), "directives": [*specified_directives, GraphQLDeferDirective]}
    with pytest.raises(GraphQLError, match="defer"):
        await engine.Plan(GraphQLSchema(**kwargs), parse("{ id }")).execute(ROOT)


async def test_an_invalid_schema_is_refused() -> None:
    with pytest.raises(TypeError, match="Query root type must be provided"):
        await engine.Plan(GraphQLSchema(), parse("{ id }")).execute()


async def test_suggestions_are_hidden_where_asked_for() -> None:
    schema = build_schema("input Place { town: String } type Query { id(at: Place): Int }")
    document = parse("query ($at: Place) { id(at: $at) }")
    for hidden in (True, False):
        result = await engine.Plan(schema, document).execute(
            None, None, {"at": {"tow": "Ulm"}}, hide_suggestions=hidden
        )
        assert ("Did you mean" in str(result.errors)) is not hidden
