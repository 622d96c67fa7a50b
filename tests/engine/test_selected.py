"""The fields that are selected below a resolver's own, under both executors."""

from collections.abc import Callable
from typing import Any, Final

import strawberry
from graphql import ExecutionResult, build_schema, execute, parse

import engine
from tests.engine.both import core_schema, same

SCHEMA: Final = build_schema("""
    interface Pet { name: String }
    type Cat implements Pet { name: String  lives: Int  owner: Person }
    type Dog implements Pet { name: String  barks: Int  owner: Person }
    type Person { id: Int  pets: [Pet!]  cat: Cat }
    type Query { people: [Person]  number: Int }
""")
QUERY: Final = """query ($no: Boolean!) {
    people {
        __typename i: id pets { name ...C ... on Dog { barks owner { cat { name } } } }
        cat @skip(if: true) { lives } ...P
    }
} fragment C on Cat { lives owner { id } } fragment P on Person { cat @include(if: $no) { name } }"""


async def selected_by_both(query: str, field: str, read: Callable[[engine.Selected], Any]) -> Any:
    found: list[Any] = []

    def resolve(_source: Any, info: Any) -> None:
        found.append(read(engine.selected(info)))

    assert SCHEMA.query_type is not None
    SCHEMA.query_type.fields[field].resolve = resolve
    await same(SCHEMA, query, variables={"no": False})
    assert found[0] == found[1]
    return found[0]


async def test_selected_names_at_every_depth_and_by_type() -> None:
    paths = {
        (): {"__typename", "id", "pets"},
        ("pets",): {"name", "lives", "barks", "owner"},
        ("pets", "owner"): {"id", "cat"},
        ("pets", "owner", "cat"): {"name"},
        ("cat",): set(),
    }
    found = await selected_by_both(QUERY, "people", lambda root: {path: root.below(*path).names for path in paths})
    assert found == paths
    by_type = await selected_by_both(
        QUERY, "people", lambda root: (root.below("pets").names_by_type, root.names_by_type)
    )
    pets = {"Cat": {"name", "lives", "owner"}, "Dog": {"name", "barks", "owner"}}
    assert by_type == (pets, {"Person": {"__typename", "id", "pets"}})


async def test_once_calls_a_function_once_for_its_arguments() -> None:
    calls = []

    def count(selected: engine.Selected, name: str) -> int:
        calls.append(name)
        return len(selected.below(name).names)

    names = ("pets", "cat", "pets")
    found = await selected_by_both(QUERY, "people", lambda selected: [selected.once(count, name) for name in names])
    assert (found, calls) == ([4, 0, 4], ["pets", "cat"] * 2)
    # A leaf has no selected fields.
    found = await selected_by_both("{ number }", "number", lambda leaf: (leaf.names, leaf.below("any", "thing").names))
    assert found == (frozenset(), frozenset())


@strawberry.type
class Leaf:
    created_at: int = 1
    renamed: int = strawberry.field(name="other", default=2)

    @strawberry.field
    def long_name(self) -> int:
        return 3


@strawberry.type
class Query:
    @strawberry.field
    def leaf(self, info: strawberry.Info) -> Leaf:
        info.context.append(engine.selected(info).attributes)
        return Leaf()


async def test_selected_attributes_of_strawberry() -> None:
    schema, found = strawberry.Schema(Query), list[Any]()
    await same(core_schema(schema), "{ leaf { createdAt other a: longName } }", context=found)
    assert found == [{"created_at", "renamed", "long_name"}] * 2
    # Under Strawberry's own executor too.
    document = parse("query ($no: Boolean!) { leaf { createdAt other @include(if: $no) } }")
    executor = schema.execution_context_class
    result = execute(core_schema(schema), document, None, found, {"no": False}, executor_class=executor)
    assert isinstance(result, ExecutionResult)
    assert (result.data, found[2:]) == ({"leaf": {"createdAt": 1}}, [{"created_at"}])
