"""Which fields are executed, under which names, with which arguments, and where their values are read from."""

from itertools import product
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInt,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    build_schema,
    parse,
)

import engine
from tests.engine.both import depth_first, same

SCHEMA: Final = build_schema("""
    interface Named { name: String  friend: Named }
    type Person implements Named { name: String  friend: Named  age: Int  home: Place  friends: [Person] }
    type Place { town: String  street(number: Int): String  people: [Person] }
    type Query { person: Person  place: Place  named: Named  word: String }
""")
ADA: Final = {"__typename": "Person", "name": "Ada", "age": 36, "home": {"town": "London", "street": "Dorset"}}
ROOT: Final[dict[str, Any]] = {
    "person": {**ADA, "friend": ADA, "friends": [ADA, None, {**ADA, "name": "Bob", "home": None}]},
    "place": {"town": "Ulm", "street": lambda _info, number=None: f"{number}", "people": [ADA, ADA]},
    "named": {**ADA, "friend": ADA},
    "word": "word",
}


async def test_aliases_arguments_and_unknown_fields() -> None:
    query = """{
        a: word b: word word missing t: __typename __typename
        place { street one: street(number: 1) two: street(number: 2) }
        person { unknown name friends { name home { town } } } ... on Place { town }
    }"""
    assert (await same(SCHEMA, query, ROOT)).errors is None


class Rated:
    name = "Rated"

    @property
    def age(self) -> int:
        raise ValueError("unknown age")

    def home(self, info: Any) -> Any:
        return {"town": info.field_name}


async def test_default_resolver_reads_keys_attributes_and_methods() -> None:
    mapping = MappingProxyType({"name": "Ada", "home": SimpleNamespace(town=lambda _info: "called")})
    full = SimpleNamespace(name="Ada", age=1, home=None)
    people: list[Any] = [full, SimpleNamespace(), mapping, Rated(), {"name": Rated, "age": None}, object(), 17]
    for person in people:
        root = {"person": {"friends": [person, ADA, person]}}
        await same(SCHEMA, "{ person { friends { name age home { town } } } }", root)
    # A missing root value gives nulls.
    assert (await same(SCHEMA, "{ word person { name } }")).data == {"word": None, "person": None}


async def test_failing_property_is_read_once_for_each_object() -> None:
    read = []

    class Person:
        def __init__(self, number: int) -> None:
            self.number = number

        @property
        def name(self) -> str:
            read.append(self.number)
            if self.number % 2:
                raise ValueError(str(self.number))
            return "even"

    root = {"person": {"friends": [Person(number) for number in range(5)]}}
    result = await same(SCHEMA, "{ person { friends { name } } }", root)
    assert [error.path for error in result.errors or ()] == [["person", "friends", at, "name"] for at in (1, 3)]
    assert read == [0, 1, 2, 3, 4] * 2


async def test_stop_iteration_is_an_error() -> None:
    class Person:
        @property
        def name(self) -> str:
            raise StopIteration("stopped")

    result = await same(SCHEMA, "{ person { friends { name } } }", {"person": {"friends": [Person(), ADA, Person()]}})
    assert len(result.errors or ()) == 2


async def test_info_of_a_resolver() -> None:
    infos: list[Any] = []

    def resolve(source: Any, info: Any) -> str:
        keys = [node.alias.value for node in info.field_nodes]
        of_field = (source, info.field_name, keys, info.return_type, info.parent_type.name)
        of_path = (info.path.as_list(), info.path, info._replace(field_name="x").path)
        of_operation = (info.operation.name.value, list(info.fragments), info.variable_values.coerced)
        infos.append(
            (of_field, of_path, of_operation, info.root_value, info.context, info.schema, info.is_awaitable(0))
        )
        return "word"

    leaf = GraphQLObjectType("Leaf", {"word": GraphQLField(GraphQLString, resolve=resolve)})
    query = GraphQLObjectType("Query", {"leaf": GraphQLField(leaf, resolve=lambda *_: "source")})
    text = 'query Q($n: String = "3") { leaf { a: word } ...F } fragment F on Query { leaf { a: word } }'
    await same(GraphQLSchema(query), text, "root", "context")
    assert len(infos) == 2
    assert infos[0] == infos[1]


