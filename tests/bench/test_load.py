"""The load generator counts answers and stops at a failure; results are written as tables and as JSON."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import report
from bench.load import BenchError, Template, closed_loop, open_loop
from bench.report import Measurement, Results, markdown, write_json
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


def figures(server_us: float, rate: float) -> dict[str, float]:
    counted = {"requests": 900, "rate": rate, "p50_ms": 9.5, "p99_ms": 1_234}
    return counted | {"server_us": server_us, "database_us": 100, "total_us": server_us + 2 * 100}


RESULTS = Results(
    measurements=[
        Measurement(1, "tasks", "tasktalk", figures(500, 2_000), {"rate": 1_000, "p50_ms": 1, "p99_ms": 20}),
        Measurement(2, "tasks", "tasktalk", figures(600, 1_000)),
        Measurement(3, "tasks", "tasktalk", figures(700, 900)),
        Measurement(1, "tasks", "bare", figures(400, 3_000)),
    ],
    memory_mib={"tasktalk": (100.4, 120.6), "bare": (50, 51)},
    titles={"tasktalk": "Tasktalk", "bare": "bare asyncpg"},
    setting="2 cores.",
)


def test_markdown_shows_medians_and_compares_several_servers() -> None:
    text = markdown(RESULTS)
    assert "|  | Tasktalk | bare asyncpg |\n| --- | ---: | ---: |\n" in text
    assert "| 50 tasks | 600 + 100 = 800 | 400 + 100 = 600 |" in text
    assert "| 50 tasks | 1.00 | 0.75 |" in text
    assert "| 50 tasks | 1,000 (9.5 / 1,234) | 3,000 (9.5 / 1,234) |" in text
    assert "| 50 tasks | 1.0 / 20 | - |" in text
    assert "| before | 100 | 50 |\n| after | 121 | 51 |" in text
    assert "Identical requests" not in text
    assert text.endswith("2 cores.")
    assert "times that of" not in markdown(replace(RESULTS, titles={"tasktalk": "Tasktalk"}))


def test_page_keeps_what_stands_around_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("Before.\n<!-- results -->\nold\n<!-- end of results -->\nAfter.\n")
    monkeypatch.setattr(report, "_PAGE", page)
    report.write_page("new")
    assert page.read_text() == "Before.\n<!-- results -->\n\nnew\n\n<!-- end of results -->\nAfter.\n"


def test_json_has_the_figures_of_every_round(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_json(RESULTS, path)
    written = json.loads(path.read_text())
    assert [each["varied"]["rate"] for each in written["measurements"]] == [2_000, 1_000, 900, 3_000]
    assert written["titles"]["bare"] == "bare asyncpg"
