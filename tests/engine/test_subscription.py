"""Subscriptions: each event is executed by the plan."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from typing import Any, Final

import pytest
from graphql import ExecutionResult, build_schema, parse
from graphql import subscribe as subscribe_depth_first

import engine
from tests.engine.both import described

SCHEMA: Final = build_schema("""
    type Event { number: Int!  name(of: Int): String }
    type Query { none: Int }
    type Subscription { events(until: Int!): Event  broken: Event }
""")


async def events(_info: Any, until: int) -> AsyncIterator[Any]:
    for number in range(until):
        yield {"events": {"number": number or None, "name": lambda _info, of=0: f"{of}"}}


def broken(_info: Any) -> Any:
    raise ValueError("broken")


async def results(stream: Any) -> list[ExecutionResult]:
    if isinstance(stream, Awaitable):
        stream = await stream
    if isinstance(stream, ExecutionResult):
        return [stream]
    assert isinstance(stream, AsyncIterable)
    return [result async for result in stream]


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("subscription ($n: Int!) { events(until: $n) { number name(of: $n) } }", {"n": 3}),
        ("subscription ($n: Int!) { events(until: $n) { number } }", {"n": "three"}),
        ("subscription { broken { number } }", None),
        ("subscription { unknown }", None),
        ("subscription { events(until: 2) { number __typename } }", None),
    ],
)
async def test_events(query: str, variables: dict[str, Any] | None) -> None:
    root = {"events": events, "broken": broken}
    document = parse(query)
    expected = await results(subscribe_depth_first(SCHEMA, document, root, None, variables))
    found = await results(engine.subscribe(SCHEMA, document, root, None, variables))
    assert [result.data for result in found] == [result.data for result in expected]
    assert [described(result.errors) for result in found] == [described(result.errors) for result in expected]


async def test_a_stream_that_is_closed_closes_its_source() -> None:
    closed = []

    async def source(_info: Any, until: int) -> AsyncIterator[Any]:
        try:
            for number in range(until):
                yield {"events": {"number": number}}
        finally:
            closed.append(True)

    stream = await engine.subscribe(SCHEMA, parse("subscription { events(until: 9) { number } }"), {"events": source})
    assert not isinstance(stream, ExecutionResult)
    assert (await anext(stream)).data == {"events": {"number": 0}}
    await stream.aclose()
    assert closed == [True]
