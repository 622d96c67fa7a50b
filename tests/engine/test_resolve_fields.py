"""Which fields are executed, under which names, and where their values are read from."""

from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, GraphQLString, build_schema

from tests.engine.both import same

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


async def test_named_operation_is_executed() -> None:
    query = "query A { word } query B { person { name } } fragment F on Query { word }"
    assert (await same(SCHEMA, query, ROOT, name="B")).data == {"person": {"name": "Ada"}}


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
