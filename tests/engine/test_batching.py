"""Resolvers that are called once with all their parents, permission classes and field extensions before them."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
import strawberry
from graphql import GraphQLSchema, build_schema
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

import engine
from engine import batching
from tests.engine.both import breadth_first, core_schema, depth_first, same
from tests.waiting import until

SDL: Final = """
    type Item { id: Int!  double(by: Int = 2): Int  items: [Item!]  strict: Int! }
    type Query { items: [Item]  item: Item }
"""
ITEMS: Final = [{"id": 1}, None, {"id": 2}, {"id": 3}]


def make(resolve: Callable[..., Any], name: str = "double") -> GraphQLSchema:
    schema = build_schema(SDL)
    item: Any = schema.type_map["Item"]
    item.fields[name].resolve = engine.batched(resolve)
    return schema


def either(resolve: Callable[..., Any], *, is_async: bool) -> Callable[..., Any]:
    async def later(*args: Any, **given: Any) -> Any:
        await asyncio.sleep(0)
        return resolve(*args, **given)

    return later if is_async else resolve


def giving(answer: Any) -> Callable[..., Any]:
    def resolve(_parents: list[Any], _info: Any, by: int) -> Any:  # noqa: ARG001
        return answer

    return resolve


@pytest.mark.parametrize("is_async", [True, False])
async def test_resolver_is_called_once_with_all_parents(is_async: bool) -> None:
    calls = []

    def double(parents: list[Any], _info: Any, by: int) -> list[Any]:
        calls.append(len(parents))
        return [parent["id"] * by for parent in parents]

    schema = make(either(double, is_async=is_async))
    root = {"items": ITEMS, "item": {"id": 5}}
    result = await breadth_first(schema, "{ items { double } item { double(by: 3) } }", root)
    assert result.data == {"items": [{"double": 2}, None, {"double": 4}, {"double": 6}], "item": {"double": 15}}
    assert sorted(calls) == [1, 3]
    calls.clear()
    # Two fields ask for other numbers, so they are not one call for graphql-core either.
    query = "{ items { double a: double(by: 4) } }"
    assert await depth_first(schema, query, root) == await breadth_first(schema, query, root)
    assert calls == ([3] * 4 if is_async else [1] * 6 + [3] * 2)


async def test_objects_of_a_batch_are_completed() -> None:
    def items(parents: list[Any], _info: Any) -> list[Any]:
        return [[{"id": parent["id"] * 10 + number} for number in range(2)] for parent in parents]

    schema = make(either(items, is_async=True), "items")
    await same(schema, "{ items { items { id items { id } } } }", {"items": ITEMS})


@pytest.mark.parametrize("is_async", [True, False])
async def test_exception_of_the_batch_is_the_error_of_each(is_async: bool) -> None:
    def strict(_parents: list[Any], _info: Any) -> list[Any]:
        raise ValueError("all")

    schema = make(either(strict, is_async=is_async), "strict")
    result = await same(schema, "{ items { strict } item { id } }", {"items": ITEMS, "item": {"id": 1}})
    assert [error.path for error in result.errors or ()] == [["items", index, "strict"] for index in (0, 2, 3)]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([1], "1 values for 3 parents; return one for each, in their order."),
        ([1] * 4, "4 values for 3 parents; return one for each, in their order."),
        (None, "NoneType; return a list."),
        ("123", "str; return a list."),
        ({1: 2}, "dict; return a list."),
        (iter([1, 2, 3]), "list_iterator; return a list."),
    ],
    ids=["too few", "too many", "nothing", "text", "dict", "iterator"],
)
async def test_wrong_number_of_values_is_an_error_of_each(answer: Any, told: str) -> None:
    for result in (
        await same(make(either(giving(answer), is_async=True)), "{ items { double } }", {"items": ITEMS}),
        await breadth_first(make(giving(answer)), "{ items { double } }", {"items": ITEMS}),
    ):
        message = f"The batched resolver of Item.double returned {told}"
        assert [error.message for error in result.errors or ()] == [message] * 3
        assert isinstance((result.errors or [])[0].original_error, engine.BatchError)


async def test_batch_may_give_any_sequence_of_values_and_exceptions() -> None:
    for answer in ((1, 2, 3), [1, None, 3], [1, ValueError("two"), 3]):
        schema = make(either(giving(answer), is_async=True))
        await same(schema, "{ items { double } }", {"items": ITEMS})
        # A wrong argument is an error of each.
        await same(schema, '{ items { double(by: "x") } }', {"items": ITEMS})


@pytest.mark.parametrize("execute", [breadth_first, depth_first])
async def test_cancelled_batch_cancels_the_operation(execute: Any) -> None:
    async def double(_parents: list[Any], _info: Any, by: int) -> list[Any]:
        raise asyncio.CancelledError(by)

    with pytest.raises(asyncio.CancelledError):
        await execute(make(double), "{ items { double id } item { id } }", {"items": ITEMS})


class Shout(FieldExtension):
    async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return f"{await next_(source, info, **kwargs)} of {source.id}!"


CALLS: Final[list[int]] = []


@strawberry.input
class Style:
    upper: bool = False


@strawberry.type
class Word:
    id: int

    @strawberry.field(graphql_type=str)  # type: ignore[untyped-decorator]
    @engine.batched
    async def plain(parents: strawberry.Parent[Any], info: strawberry.Info, style: Style | None = None) -> Any:  # noqa: N805
        CALLS.append(len(parents))
        assert info.field_name == "plain"
        return [f"word {each.id} {style and style.upper}" for each in parents]

    @strawberry.field(graphql_type=str, extensions=[Shout()])  # type: ignore[untyped-decorator]
    @staticmethod
    @engine.batched
    async def extended(parents: strawberry.Parent[Any], info: strawberry.Info) -> Any:
        CALLS.append(len(parents))
        assert info.field_name == "extended"
        return [f"word {each.id}" for each in parents]


@strawberry.type
class Query:
    @strawberry.field
    def words(self) -> list[Word]:
        return [Word(id=number) for number in range(4)]


@pytest.mark.parametrize("field", ["plain", "plain(style: {upper: true})", "extended"])
async def test_batched_fields_of_strawberry(field: str) -> None:
    schema = core_schema(strawberry.Schema(Query))
    CALLS.clear()
    result = await same(schema, f"{{ words {{ id {field} }} }}")
    assert result.errors is None
    assert CALLS == [4, 4]


PERMITTED: Final[list[tuple[list[int], int]]] = []


class Even(BasePermission):
    message = "not even"

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        assert info.path.as_list()[1] == source.id
        return bool(source.id % 2 == 0 and kwargs["by"] > 0)


class Small(BasePermission):
    message = "not small"

    async def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:  # noqa: ARG002
        for _ in range(source.id % 3):
            await asyncio.sleep(0)
        return bool(source.id < 4)


class Failing(BasePermission):
    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:  # noqa: ARG002
        raise ValueError(f"unknown permission of {source.id}")


class Louder(FieldExtension):
    async def resolve_async(self, next_: Any, source: Any, info: strawberry.Info, **kwargs: Any) -> Any:
        return await next_(source, info, **{**kwargs, "by": kwargs["by"] * (10 if source.id == 3 else 1)}) + 1


async def double(parents: strawberry.Parent[list[Any]], info: strawberry.Info, by: int = 2) -> Any:
    assert info.field_name
    PERMITTED.append(([parent.id for parent in parents], by))
    await asyncio.sleep(0)
    return [ValueError("five") if parent.id == 5 else parent.id * by for parent in parents]


def double_at_once(parents: strawberry.Parent[list[Any]], by: int = 2) -> Any:
    PERMITTED.append(([parent.id for parent in parents], by))
    return [parent.id * by for parent in parents]


def field(resolve: Any, **how: Any) -> Any:
    return strawberry.field(resolver=engine.batched(resolve), graphql_type=int | None, **how)


@strawberry.type
class Item:
    id: int
    even: int | None = field(double, permission_classes=[Even])
    small: int | None = field(double, permission_classes=[Small])
    both: int | None = field(double, permission_classes=[Small, Even])
    failing: int | None = field(double, permission_classes=[Failing])
    silent: int | None = field(double, extensions=[PermissionExtension([Even()], fail_silently=True)])
    louder: int | None = field(double, extensions=[Louder()])
    louder_even: int | None = field(double, permission_classes=[Even], extensions=[Louder()])
    even_at_once: int | None = field(double_at_once, permission_classes=[Even])


@strawberry.type
class Items:
    @strawberry.field
    def items(self) -> list[Item]:
        return [Item(id=number) for number in range(6)]


SCHEMA: Final = core_schema(strawberry.Schema(Items))


@pytest.mark.parametrize(
    ("selected", "calls"),
    [
        ("even", [([0, 2, 4], 2)]),
        ("even(by: 3)", [([0, 2, 4], 3)]),
        # Whom it takes long to let through is late, but gets the same.
        ("small", [([0, 3, 1], 2), ([2], 2)]),
        ("both", [([0], 2), ([2], 2)]),
        ("failing", []),
        ("silent", [([0, 2, 4], 2)]),
        ("louder(by: 3)", [([0, 1, 2, 4, 5], 3), ([3], 30)]),
        ("louderEven", [([0, 2, 4], 2)]),
        ("evenAtOnce", [([0], 2), ([2], 2), ([4], 2)]),
    ],
)
async def test_calls_for_permitted_parents_are_batched(selected: str, calls: list[tuple[list[int], int]]) -> None:
    PERMITTED.clear()
    await same(SCHEMA, f"{{ items {{ id {selected} }} }}")
    assert calls * 2 == PERMITTED


async def test_loaders_of_cancelled_calls_are_forgotten() -> None:
    for ticks in range(8):
        task = asyncio.ensure_future(breadth_first(SCHEMA, "{ items { even } }"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for _ in range(3):
            await asyncio.sleep(0)
        assert not batching._pending_loaders  # noqa: SLF001 - nothing else shows it


@pytest.mark.parametrize("execute", [breadth_first, depth_first])
async def test_call_is_cancelled_with_the_last_that_awaits_it(execute: Any) -> None:
    log = []

    async def forever(parents: strawberry.Parent[list[Any]], info: strawberry.Info, by: int = 2) -> Any:  # noqa: ARG001
        log.append(len(parents))
        try:
            await asyncio.Event().wait()
        finally:
            log.append(0)

    @strawberry.type
    class Thing(Item):
        endless: int | None = field(forever, permission_classes=[Even])

    @strawberry.type
    class Things:
        @strawberry.field
        def things(self) -> list[Thing]:
            return [Thing(id=number) for number in range(4)]

    task = asyncio.ensure_future(execute(core_schema(strawberry.Schema(Things)), "{ things { endless } }"))
    await until(lambda: log == [2])
    task.cancel()
    await until(lambda: log == [2, 0])
