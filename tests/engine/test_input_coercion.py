"""Values are coerced to input types as graphql-core coerces them, whatever the types and the values are."""

from itertools import permutations
from typing import Any, Final

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    build_schema,
    is_input_type,
)
from graphql.execution.values import input_is_nested_too_deeply
from graphql.language.parser import MAX_NESTING_DEPTH
from graphql.utilities.coerce_input_value import coerce_input_value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.coercion import can_be_too_deep, coercion_of
from server.schema import core_schema, schema
from tests.engine.both import outcome
from tests.engine.decisions import Decisions
from tests.engine.inputs import input_value, make_input_schema

BOUNDED: Final = settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
BYTES: Final = st.binary(min_size=120, max_size=120)
OURS: Final[GraphQLSchema] = core_schema(schema)


def input_types(of: GraphQLSchema) -> list[Any]:
    return [type_ for name, type_ in of.type_map.items() if is_input_type(type_) and not name.startswith("__")]


def is_the_same(type_: GraphQLInputType, value: Any) -> None:
    nullable: Any = type_
    for each in (type_, GraphQLNonNull(nullable), GraphQLList(nullable), GraphQLList(GraphQLNonNull(nullable))):
        found = outcome(lambda each=each: coercion_of(each).of(value))  # type: ignore[misc]
        assert found == outcome(lambda each=each: coerce_input_value(value, each)), (each, value)  # type: ignore[misc]


@BOUNDED
@given(BYTES, BYTES, st.sampled_from([0, 12]))
def test_inputs_of_every_shape(shape: bytes, content: bytes, wrong: int) -> None:
    for type_ in input_types(make_input_schema(Decisions(shape))):
        is_the_same(type_, input_value(Decisions(content, wrong), type_))


@pytest.mark.parametrize("type_", input_types(OURS), ids=str)
@settings(BOUNDED, max_examples=60)
@given(content=BYTES, wrong=st.sampled_from([0, 12]))
def test_inputs_of_the_server(type_: GraphQLInputType, content: bytes, wrong: int) -> None:
    is_the_same(type_, input_value(Decisions(content, wrong), type_))


def test_a_default_that_is_wrong_is_told_when_it_is_needed() -> None:
    text = (
        'input In { x: Int = 1  in: In = {x: 2, in: null, odd: 1}  odd: Int = "odd" } type Query { told(it: In): Int }'
    )
    type_: Any = build_schema(text, assume_valid=True).type_map["In"]
    type_.out_type = _refuse
    for value in ({"x": 1, "in": None, "odd": 1}, {"x": 1, "in": None}, {"x": 1, "odd": 1}, {"y": 1}, {}):
        is_the_same(type_, value)


def _refuse(value: dict[str, Any]) -> Any:
    if value["x"] == 2:
        raise ArithmeticError
    return value


def test_every_choice_of_fields_in_every_order() -> None:
    text = "input In { a: Int  b: String!  c: Int = 3  d: [Int]  e: Boolean = null } type Query { told(it: In): Int }"
    type_: Any = build_schema(text).type_map["In"]
    every = {"a": 1, "b": "b", "c": None, "d": [1], "e": True, "f": 1}
    for names in (names for count in range(len(every)) for names in permutations(every, count)):
        is_the_same(type_, {name: every[name] for name in names})


def test_fields_that_become_one() -> None:
    text = "input In { a: Int  b: Int = 2 } type Query { told(it: In): Int }"
    type_: Any = build_schema(text).type_map["In"]
    for field in type_.fields.values():
        field.out_name = "one"
    for value in ({"a": 1}, {"b": 1}, {"b": 1, "a": 3}, {}):
        is_the_same(type_, value)


def test_each_value_is_made_anew() -> None:
    """What a resolver does to a list or an object, nobody else sees."""
    type_: Any = build_schema("input In { list: [Int!]  in: In } type Query { told(it: In): Int }").type_map["In"]
    given = {"list": [1], "in": {"list": []}}
    coerced = coercion_of(type_).of(given)
    assert coerced == given
    assert coerced is not given
    assert coerced["list"] is not given["list"]
    assert coerced["in"] is not given["in"]


@pytest.mark.parametrize(
    ("name", "expected"), [("Flat", False), ("Low", False), ("Endless", True), ("Above", True), ("Odd", False)]
)
def test_which_types_can_be_too_deep(name: str, *, expected: bool) -> None:
    of = build_schema("""
        scalar Odd
        input Flat { x: Int  odd: Odd }
        input Low { flat: [Flat!]  again: Flat }
        input Endless { above: [Above] }
        input Above { endless: Endless  flat: Flat }
        type Query { told(it: Low, endless: Endless): Int }
    """)
    type_: Any = of.type_map[name]
    assert can_be_too_deep(type_) is expected


@pytest.mark.parametrize("depth", [MAX_NESTING_DEPTH - 1, MAX_NESTING_DEPTH, MAX_NESTING_DEPTH + 1])
def test_lists_of_lists_that_are_too_deep(depth: int) -> None:
    type_: Any = GraphQLNonNull(OURS.type_map["Int"])
    value: Any = 1
    for _ in range(depth):
        type_, value = GraphQLList(type_), [value]
    assert can_be_too_deep(type_) is input_is_nested_too_deeply(value, type_)


class Fresh(GraphQLEnumType):
    """An enum whose values are made anew each time."""

    def coerce_input_value(self, input_value: Any, hide_suggestions: bool = False) -> Any:
        return [super().coerce_input_value(input_value, hide_suggestions)]


def test_an_enum_with_a_way_of_its_own_is_asked_each_time() -> None:
    coercion = coercion_of(Fresh("Fresh", {"A": 1}))
    first = coercion.of("A")
    first.append(2)
    assert coercion.of("A") == [1]
