"""What a resolver is told of the fields below its own, by both executors."""

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


async def test_names_at_every_depth() -> None:
    found: list[Any] = []

    def people(_source: Any, info: Any) -> list[Any]:
        selected = engine.selected(info)
        found.append(
            [selected.names, selected.attributes]
            + [
                selected.below(*path).names
                for path in (["pets"], ["pets", "owner"], ["pets", "owner", "cat"], ["cat"], [])
            ]
        )
        return [{"id": 1}]

    assert SCHEMA.query_type is not None
    SCHEMA.query_type.fields["people"].resolve = people
    await same(SCHEMA, QUERY, variables={"no": False})
    assert found[0] == found[1]
    names = [
        {"__typename", "id", "pets"},
        {"id", "pets"},
        {"name", "lives", "barks", "owner"},
        {"id", "cat"},
        {"name"},
        set(),
    ]
    assert found[0] == [*names, {"__typename", "id", "pets"}]


async def test_names_by_type() -> None:
    found: list[Any] = []

    def people(_source: Any, info: Any) -> list[Any]:
        selected = engine.selected(info)
        found.append((selected.below("pets").names_by_type, selected.names_by_type))
        return []

    assert SCHEMA.query_type is not None
    SCHEMA.query_type.fields["people"].resolve = people
    await same(SCHEMA, QUERY, variables={"no": False})
    pets = {"Cat": {"name", "lives", "owner"}, "Dog": {"name", "barks", "owner"}}
    assert found == [(pets, {"Person": {"__typename", "id", "pets"}})] * 2


async def test_a_leaf_has_nothing_below() -> None:
    found: list[Any] = []

    def number(_source: Any, info: Any) -> int:
        found.append((engine.selected(info).names, engine.selected(info).below("any", "thing").names))
        return 1

    assert SCHEMA.query_type is not None
    SCHEMA.query_type.fields["number"].resolve = number
    await same(SCHEMA, "{ number }")
    assert found == [(frozenset(), frozenset())] * 2


@strawberry.type
class Leaf:
    """Has names of both kinds."""

    created_at: int = 1
    renamed: int = strawberry.field(name="other", default=2)

    @strawberry.field
    def long_name(self) -> int:
        """Return a number."""
        return 3


@strawberry.type
class Query:
    """Notes what is selected of its only field."""

    @strawberry.field
    def leaf(self, info: strawberry.Info) -> Leaf:
        """Note it in the context."""
        info.context.append(engine.selected(info).attributes)
        return Leaf()


async def test_attributes_of_strawberry() -> None:
    found: list[Any] = []
    schema = core_schema(strawberry.Schema(Query))
    await same(schema, "{ leaf { createdAt other a: longName } }", context=found)
    assert found == [{"created_at", "renamed", "long_name"}] * 2


async def test_conditions_with_the_executor_of_strawberry() -> None:
    found: list[Any] = []
    schema = strawberry.Schema(Query)
    document = parse("query ($no: Boolean!) { leaf { createdAt other @include(if: $no) } }")
    result = execute(
        core_schema(schema),
        document,
        context_value=found,
        variable_values={"no": False},
        executor_class=schema.execution_context_class,
    )
    assert isinstance(result, ExecutionResult)
    assert (result.data, found) == ({"leaf": {"createdAt": 1}}, [{"created_at"}])
