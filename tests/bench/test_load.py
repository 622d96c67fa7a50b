"""The load generator counts answers and their latencies, sends no request twice, and stops at a failure."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from bench.load import BenchError, Template, closed_loop, open_loop
from bench.seed import Population
from bench.workload import CREATE, MIXED, NEW_ALIAS, NEW_LITERAL, NODE, SINGLE, body_of, draw_requests, template_of

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


def templates(*, varied: bool = True) -> Iterator[Template]:
    chance = random.Random(1)
    (request,) = draw_requests(CREATE, POPULATION, chance, 1)
    return itertools.cycle([template_of(body_of(request), "token", chance, varied=varied)])


async def test_closed_loop_answers_at_least_the_requests_asked_for(echo: Echo) -> None:
    load = await closed_loop(echo.port, templates(), connections=3, seconds=0, min_requests=20)
    assert 20 <= load.requests == len(echo.requests) == len(load.latencies_ms) <= 23
    assert load.rate > 0
    assert 0 < load.percentile_ms(50) <= load.percentile_ms(99)


async def test_open_loop_sends_as_many_requests_as_are_due(echo: Echo) -> None:
    load = await open_loop(echo.port, templates(), connections=2, seconds=0.1, rate=300)
    assert load.requests == len(echo.requests) == 30


async def test_varied_requests_are_never_the_same(echo: Echo) -> None:
    await closed_loop(echo.port, templates(), connections=1, seconds=0, min_requests=10)
    heads = [request.split(b"\r\n\r\n")[0].lower().split(b"\r\n") for request in echo.requests]
    for name in (b"x-request-id", b"traceparent"):
        assert len({line for head in heads for line in head if line.startswith(name)}) == len(echo.requests)
    bodies = [json.loads(request.split(b"\r\n\r\n")[1]) for request in echo.requests]
    assert len({body["variables"]["input"]["title"] for body in bodies}) == len(echo.requests)


async def test_identical_requests_are_all_the_same(echo: Echo) -> None:
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


def test_requests_vary_in_users_and_variables() -> None:
    for operation in SINGLE:
        requests = draw_requests(operation, POPULATION, random.Random(1), 200)
        users = {request.user for request in requests}
        assert users == set(range(POPULATION.full_users if operation.full else POPULATION.users))
    assert len({request.variables["id"] for request in draw_requests(NODE, POPULATION, random.Random(1), 200)}) > 150


def test_new_documents_differ() -> None:
    literal = draw_requests(NEW_LITERAL, POPULATION, random.Random(1), 50)
    assert len({body_of(request)["query"] for request in literal}) > 45
    (alias,) = draw_requests(NEW_ALIAS, POPULATION, random.Random(1), 1)
    template = template_of(body_of(alias), "token", random.Random(1))
    assert b"{ t00000001: tasks(" in b"00000001".join(template)


def test_mixed_workload_has_its_shares() -> None:
    drawn = [request.operation for request in draw_requests(MIXED, POPULATION, random.Random(1), 2_000)]
    shares = {each.name: drawn.count(each) / len(drawn) for each in SINGLE}
    assert shares["tasks"] + shares["filtered"] + shares["messages_20"] + shares["levels"] == pytest.approx(
        0.7, abs=0.03
    )
    assert shares["node"] + shares["viewer"] == pytest.approx(0.15, abs=0.03)
    assert shares["create_task"] == pytest.approx(0.15, abs=0.03)
