"""Schemas of Strawberry: permissions, generics, unions, enums, inputs, loaders, and what is around a resolver."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import wraps
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

import pytest
import strawberry
from graphql import GraphQLSchema
from strawberry.dataloader import DataLoader
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

import engine
from tests.engine.both import core_schema, same

Item = TypeVar("Item")
LOADED: Final[list[list[int]]] = []


@strawberry.enum
class Mood(Enum):
    GLAD = "glad"
    SAD = strawberry.enum_value("sad", name="BLUE")


class Allowed(BasePermission):
    message = "not allowed"

    async def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> bool:
        return getattr(source, "id", 0) % 2 == 0 and info.context is not None


class AllowedAtOnce(BasePermission):
    message = "nobody"

    def has_permission(self, source: Any, info: strawberry.Info, **_: Any) -> bool:  # noqa: ARG002
        return False


class Upper(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return str(next_(source, info, **kwargs)).upper()


@strawberry.interface
class Node:
    id: int


@strawberry.type
class Page(Generic[Item]):
    items: list[Item]
    count: int


@strawberry.type
class Moments:
    at: datetime = datetime(2026, 1, 31, 9, tzinfo=UTC)
    day: date = date(2026, 1, 31)
    hour: time = time(9, 30)
    price: Decimal = Decimal("1.50")
    key: UUID = UUID(int=5)
    data: strawberry.scalars.JSON = strawberry.field(default_factory=lambda: {"any": [1, None]})
    mood: Mood = Mood.SAD
    moods: list[Mood | None] = strawberry.field(default_factory=lambda: [Mood.GLAD, None, Mood.SAD])


async def load(keys: list[int]) -> list[Any]:
    LOADED.append(keys)
    return [ValueError(f"no {key}") if key == 7 else Person(id=key) for key in keys]


@strawberry.type
class Person(Node):
    name: str | None = None
    secret: str | None = strawberry.field(default="secret", permission_classes=[Allowed])
    hidden: str | None = strawberry.field(default="hidden", permission_classes=[AllowedAtOnce])
    shout: str = strawberry.field(default="loud", extensions=[Upper()])

    @strawberry.field(permission_classes=[Allowed])  # type: ignore[untyped-decorator]
    async def loaded(self, info: strawberry.Info) -> "Person | None":
        person: Person = await info.context.load(self.id + 1)
        return person

    @strawberry.field
    def next(self, info: strawberry.Info) -> "Person":
        person: Person = info.context.load(self.id + 1)
        return person

    @strawberry.field
    async def words(self, count: int = 2) -> AsyncIterator[str]:
        for number in range(count):
            yield f"{number}"


@strawberry.type
class Robot(Node):
    moments: Moments = strawberry.field(default_factory=Moments)


@strawberry.input
class Query_Input:  # noqa: N801
    first_id: int
    mood: Mood = Mood.GLAD
    names: list[str] = strawberry.field(default_factory=lambda: ["a"])
    maybe: strawberry.Maybe[int] = None


@strawberry.type
class Query:
    @strawberry.field
    def people(self, count: int = 4) -> Page[Person]:
        return Page(items=[Person(id=number, name=f"p{number}") for number in range(count)], count=count)

    @strawberry.field
    async def nodes(self) -> list[Node]:
        return [Person(id=1), Robot(id=2), Person(id=3)]

    @strawberry.field
    def either(self) -> list[Annotated[Person | Robot, strawberry.union("Either")]]:
        return [Robot(id=2), Person(id=3), Mood.GLAD]  # type: ignore[list-item]

    @strawberry.field
    def pages(self) -> list[Page[Robot]]:
        return [Page(items=[Robot(id=1)], count=1), Page(items=[], count=0)]

    @strawberry.field
    def describe(self, look: Query_Input, other: Query_Input | None = strawberry.UNSET) -> str:
        return f"{look} {other}"


SCHEMA: Final = core_schema(strawberry.Schema(Query, types=[Robot, Person]))
OPERATIONS: Final = [
    "{ people { count items { __typename id name } } }",
    "{ people { items { secret hidden shout } } }",
    "{ people(count: 3) { items { loaded { id loaded { id } } next { id next { name } } } } }",
    "{ people(count: 8) { items { next { id } } } }",
    "{ people { items { words more: words(count: 3) } } }",
    "{ nodes { __typename id ... on Person { shout secret } ... on Robot { moments { mood } } } }",
    "{ either { ... on Node { id } ... on Robot { moments { at day hour price key data mood moods } } } }",
    "{ pages { count items { moments { mood at } } } }",
    '{ describe(look: {firstId: 1, mood: BLUE, maybe: null}, other: {firstId: 2, names: ["b"]}) }',
    "{ describe(look: {firstId: 1, maybe: 3}) a: describe(look: {firstId: 1, names: null}) }",
]


@pytest.mark.parametrize("query", OPERATIONS)
async def test_operations_of_a_strawberry_schema(query: str) -> None:
    await same(SCHEMA, query, None, DataLoader(load))


async def test_data_loaders_batch() -> None:
    query = "{ people { items { next { next { id } } } } }"
    for executions in (1, 2):
        LOADED.clear()
        await same(SCHEMA, query, None, DataLoader(load, cache=False))
        assert LOADED == [[1, 2, 3, 4], [2, 3, 4, 5]] * 2, executions


@strawberry.type
class Thing:
    id: int
    name: str | None


@strawberry.type
class Things:
    @strawberry.field(graphql_type=list[Thing])  # type: ignore[untyped-decorator]
    def things(self) -> Any:
        return [{"id": 1, "name": "dict"}, Thing(id=2, name=None), {"id": 3}]


async def test_custom_default_resolver() -> None:
    def get(source: Any, name: str) -> Any:
        return source[name] if isinstance(source, dict) else getattr(source, name)

    schema = core_schema(strawberry.Schema(Things, config=StrawberryConfig(default_resolver=get)))
    await same(schema, "{ things { id name } }")


class OwnField(StrawberryField):
    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:
        return f"own {super().get_result(source, info, args, kwargs)}"


class OwnResolver(StrawberryResolver[str]):
    def __call__(self, *args: Any, **kwargs: Any) -> str:
        return f"own {super().__call__(*args, **kwargs)}"


def word(self: Any) -> str:  # noqa: ARG001
    return "word"


def replaced(schema: GraphQLSchema) -> None:
    type_: Any = schema.query_type
    type_.fields["word"].resolve = lambda *_: "replaced"


def replaced_result(schema: GraphQLSchema) -> None:
    type_: Any = schema.query_type
    type_.fields["word"].extensions["strawberry-definition"].get_result = lambda *_args, **_kwargs: "replaced"


AROUND: dict[str, tuple[Any, Callable[[GraphQLSchema], None]]] = {
    "extension": (strawberry.field(resolver=word, extensions=[Upper()]), lambda _: None),
    "field": (OwnField(python_name="word", base_resolver=StrawberryResolver(word)), lambda _: None),
    "resolver": (StrawberryField(python_name="word", base_resolver=OwnResolver(word)), lambda _: None),
    "replaced": (strawberry.field(resolver=word), replaced),
    "replaced result": (strawberry.field(resolver=word), replaced_result),
}


@pytest.mark.parametrize("name", AROUND)
async def test_what_is_around_a_resolver_is_called(name: str) -> None:
    field, change = AROUND[name]

    @strawberry.type
    class Root:
        word: str = field

    schema = core_schema(strawberry.Schema(Root))
    change(schema)
    assert (await same(schema, "{ word }")).data != {"word": "word"}


class OwnInfo(strawberry.Info):
    @property
    def more(self) -> str:
        return f"more of {self.field_name}"


NOTED: Final[list[str]] = []


def noted(resolve: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(resolve)
    async def around(*args: Any, **kwargs: Any) -> Any:
        NOTED.append("noted")
        return await resolve(*args, **kwargs)

    return around


@strawberry.type
class Doubled:
    id: int

    @strawberry.field(graphql_type=int)  # type: ignore[untyped-decorator]
    @noted
    @engine.batched
    async def double(parents: strawberry.Parent[list[Any]]) -> Any:  # noqa: N805
        return [parent.id * 2 for parent in parents]


@strawberry.type
class Own:
    @strawberry.field
    def word(self, info: strawberry.Info) -> str:
        assert isinstance(info, OwnInfo)
        return info.more

    @strawberry.field
    def items(self) -> list[Doubled]:
        return [Doubled(id=1), Doubled(id=2)]


async def test_custom_info_class_and_decorator_of_a_batched_resolver() -> None:
    schema = core_schema(strawberry.Schema(Own, config=StrawberryConfig(info_class=OwnInfo)))
    result = await same(schema, "{ word items { double } }")
    assert result.data == {"word": "more of word", "items": [{"double": 2}, {"double": 4}]}
    assert NOTED == ["noted"] * 3


@strawberry.type
class Missing:
    reason: str


class Handler(strawberry.ExceptionHandler[KeyError, Missing]):
    def handle(self, exception: KeyError, *, field: Any, info: strawberry.Info) -> Missing | None:  # noqa: ARG002
        return None if info.path.as_list()[1] == 3 else Missing(reason=f"{exception} {info.path.as_list()}")


@strawberry.type
class Held:
    id: int

    @strawberry.field(graphql_type=Annotated["Held | Missing", strawberry.union("Found")])  # type: ignore[untyped-decorator]
    def plain(self) -> Any:
        if self.id != 1:
            raise KeyError(self.id)
        return self

    @strawberry.field(graphql_type=Annotated["Held | Missing", strawberry.union("Found")])  # type: ignore[untyped-decorator]
    @engine.batched
    async def batched(parents: strawberry.Parent[list[Any]], info: strawberry.Info) -> Any:  # noqa: N805
        assert info.field_name == "batched"
        return [parent if parent.id == 1 else KeyError(parent.id) for parent in parents]


@strawberry.type
class Root:
    @strawberry.field
    def items(self) -> list[Held]:
        return [Held(id=number) for number in range(4)]


@pytest.mark.parametrize("name", ["plain", "batched"])
async def test_exception_handlers(name: str) -> None:
    schema = core_schema(strawberry.Schema(Root, exception_handlers=[Handler()]))
    found = "__typename ... on Held { id } ... on Missing { reason }"
    result = await same(schema, f"{{ items {{ {name} {{ {found} }} }} }}")
    assert [error.path for error in result.errors or ()] == [["items", 3, name]]
