"""The load generator counts answers and their latencies, sends no request twice, and stops at a failure."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from bench.load import BenchError, Template, closed_loop, open_loop
from bench.seed import Population
from bench.workload import (
    CREATE,
    MIXED,
    NEW_ALIAS,
    NEW_LITERAL,
    NODE,
    SINGLE,
    Operation,
    Request,
    body_of,
    draw_requests,
    template_of,
)

POPULATION = Population(users=20, full_users=4)


class Echo:
    """An HTTP server that keeps what it gets and answers the same each time."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
        self.body = b'{"data": {"viewer": {"id": "1"}}}'
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split()[0])
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.head % len(self.body) + self.body)
        except asyncio.IncompleteReadError:
            writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    async with server:
        yield echo


def draw(operation: Operation, count: int) -> list[Request]:
    return draw_requests(operation, POPULATION, random.Random(1), count)


def templates(*, varied: bool = True) -> Iterator[Template]:
    (request,) = draw(CREATE, 1)
    return itertools.cycle([template_of(body_of(request), "token", random.Random(1), varied=varied)])


async def test_closed_loop_answers_at_least_the_requests_asked_for(echo: Echo) -> None:
    load = await closed_loop(echo.port, templates(), connections=3, seconds=0, min_requests=20)
    assert 20 <= load.requests == len(echo.requests) == len(load.latencies_ms) <= 23
    assert load.rate > 0
    assert 0 < load.percentile_ms(50) <= load.percentile_ms(99)


async def test_open_loop_sends_as_many_requests_as_are_due(echo: Echo) -> None:
    load = await open_loop(echo.port, templates(), connections=2, seconds=0.1, rate=300)
    assert load.requests == len(echo.requests) == 30


async def test_varied_requests_are_never_the_same_and_identical_ones_always(echo: Echo) -> None:
    await closed_loop(echo.port, templates(), connections=1, seconds=0, min_requests=10)
    heads, bodies = zip(*(request.split(b"\r\n\r\n") for request in echo.requests), strict=True)
    for name in (b"x-request-id", b"traceparent"):
        lines = {line for head in heads for line in head.lower().split(b"\r\n") if line.startswith(name)}
        assert len(lines) == len(echo.requests)
    assert len({json.loads(body)["variables"]["input"]["title"] for body in bodies}) == len(echo.requests)
    echo.requests.clear()
    await closed_loop(echo.port, templates(varied=False), connections=1, seconds=0, min_requests=10)
    assert len(set(echo.requests)) == 1


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n", b"{}"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", b'{"data":null,"errors":[{"message":"No."}]}'),
        (b"HTTP/1.1 200 OK\r\nX-Length: %d\r\n\r\n", b'{"data":{}}'),
    ],
    ids=["status", "errors", "no length"],
)
async def test_failure_ends_the_load(echo: Echo, head: bytes, body: bytes) -> None:
    echo.head, echo.body = head, body
    with pytest.raises(BenchError, match=r"A request failed.\nPOST /graphql"):
        await closed_loop(echo.port, templates(), connections=1, seconds=0, min_requests=10)


def test_requests_vary_in_users_variables_and_documents() -> None:
    for operation in SINGLE:
        users = {request.user for request in draw(operation, 200)}
        assert users == set(range(POPULATION.full_users if operation.full else POPULATION.users))
    assert len({request.variables["id"] for request in draw(NODE, 200)}) > 150
    assert len({body_of(request)["query"] for request in draw(NEW_LITERAL, 50)}) > 45
    template = template_of(body_of(draw(NEW_ALIAS, 1)[0]), "token", random.Random(1))
    assert b"{ t00000001: tasks(" in b"00000001".join(template)


def test_mixed_workload_has_its_shares() -> None:
    drawn = [request.operation.name for request in draw(MIXED, 2_000)]
    for names, share in (
        (("tasks", "filtered", "messages_20", "levels"), 0.7),
        (("node", "viewer"), 0.15),
        (("create_task",), 0.15),
    ):
        assert sum(map(drawn.count, names)) / len(drawn) == pytest.approx(share, abs=0.03)
