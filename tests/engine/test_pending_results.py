"""What runs at the same time, what does not wait for what, and what a cancellation ends."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from graphql import build_schema

import engine
from tests.engine.both import breadth_first
from tests.waiting import until

SCHEMA: Final = build_schema("""
    type Item { id: Int  slow: Item  fast: Item }
    type Query { slow: Item  fast: Item  items: [Item] }
""")


class Tracked:
    """An object whose fields wait for events, and write down what they do."""

    id = 1

    def __init__(self, log: list[str], events: dict[str, asyncio.Event], name: str = "root") -> None:
        self._name, self._log, self._events = name, log, events

    async def slow(self, info: Any) -> Any:
        path = f"{self._name}.{info.field_name}"
        self._log.append(path)
        try:
            if path in self._events:
                await self._events[path].wait()
        except asyncio.CancelledError:
            self._log.append(f"{path} cancelled")
            raise
        if self._name.endswith("fast.fast.fast"):
            for event in self._events.values():
                event.set()
        return Tracked(self._log, self._events, path)

    fast = slow


async def cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_slow_field_does_not_delay_selections_below_siblings() -> None:
    log: list[str] = []
    root = Tracked(log, {"root.slow": asyncio.Event()})
    query = "{ slow { slow { id } } fast { fast { fast { fast { id } } } } }"
    async with asyncio.timeout(5):
        result = await breadth_first(SCHEMA, query, root)
    assert result.errors is None
    assert log.index("root.slow.slow") > log.index("root.fast.fast.fast.fast")


async def test_resolvers_of_a_level_start_in_one_tick() -> None:
    ticks: list[list[str]] = [[]]

    class Item:
        def __init__(self, name: str) -> None:
            self.name = name

        async def slow(self, _info: Any) -> None:
            ticks[-1].append(self.name)

        fast = slow

    def items(_info: Any) -> list[Item]:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, lambda: ticks.append([]))
        return [Item(name) for name in "abc"]

    await breadth_first(SCHEMA, "{ items { slow { id } fast { id } } }", {"items": items})
    assert [sorted(names) for names in ticks if names] == [["a", "a", "b", "b", "c", "c"]]


async def test_cancellation_cancels_running_resolvers() -> None:
    log: list[str] = []
    events = {"root.slow": asyncio.Event(), "root.fast.slow": asyncio.Event()}
    query = "{ slow { id } fast { slow { id } fast { id } } }"
    task = asyncio.ensure_future(breadth_first(SCHEMA, query, Tracked(log, events)))
    await until(lambda: "root.fast.fast" in log)
    await cancel(task)
    assert sorted(log)[-2:] == ["root.slow", "root.slow cancelled"]
    assert "root.fast.slow cancelled" in log


async def test_cancellation_cancels_batches_and_async_iterators() -> None:
    log: list[str] = []

    async def wait(name: str) -> None:
        log.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            log.append(f"{name} ended")

    async def stream(_info: Any) -> AsyncIterator[Any]:
        yield {"id": 1}
        await wait("stream")

    async def slow(parents: list[Any], _info: Any) -> None:
        await wait(f"batch of {len(parents)}")

    schema = build_schema("type Item { slow: Int  items: [Item] } type Query { items: [Item] }")
    item: Any = schema.type_map["Item"]
    item.fields["slow"].resolve = engine.batched(slow)
    root = {"items": [{"items": [{}, {"items": stream}]}, {}]}
    task = asyncio.ensure_future(breadth_first(schema, "{ items { slow items { slow items { slow } } } }", root))
    await until(lambda: len(log) == 3)
    await cancel(task)
    assert log[:3] == ["batch of 2", "batch of 2", "stream"]
    assert sorted(log[3:]) == ["batch of 2 ended", "batch of 2 ended", "stream ended"]


async def test_cancelled_resolver_cancels_the_operation() -> None:
    ended = []

    async def cancelled(_info: Any) -> None:
        raise asyncio.CancelledError

    async def waiting(_info: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def item(_info: Any) -> Any:
        return {"slow": item}

    for query, slow, fast in (
        ("{ slow { id } }", cancelled, waiting),
        ("{ slow { id } fast { id } }", cancelled, waiting),
        # Both are done at once, and the first adds a coroutine before the second ends it all.
        ("{ slow { slow { id } } fast { id } }", item, cancelled),
    ):
        with pytest.raises(asyncio.CancelledError):
            await breadth_first(SCHEMA, query, {"slow": slow, "fast": fast})
    assert ended == [True]
    gc.collect()


async def test_async_helpers_of_info() -> None:
    done = []

    async def work(number: int) -> int:
        await asyncio.sleep(0)
        done.append(number)
        return number

    async def fail() -> None:
        raise ValueError("nobody hears of it")

    async def items(info: Any) -> list[Any]:
        info.async_helpers.track([work(1), fail(), "not to be waited for"])
        return [{"id": number} for number in await info.async_helpers.gather([work(2), work(3)])]

    result = await breadth_first(SCHEMA, "{ items { id } }", {"items": items})
    assert result.data == {"items": [{"id": 2}, {"id": 3}]}
    await until(lambda: sorted(done) == [1, 2, 3])


async def test_exception_beside_cancelled_results_is_retrieved() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    begun = asyncio.Event()

    async def fail() -> None:
        raise ValueError

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    root = {"both": lambda _info: [fail(), wait()]}
    task = asyncio.ensure_future(breadth_first(build_schema("type Query { both: [Int] }"), "{ both }", root))
    await begun.wait()
    await asyncio.sleep(0)
    await cancel(task)
    del task
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