PETS: Final = build_schema("""
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


for type_ in PETS.type_map.values():
    if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__"):
        for field in type_.fields.values():
            field.resolve = resolve

CAT: Final[dict[str, Any]] = {"__typename": "Cat", "lives": 9}
DOG: Final[dict[str, Any]] = {"__typename": "Dog", "barks": 3, "friend": CAT}
TOYS: Final = [{"id": 1, "owner": CAT}, {"id": 2, "owner": DOG}, {"id": 3, "owner": None}]
CAT.update({"friend": DOG, "toys": TOYS})
DOG.update({"toys": TOYS[:1]})
PET_ROOT: Final = {"cat": CAT, "dog": DOG, "pets": [CAT, None, DOG], "named": [DOG, CAT]}

# test_generated has many more, made at random.
CONDITIONS: Final = [
    "{ cat { ...F @skip(if: $a) lives } } fragment F on Cat { name }",
    # A fragment spread that is skipped does not count as visited.
    "{ cat { ...F @skip(if: $a) ...F @include(if: $b) } } fragment F on Cat { lives }",
    "{ cat { ...F @skip(if: $a) ... { ...F } } } fragment F on Cat { lives }",
    "{ cat { ... @include(if: $a) { lives } ... on Named @skip(if: $b) { name } } }",
    "{ cat { ...F } } fragment F on Cat { ...G @skip(if: $a) } fragment G on Cat { lives @include(if: $b) name }",
    "{ pets { ... on Cat @skip(if: $a) { lives } ... on Dog @include(if: $b) { barks } __typename @skip(if: $b) } }",
    "{ cat { lives @include(if: true) @skip(if: $a) name @include(if: false) } }",
]


@pytest.mark.parametrize("query", CONDITIONS)
async def test_conditions_of_fields_and_fragments(query: str) -> None:
    for a, b in product((True, False), repeat=2):
        result = await same(PETS, f"query ($a: Boolean!, $b: Boolean!) {query}", PET_ROOT, variables={"a": a, "b": b})
        assert result.errors is None


MERGED: Final = [
    "{ a: cat { name } cat { a: name lives } a: cat { lives name } }",
    "{ cat { toys { id } toys { owner { ... on Cat { name } } } ... on Named { ... on Cat { toys { i: id } } } } }",
    "{ pets { ... on Cat { x: lives } ... on Dog { x: barks } ... on Named { name } } }",
    '{ cat { a: name(as: "a") b: name(as: "b") name a: name(as: "a") } }',
    """{ named { ...N } } fragment N on Named { name friend { ...M } }
    fragment M on Named { name friend { name ...O } } fragment O on Dog { barks }""",
    # Of a type that it cannot be.
    "{ cat { ... on Dog { barks } ... on Pet { ... on Dog { barks } } name } }",
    "{ cat { ... on Dog { barks } } }",
]


@pytest.mark.parametrize("query", MERGED)
async def test_merged_selection_sets(query: str) -> None:
    assert (await same(PETS, query, PET_ROOT)).errors is None


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


ECHOING: Final = build_schema("""
    enum Colour { RED GREEN }
    input Point { x: Int! = 1  y: Int  label: String = "none"  next: Point }
    input Either @oneOf { a: Int  b: String }
    type Item { echo(int: Int, list: [Int]): String }
    type Query {
        echo(int: Int = 3, needed: String! = "n", colour: Colour = RED, list: [Int!] = [1], point: Point, either: Either
            flag: Boolean, id: ID, float: Float): String
        strict(int: Int!): String
        sure(int: Int!): String!
        items: [Item]
    }
""")


def echo(_source: Any, _info: Any, **arguments: Any) -> str:
    return repr(arguments)


for type_name in ("Query", "Item"):
    found = ECHOING.type_map[type_name]
    assert isinstance(found, GraphQLObjectType)
    for field in found.fields.values():
        if field.args:
            field.resolve = echo
ECHOING_ROOT: Final[dict[str, Any]] = {"items": [{}, {}]}

CASES: Final[list[tuple[str, dict[str, Any] | None]]] = [
    ("{ echo }", None),
    ("{ echo(int: null, colour: GREEN, list: null) }", None),
    ('{ echo(int: 4, needed: "x", list: 7, flag: true, id: 3, float: 1) }', None),
    ('{ echo(point: {}) a: echo(point: {x: 2, y: null, next: {label: "l"}}) }', None),
    ('{ echo(either: {a: 1}) b: echo(either: {b: "b"}) }', None),
    ("query ($i: Int) { echo(int: $i) }", {"i": None}),
    ("query ($i: Int) { echo(int: $i) }", {"i": 5}),
    ("query ($i: Int = 9) { echo(int: $i, list: [1, $i]) }", {}),
    ("query ($b: String!) { echo(either: {b: $b}, point: {label: $b}) }", {"b": "b"}),
    ("query ($i: Int!) { items { echo(int: $i) a: echo(list: [$i, null]) } }", {"i": 5}),
    # Refused as a whole.
    ("query ($i: Int!) { strict(int: $i) }", {"i": "five"}),
    ("query ($c: Colour, $p: Point) { echo(colour: $c, point: $p) }", {"c": "BLUE", "p": {"z": 1}}),
    ("query ($e: Either!) { echo(either: $e) }", {"e": {"a": 1, "b": "b"}}),
    ("query ($x: Unknown) { echo }", {"x": 1}),
    # Refused for one field: no validation has run.
    ("{ strict echo }", None),
    ('{ strict(int: "one") echo(colour: BLUE) a: echo(either: {a: 1, b: "b"}) }', None),
    ("{ echo sure }", None),
    ("query ($i: Int) { strict(int: $i) items { echo(list: [$i]) } }", {"i": None}),
    ('{ items { echo(int: "x") } }', None),
    ("{ strict(int: $unknown) }", None),
]


@pytest.mark.parametrize(("query", "variables"), CASES)
async def test_argument_values(query: str, variables: dict[str, Any] | None) -> None:
    await same(ECHOING, query, ECHOING_ROOT, variables=variables)


async def test_errors_of_variables_are_limited() -> None:
    names = [f"v{number}" for number in range(60)]
    query = f"query ({' '.join(f'${name}: Int' for name in names)}) {{ echo }}"
    result = await same(ECHOING, query, ECHOING_ROOT, variables=dict.fromkeys(names, "wrong"))
    assert len(result.errors or ()) == 51


async def test_argument_with_out_name() -> None:
    argument = GraphQLArgument(GraphQLInt, out_name="in_python", default_value=2)
    query = GraphQLObjectType("Query", {"echo": GraphQLField(GraphQLString, {"inSchema": argument}, resolve=echo)})
    assert (await same(GraphQLSchema(query), "{ echo }")).data == {"echo": "{'in_python': 2}"}


async def test_arguments_are_not_shared_between_executions() -> None:
    def drain(_source: Any, _info: Any, values: dict[str, list[int]]) -> int:
        return values.pop("list").pop()

    schema = build_schema("input Values { list: [Int!] } type Query { pop(values: Values): Int }")
    assert schema.query_type is not None
    schema.query_type.fields["pop"].resolve = drain
    for query in (
        "{ pop(values: {list: [3, 4]}) }",
        "query ($v: Values = {list: [3, 4]}) { pop(values: $v) }",
        "query ($l: [Int!] = [3, 4]) { pop(values: {list: $l}) }",
    ):
        plan = engine.Plan(schema, parse(query))
        for _ in range(3):
            assert (await plan.execute()).data == {"pop": 4}
