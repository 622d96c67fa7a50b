"""Batched resolvers behind permission classes and field extensions, which take one parent at a time."""

import asyncio
from contextlib import suppress
from typing import Any, Final

import pytest
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission, PermissionExtension

import engine
from engine import batching
from tests.engine.both import breadth_first, core_schema, depth_first, same
from tests.waiting import until

CALLS: Final[list[tuple[list[int], int]]] = []


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
    CALLS.append(([parent.id for parent in parents], by))
    await asyncio.sleep(0)
    return [ValueError("five") if parent.id == 5 else parent.id * by for parent in parents]


def double_at_once(parents: strawberry.Parent[list[Any]], by: int = 2) -> Any:
    CALLS.append(([parent.id for parent in parents], by))
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
class Query:
    @strawberry.field
    def items(self) -> list[Item]:
        return [Item(id=number) for number in range(6)]


SCHEMA: Final = core_schema(strawberry.Schema(Query))


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
    CALLS.clear()
    await same(SCHEMA, f"{{ items {{ id {selected} }} }}")
    assert calls * 2 == CALLS


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
