"""Overload: what would wait too long is refused at once, and the server is well again when it has time."""

import asyncio

import httpx2
import pytest

from core.database import Database
from core.errors import UnavailableError
from core.workload import Workload, current_workload, start_workload
from server.http.overload import (
    BUSY_LAG_S,
    MAX_COUNTED_S,
    MAX_WAIT_S,
    MIN_LIMIT,
    MIN_WAITING,
    REFUSING_S,
    TARGET_S,
    Overload,
    Progress,
)
from server.http.request_body import OpenBodies
from services.query.pagination import count_rows
from services.tasks.task_lists import task_listing
from services.tasks.tasks import tasks
from tests.factories import SignedIn, new_task
from tests.server.wire import connected, post
from tests.servers import RunningServer
from tests.waiting import until

COST_S = 0.01


@pytest.fixture
def overload(monkeypatch: pytest.MonkeyPatch) -> Overload:
    monkeypatch.setattr("server.http.overload.MAX_WAIT_S", MAX_WAIT_S)
    measured = Overload()
    for _ in range(100):
        measured.sample(0, 20 * COST_S, [COST_S] * 20)
    return measured


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now_s = [100.0]
    monkeypatch.setattr("server.http.overload.time.perf_counter", lambda: now_s[0])
    return now_s


async def start(overload: Overload, number: int) -> list[asyncio.Task[None]]:
    turns = [asyncio.create_task(Progress(overload).turn()) for _ in range(number)]
    await asyncio.sleep(0)
    return turns


async def test_cost_of_a_request_is_measured(overload: Overload) -> None:
    assert overload.cost_s == pytest.approx(COST_S, rel=0.01)
    # A sample without a completed request says nothing.
    overload.sample(0, 1, [])
    assert overload.cost_s == pytest.approx(COST_S, rel=0.01)


async def test_fewer_are_in_progress_where_they_take_long_and_more_where_others_wait_in_vain(
    overload: Overload,
) -> None:
    for lag_s, took_s in ((0.0, 2 * TARGET_S), (2 * BUSY_LAG_S, 0.0)):
        overload.limit = 16
        overload.sample(lag_s, 0, [took_s])
        assert overload.limit < 16
        for _ in range(50):
            overload.sample(lag_s, 0, [took_s])
        assert overload.limit == MIN_LIMIT
    overload.cost_s = 0
    waiting = await start(overload, 10)
    assert overload.in_progress == MIN_LIMIT
    overload.sample(0, 0, [TARGET_S / 2])
    assert overload.in_progress == int(overload.limit) > MIN_LIMIT
    # Where none of them ends, they only wait.
    overload.sample(0, 0, [])
    await asyncio.gather(*waiting)
    assert overload.in_progress == len(waiting)


async def test_request_that_takes_long_keeps_no_other_from_beginning(overload: Overload, now: list[float]) -> None:
    overload.limit, overload.cost_s = MIN_LIMIT, 0
    long = await start(overload, int(MIN_LIMIT))
    short = await start(overload, 1)
    assert overload.in_progress == MIN_LIMIT
    now[0] += MAX_COUNTED_S
    sampling = asyncio.create_task(overload.run())
    await asyncio.gather(*long, *short)
    sampling.cancel()
    assert overload.in_progress == 1


async def test_requests_are_refused_where_they_are_expected_to_wait_too_long(
    overload: Overload, now: list[float]
) -> None:
    overload.limit, most = 0, round(MAX_WAIT_S / COST_S)
    waiting = await start(overload, most - 1)
    # Those that come at once are counted before they wait.
    assert [overload.admit() for _ in range(4)] == [True, True, False, False]
    await asyncio.sleep(0)
    # From now on they are to wait for less; whether they were let in as they came or not.
    assert not overload.admit()
    (refused,) = await start(overload, 1)
    assert isinstance(refused.exception(), UnavailableError)
    # Those that have become too old are refused too.
    now[0] += MAX_WAIT_S * 1.1
    overload.sample(0, 0, [])
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {*map(type, results)} == {UnavailableError}
    assert overload.admit()


