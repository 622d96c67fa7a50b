"""Resolvers of Strawberry with extensions, decorators, exception handlers or classes of one's own around them."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import pytest
import strawberry
from graphql import GraphQLSchema
from strawberry.extensions import FieldExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver

import engine
from tests.engine.both import core_schema, same


class Loud(FieldExtension):
    def resolve(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return f"{next_(source, info, **kwargs)}!"


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
    "extension": (strawberry.field(resolver=word, extensions=[Loud()]), lambda _: None),
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


async def test_custom_info_class() -> None:
    @strawberry.type
    class Root:
        @strawberry.field
        def word(self, info: strawberry.Info) -> str:
            assert isinstance(info, OwnInfo)
            return info.more

    schema = core_schema(strawberry.Schema(Root, config=StrawberryConfig(info_class=OwnInfo)))
    assert (await same(schema, "{ word }")).data == {"word": "more of word"}


async def test_decorator_of_a_batched_resolver_is_called() -> None:
    calls = []

    def noted(resolve: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(resolve)
        async def around(*args: Any, **kwargs: Any) -> Any:
            calls.append("noted")
            return await resolve(*args, **kwargs)

        return around

    @strawberry.type
    class Item:
        id: int

        @strawberry.field(graphql_type=int)  # type: ignore[untyped-decorator]
        @noted
        @engine.batched
        async def double(parents: strawberry.Parent[list[Any]]) -> Any:  # noqa: N805
            return [parent.id * 2 for parent in parents]

    @strawberry.type
    class Root:
        @strawberry.field
        def items(self) -> list[Item]:
            return [Item(id=1), Item(id=2)]

    result = await same(core_schema(strawberry.Schema(Root)), "{ items { double } }")
    assert result.data == {"items": [{"double": 2}, {"double": 4}]}
    assert calls == ["noted"] * 3


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
