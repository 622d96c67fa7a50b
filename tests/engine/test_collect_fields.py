"""CollectFields and MergeSelectionSets of the specification: which fields there are, in which order, of which nodes."""

from itertools import product
from typing import Any, Final

import pytest
from graphql import GraphQLObjectType, build_schema, parse

import engine
from tests.engine.both import depth_first, same

SCHEMA: Final = build_schema("""
    interface Named { name(as: String = "plain"): String  friend: Named }
    type Cat implements Named { name(as: String = "plain"): String  friend: Named  lives: Int  toys: [Toy!] }
    type Dog implements Named { name(as: String = "plain"): String  friend: Named  barks: Int  toys: [Toy!] }
    type Toy { id: Int  owner: Pet }
    union Pet = Cat | Dog
    type Query { cat: Cat  dog: Dog  pets: [Pet]  named: [Named] }
""")


def resolve(source: Any, info: Any, **arguments: Any) -> Any:
    """Return the nodes of the field, where it is a word."""
    if info.field_name == "name":
        return f"{arguments['as']} {[node.loc.start for node in info.field_nodes]}"
    return source.get(info.field_name)


for type_ in SCHEMA.type_map.values():
    if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
        for field in type_.fields.values():
            field.resolve = resolve

CAT: Final[dict[str, Any]] = {"__typename": "Cat", "lives": 9}
DOG: Final[dict[str, Any]] = {"__typename": "Dog", "barks": 3, "friend": CAT}
TOYS: Final = [{"id": 1, "owner": CAT}, {"id": 2, "owner": DOG}, {"id": 3, "owner": None}]
CAT.update({"friend": DOG, "toys": TOYS})
DOG.update({"toys": TOYS[:1]})
ROOT: Final = {"cat": CAT, "dog": DOG, "pets": [CAT, None, DOG], "named": [DOG, CAT]}

CONDITIONS: Final = [
    "{ cat { ...F @skip(if: $a) lives } } fragment F on Cat { name }",
    "{ cat { ...F @include(if: $a) name } } fragment F on Cat { lives name }",
    # A fragment spread that is skipped does not count as visited.
    "{ cat { ...F @skip(if: $a) ...F @include(if: $b) } } fragment F on Cat { lives }",
    "{ cat { ...F @skip(if: $a) ... { ...F } } } fragment F on Cat { lives }",
    "{ cat { ...F ...G @include(if: $a) } } fragment F on Cat { name @skip(if: $b) } fragment G on Cat { name lives }",
    "{ cat { ... @include(if: $a) { lives } ... on Named @skip(if: $b) { name } } }",
    "{ cat { ... on Cat @skip(if: $a) @include(if: $b) { lives name } } }",
    "{ cat { ...F } } fragment F on Cat { ...G @skip(if: $a) } fragment G on Cat { lives @include(if: $b) name }",
    "{ cat { friend @skip(if: $a) { name } friend @include(if: $b) { friend { name } } } }",
    "{ cat { name @skip(if: $a) name @skip(if: $b) } }",
    "{ ...Q @include(if: $a) ...Q @include(if: $b) } fragment Q on Query { cat { lives } }",
    "{ pets { ... on Cat @skip(if: $a) { lives } ... on Dog @include(if: $b) { barks } __typename @skip(if: $b) } }",
    "{ cat @skip(if: $a) { lives @include(if: $b) } dog { barks } cat { name } }",
    "{ cat { lives @include(if: true) @skip(if: $a) name @include(if: false) } }",
]


@pytest.mark.parametrize("query", CONDITIONS)
async def test_conditions_of_fields_and_fragments(query: str) -> None:
    for a, b in product((True, False), repeat=2):
        result = await same(SCHEMA, f"query ($a: Boolean!, $b: Boolean!) {query}", ROOT, variables={"a": a, "b": b})
        assert result.errors is None


MERGED: Final = [
    "{ cat { name } cat { lives } cat { name } }",
    "{ a: cat { name } cat { a: name lives } a: cat { lives name } }",
    "{ cat { friend { name } } ...F } fragment F on Query { cat { friend { friend { name } } friend { name } } }",
    "{ cat { toys { id } toys { owner { ... on Cat { name } } } ... on Named { ... on Cat { toys { i: id } } } } }",
    "{ pets { ... on Cat { toys { id } } ... on Dog { toys { id owner { __typename } } } } }",
    "{ pets { ... on Cat { x: lives } ... on Dog { x: barks } ... on Named { name } } }",
    """{
        named { name ... on Dog { friend { name } } friend { ... on Cat { lives } } ... on Cat { friend { name } } }
    }""",
    '{ cat { a: name(as: "a") b: name(as: "b") name a: name(as: "a") } }',
    """{ named { ...N } } fragment N on Named { name friend { ...M } }
    fragment M on Named { name friend { name ...O } } fragment O on Dog { barks }""",
    """{ pets { ...P } named { ...P } }
    fragment P on Pet { __typename ... on Named { ...N } } fragment N on Named { name }""",
    # Of a type that it cannot be.
    "{ cat { ... on Dog { barks } ... on Pet { ... on Dog { barks } } name } }",
    "{ dog { ...C } } fragment C on Cat { lives }",
    "{ cat { ... on Dog { barks } } }",
]


@pytest.mark.parametrize("query", MERGED)
async def test_merged_selection_sets(query: str) -> None:
    assert (await same(SCHEMA, query, ROOT)).errors is None


ITEMS: Final = build_schema("type Item { a: Int  b: Int  item: Item } type Query { a: Int  b: Int  item: Item }")
ITEM_ROOT: Final = {"a": 5, "b": 6, "item": {"a": 1, "b": 2, "item": {"a": 3, "b": 4}}}
BOTH: Final = """query ($x: Boolean!, $y: Boolean!) {
    a @skip(if: $x) @include(if: $y) item @skip(if: $y) { a b @include(if: $x) }
}"""


async def test_plan_serves_all_values_of_conditions() -> None:
    plan = engine.Plan(ITEMS, parse(BOTH))
    for x, y in [*product((True, False), repeat=2)] * 2:
        expected = await depth_first(ITEMS, BOTH, ITEM_ROOT, variables={"x": x, "y": y})
        assert await plan.execute(ITEM_ROOT, None, {"x": x, "y": y}) == expected


async def test_more_combinations_of_conditions_than_are_kept() -> None:
    names = [f"v{number}" for number in range(6)]
    fields = " ".join(f"{name}: a @skip(if: ${name})" for name in names)
    plan = engine.Plan(ITEMS, parse(f"query ({' '.join(f'${name}: Boolean!' for name in names)}) {{ {fields} }}"))
    for values in product((True, False), repeat=6):
        given = dict(zip(names, values, strict=True))
        result = await plan.execute(ITEM_ROOT, None, given)
        assert result.data == {name: 5 for name, skipped in given.items() if not skipped}


@pytest.mark.parametrize("variables", [{}, {"x": None}, {"x": True}])
async def test_condition_without_a_value(variables: dict[str, Any]) -> None:
    for query in (
        "query ($x: Boolean) { a @skip(if: $x) b }",
        "query ($x: Boolean = true) { a @skip(if: $x) b item { a @include(if: $x) } }",
        *("{ a @skip(if: $x) b }", "{ a @skip(if: 3) b }", "{ a @skip b }", "{ item { a @include b } }"),
    ):
        expected = await depth_first(ITEMS, query, ITEM_ROOT, variables=variables)
        assert await engine.Plan(ITEMS, parse(query)).execute(ITEM_ROOT, None, variables) == expected