async def test_few_requests_wait_however_long_it_takes(overload: Overload, now: list[float]) -> None:
    overload.limit, overload.cost_s = 0, MAX_WAIT_S
    waiting = await start(overload, MIN_WAITING - 1)
    now[0] += 2 * MAX_WAIT_S
    overload.sample(0, 0, [])
    assert overload.admit()
    assert overload.waiting == MIN_WAITING
    assert not overload.admit()
    overload.limit, overload.cost_s = MIN_WAITING, 0
    now[0] += REFUSING_S
    overload.sample(0, 0, [])
    await asyncio.gather(*waiting)


async def test_moment_in_which_the_server_stood_still_raises_the_cost_by_little(overload: Overload) -> None:
    overload.sample(1, 1, [COST_S])
    assert overload.cost_s < 1.1 * COST_S


async def test_request_that_is_cancelled_while_it_waits_never_begins(overload: Overload) -> None:
    overload.limit = 0
    (turn,) = await start(overload, 1)
    turn.cancel()
    overload.limit = 1
    overload.sample(0, 0, [])
    await asyncio.gather(turn, return_exceptions=True)
    assert (turn.cancelled(), overload.in_progress) == (True, 0)


async def test_few_requests_are_begun_in_one_turn_of_the_event_loop(overload: Overload) -> None:
    overload.limit, overload.cost_s, most_at_once = 100, COST_S, 0
    waiting = await start(overload, 20)
    begun = overload.in_progress
    while begun < len(waiting):
        most_at_once, begun = max(most_at_once, overload.in_progress - begun), overload.in_progress
        await asyncio.sleep(0)
    # Each costs as much as a turn may take.
    assert most_at_once == 1
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("waits_for", ["turn", "lock"])
async def test_mutation_of_a_client_that_left_while_it_waited_is_not_begun(
    server: RunningServer, http: httpx2.AsyncClient, user: SignedIn, database: Database, waits_for: str
) -> None:
    overload: Overload = server.app.state.overload
    before, is_free, is_held = overload.in_progress, asyncio.Event(), asyncio.Event()

    async def hold(_: object) -> None:
        is_held.set()
        await is_free.wait()

    async def hold_lock() -> None:
        start_workload(user_id=user.user.id)
        await server.runtime.database.transaction(hold)

    holder = asyncio.create_task(hold_lock() if waits_for == "lock" else hold(None))
    await is_held.wait()
    overload.limit = 100 if waits_for == "lock" else 0
    mutation = b'{"query": "mutation { createTask(input: {title: \\"Too late\\"}) { errors { code } } }"}'
    async with connected(server.url) as wire:
        await wire.send(post(mutation, f"Authorization: Bearer {user.token}"))
        await until(lambda: overload.in_progress > before or overload.waiting)
        wire.writer.transport.abort()
    # What comes after the end of a connection is answered after it is noticed.
    assert (await http.get("/health")).status_code == 200
    overload.limit = 100
    is_free.set()
    await holder
    await until(lambda: overload.in_progress == before and not overload.waiting)
    async with database.read() as session:
        assert await count_rows(session, task_listing(user.caller)) == 0


async def test_mutation_goes_on_without_its_client_once_something_is_written(
    user: SignedIn, database: Database
) -> None:
    current_workload.set(Workload(user_id=user.user.id, is_abandoned=lambda: is_gone))
    is_gone = False
    await tasks.create_alone(database, user.caller, new_task("First"))
    is_gone = True
    await tasks.create_alone(database, user.caller, new_task("Second"))
    current_workload.set(Workload(user_id=user.user.id, is_abandoned=lambda: is_gone))
    with pytest.raises(UnavailableError):
        await tasks.create_alone(database, user.caller, new_task("Third"))
    async with database.read() as session:
        assert await count_rows(session, task_listing(user.caller)) == 2


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
