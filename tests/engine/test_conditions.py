"""`@skip` and `@include`, by literals and by variables."""

from itertools import product
from typing import Any, Final

import pytest
from graphql import build_schema, parse

import engine
from tests.engine.both import depth_first, same

SCHEMA: Final = build_schema("type Item { a: Int  b: Int  item: Item } type Query { a: Int  b: Int  item: Item }")
ITEM: Final = {"a": 1, "b": 2, "item": {"a": 3, "b": 4}}
ROOT: Final = {"a": 5, "b": 6, "item": ITEM}
QUERIES: Final = [
    "{ a @skip(if: true) b @include(if: true) item @include(if: false) { a } }",
    "query ($x: Boolean!) { a @skip(if: $x) b @include(if: $x) item { a @include(if: $x) item { b @skip(if: $x) } } }",
    """query ($x: Boolean!, $y: Boolean!) {
        a @skip(if: $x) @include(if: $y) item @skip(if: $y) { a b @include(if: $x) }
    }""",
    """query ($x: Boolean!, $y: Boolean = true) { ...F @include(if: $x) ... @skip(if: $y) { b } }
    fragment F on Query { a item { a } }""",
    """query ($x: Boolean!) {
        item { a } item @include(if: $x) { b } ... on Query @skip(if: $x) { item { item { a } } }
    }""",
]


@pytest.mark.parametrize("query", QUERIES)
async def test_conditions(query: str) -> None:
    for x, y in product((True, False), repeat=2):
        await same(SCHEMA, query, ROOT, variables={"x": x, "y": y})


async def test_one_plan_for_all_values() -> None:
    plan = engine.Plan(SCHEMA, parse(QUERIES[2]))
    for x, y in [*product((True, False), repeat=2)] * 2:
        expected = await depth_first(SCHEMA, QUERIES[2], ROOT, variables={"x": x, "y": y})
        assert await plan.execute(ROOT, None, {"x": x, "y": y}) == expected


async def test_more_combinations_than_are_kept() -> None:
    names = [f"v{number}" for number in range(6)]
    fields = " ".join(f"{name}: a @skip(if: ${name})" for name in names)
    plan = engine.Plan(SCHEMA, parse(f"query ({' '.join(f'${name}: Boolean!' for name in names)}) {{ {fields} }}"))
    for values in product((True, False), repeat=6):
        given = dict(zip(names, values, strict=True))
        result = await plan.execute(ROOT, None, given)
        assert result.data == {name: 5 for name, skipped in given.items() if not skipped}


@pytest.mark.parametrize("variables", [{}, {"x": None}, {"x": True}])
@pytest.mark.parametrize(
    "query",
    [
        "query ($x: Boolean) { a @skip(if: $x) b }",
        "query ($x: Boolean = true) { a @skip(if: $x) b item { a @include(if: $x) } }",
        "{ a @skip(if: $x) b }",
        "{ a @skip(if: 3) b }",
        "{ a @skip b }",
        "{ item { a @include b } }",
    ],
)
async def test_a_condition_without_a_value(query: str, variables: dict[str, Any]) -> None:
    expected = await depth_first(SCHEMA, query, ROOT, variables=variables)
    assert await engine.Plan(SCHEMA, parse(query)).execute(ROOT, None, variables) == expected
