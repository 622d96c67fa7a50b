"""Lists: of lists, of any iterable, asynchronous ones, and of what is waited for."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
from graphql import build_schema

from tests.engine.both import breadth_first, label, same

SCHEMA: Final = build_schema("""
    type Item { id: Int!  words: [String!] }
    type Query { numbers: [Int]  strict: [Int!]  grid: [[Int!]]  cube: [[[Int]!]!]!  items: [Item!]  rows: [[Item]] }
""")
NAMES: Final = ("numbers", "strict", "grid", "cube", "items { id words }", "rows { id words }")


def generated(_info: Any) -> Iterator[Any]:
    yield from (1, 2)


def broken(_info: Any) -> Iterator[Any]:
    yield 1
    yield None
    raise ValueError("broken")


async def streamed(_info: Any) -> AsyncIterator[Any]:
    yield 1
    await asyncio.sleep(0)
    yield 2


async def broken_stream(_info: Any) -> AsyncIterator[Any]:
    yield "wrong"
    raise ValueError("broken")


async def later(_info: Any) -> Any:
    return [1, 2]


async def stream_later(info: Any) -> Any:
    return streamed(info)


def of_awaitables(_info: Any) -> list[Any]:
    async def one() -> int:
        await asyncio.sleep(0)
        return 1

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ValueError("late")

    return [one(), 2, fail(), None]


LISTS: Final = [
    [], (), [1], (1, 2), deque([1]), {1: 2}, "text", b"bytes", 5, {3}, range(3), [[], [1], [[2]]],
    generated, broken, streamed, broken_stream, later, stream_later, of_awaitables,
]  # fmt: skip


@pytest.mark.parametrize("value", LISTS, ids=label)
@pytest.mark.parametrize("name", NAMES)
async def test_any_iterable_stands_for_a_list(name: str, value: Any) -> None:
    await same(SCHEMA, f"{{ {name} }}", {name.split(maxsplit=1)[0]: value}, is_race=value is of_awaitables)


async def test_items_return_to_their_lists() -> None:
    grid = [[1, 2], None, [], [3], [], [4, 5, 6]]
    item = {"id": 1, "words": ["a"]}
    rows = [[item, None], [], None, [{"id": 2}, {"id": None}, {"id": 3, "words": ["b", None]}]]
    await same(SCHEMA, "{ grid cube rows { id words } }", {"grid": grid, "cube": [grid, [], grid], "rows": rows})
    await same(SCHEMA, "{ cube }", {"cube": [[[1], []], [], [[None, 2]]]})


async def test_failed_async_iterator_is_closed() -> None:
    closed = []

    class Stream:
        def __aiter__(self) -> "Stream":
            return self

        async def __anext__(self) -> int:
            raise ValueError("broken")

        async def aclose(self) -> None:
            closed.append(True)

    await breadth_first(SCHEMA, "{ numbers }", {"numbers": Stream()})
    assert closed == [True]
