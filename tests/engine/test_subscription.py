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
    type Subscription {
        events(until: Int!): Event  broken: Event  odd: Event  sure: Event!  ending: Event  none: Event
    }
""")


async def events(_info: Any, until: int) -> AsyncIterator[Any]:
    for number in range(until):
        yield {"events": {"number": number or None, "name": lambda _info, of=0: f"{of}"}}


async def odd_events(_info: Any) -> AsyncIterator[Any]:
    """Give what is wrong among what is right."""
    good = {"number": 1, "name": lambda _info, of=0: f"{of}"}

    async def later(_info: Any) -> Any:
        return good

    async def fail_later(_info: Any) -> Any:
        raise ValueError("later")

    for event in (good, None, ValueError("returned"), later, fail_later, 5, {"number": "x", "name": broken}):
        yield {"odd": event, "sure": event}
    yield None
    yield "no event"
    yield {"odd": good, "sure": good}


async def ending_events(_info: Any) -> AsyncIterator[Any]:
    yield {"ending": {"number": 1}}
    raise ValueError("ended")


async def no_events(_info: Any) -> Any:
    return 5


def broken(_info: Any) -> Any:
    raise ValueError("broken")


async def results(stream: Any) -> list[ExecutionResult | str]:
    """Return the results of all events, and the error that has ended them."""
    if isinstance(stream, Awaitable):
        stream = await stream
    if isinstance(stream, ExecutionResult):
        return [stream]
    assert isinstance(stream, AsyncIterable)
    found: list[ExecutionResult | str] = []
    try:
        async for result in stream:
            found.append(result)  # noqa: PERF401 - those before an error count
    except ValueError as error:
        found.append(repr(error))
    return found


def told(result: ExecutionResult | str) -> Any:
    return result if isinstance(result, str) else (result.data, described(result.errors))


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("subscription ($n: Int!) { events(until: $n) { number name(of: $n) } }", {"n": 3}),
        ("subscription ($n: Int!) { events(until: $n) { number } }", {"n": "three"}),
        ("subscription { broken { number } }", None),
        ("subscription { unknown }", None),
        ("subscription { events(until: 2) { number __typename } }", None),
        ("subscription { odd { number name } }", None),
        ("subscription ($of: Int = 3) { odd { name(of: $of) } }", {}),
        ("subscription { odd: sure { number } }", None),
        ("subscription { sure { number name } }", None),
        ("subscription { ending { number } }", None),
        ("subscription { none { number } }", None),
        ("subscription ($no: Boolean!) { odd { number @include(if: $no) name @skip(if: $no) } }", {"no": False}),
        (
            "subscription ($no: Boolean!) { ...S } fragment S on Subscription { odd { number @skip(if: $no) } }",
            {"no": 1},
        ),
        ("subscription { odd { __typename number ... on Event { n: number name(of: 2) } } }", None),
        ('subscription { events(until: "x") { number } }', None),
        ("subscription { events { number } }", None),
    ],
)
async def test_events(query: str, variables: dict[str, Any] | None) -> None:
    root = {
        "events": events,
        "broken": broken,
        "odd": odd_events,
        "sure": odd_events,
        "ending": ending_events,
        "none": no_events,
    }
    document = parse(query)
    expected = await results(subscribe_depth_first(SCHEMA, document, root, None, variables))
    found = await results(engine.subscribe(SCHEMA, document, root, None, variables))
    assert list(map(told, found)) == list(map(told, expected))


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
