"""Overload: what would wait too long is refused at once, and the server is well again when it has time."""

import asyncio
from types import NoneType

import httpx2
import pytest

from core.database import Database
from core.errors import UnavailableError
from server.http.overload import BUSY_LAG_S, MAX_WAIT_S, Overload
from server.http.request_body import OpenBodies
from services.query.pagination import count_rows
from services.tasks.task_lists import task_listing
from tests.factories import SignedIn
from tests.server.wire import connected, post
from tests.servers import RunningServer
from tests.waiting import until

LATE_S = BUSY_LAG_S * 2
COST_S = 0.01


@pytest.fixture
def overload(monkeypatch: pytest.MonkeyPatch) -> Overload:
    monkeypatch.setattr("server.http.overload.MAX_WAIT_S", MAX_WAIT_S)
    measured = Overload()
    for _ in range(100):
        measured.sample(0, 20 * COST_S, 20)
    return measured


def refuses(overload: Overload) -> bool:
    return overload.refuses


def test_cost_of_a_request_is_measured(overload: Overload) -> None:
    assert overload.cost_s == pytest.approx(COST_S, rel=0.01)
    # A sample without a completed request says nothing.
    overload.sample(0, 1, 0)
    assert overload.cost_s == pytest.approx(COST_S, rel=0.01)


def test_requests_are_refused_while_the_loop_is_late_and_those_before_them_take_too_long(overload: Overload) -> None:
    most = round(MAX_WAIT_S / COST_S)
    waiting = [overload.begin() for _ in range(most + 2)]
    assert not refuses(overload)
    overload.sample(LATE_S, 0, 0)
    assert refuses(overload)
    for progress in waiting[:4]:
        progress.end()
        progress.end()
    assert not refuses(overload)


def test_requests_that_only_wait_are_no_overload(overload: Overload) -> None:
    for _ in range(1_000):
        overload.begin()
    overload.sample(BUSY_LAG_S / 2, 0, 0)
    assert not refuses(overload)


async def test_refused_request_is_told_when_to_come_back(
    server: RunningServer, http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Overload, "refuses", True)
    for path in ("/graphql", "/api/tasks", "/nothing"):
        response = await http.post(path, json={"query": "{ __typename }"})
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["errors"][0]["extensions"] == {"code": "SERVICE_UNAVAILABLE"}
    assert (await http.get("/health")).status_code == 200
    monkeypatch.undo()
    async with connected(server.url) as wire:
        assert b"200 OK" in await wire.ask(post(b'{"query": "{ __typename }"}'))


async def test_few_requests_are_begun_in_one_turn_of_the_event_loop(overload: Overload) -> None:
    overload.cost_s, begun = COST_S, list[int]()

    async def begin(number: int) -> None:
        await overload.turn()
        begun.append(number)

    tasks = [asyncio.create_task(begin(number)) for number in range(20)]
    most_at_once, before = 0, 0
    while len(begun) < len(tasks):
        await asyncio.sleep(0)
        most_at_once, before = max(most_at_once, len(begun) - before), len(begun)
    # Each costs as much as a turn may take.
    assert (begun, most_at_once) == ([*range(20)], 1)


async def test_request_that_has_waited_too_long_is_refused(overload: Overload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.http.overload.MAX_WAIT_S", 0)
    overload.cost_s = COST_S
    waiting = [asyncio.create_task(overload.turn()) for _ in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(result) for result in results] == [NoneType, UnavailableError, UnavailableError]


async def test_mutation_of_a_client_that_has_gone_is_not_executed(
    server: RunningServer,
    http: httpx2.AsyncClient,
    user: SignedIn,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overload: Overload = server.app.state.overload
    before, turn, waiting = overload.in_progress, asyncio.Event(), asyncio.Event()

    async def wait_for_turn() -> None:
        waiting.set()
        await turn.wait()

    monkeypatch.setattr(overload, "turn", wait_for_turn)
    mutation = b'{"query": "mutation { createTask(input: {title: \\"Too late\\"}) { errors { code } } }"}'
    async with connected(server.url) as wire:
        await wire.send(post(mutation, f"Authorization: Bearer {user.token}"))
        await waiting.wait()
        wire.writer.transport.abort()
    # What comes after the end of a connection is answered after it is noticed.
    assert (await http.get("/health")).status_code == 200
    turn.set()
    await until(lambda: overload.in_progress == before)
    async with database.read() as session:
        assert await count_rows(session, task_listing(user.caller)) == 0


async def test_streams_are_not_in_progress(server: RunningServer, http: httpx2.AsyncClient, user: SignedIn) -> None:
    overload: Overload = server.app.state.overload
    before = overload.in_progress
    body = {"query": "subscription { changes { cursor } }"}
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {user.token}"}
    async with http.stream("POST", "/graphql", json=body, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert overload.in_progress == before


async def test_request_whose_body_has_not_arrived_is_not_in_progress(server: RunningServer) -> None:
    overload: Overload = server.app.state.overload
    before, request = overload.in_progress, post(b'{"query": "{ __typename }"}')
    async with connected(server.url) as wire, connected(server.url) as gone:
        for each in (wire, gone):
            await each.send(request[:-1])
        await until(lambda: OpenBodies.held_bytes == 2 * len(b'{"query": "{ __typename }"'))
        assert overload.in_progress == before
        assert b"200 OK" in await wire.ask(request[-1:])
        gone.writer.transport.abort()
        await until(lambda: OpenBodies.held_bytes == 0 and overload.in_progress == before)
