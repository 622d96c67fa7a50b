"""Connections: no more than there may be, in the order of coming, and none is lost, whoever leaves and when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
from asyncpg import InterfaceError
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import PoolProxiedConnection, QueuePool

from core.connection_pool import ConnectionPool
from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from tests.databases import make_settings, opened, run_sql
from tests.factories import make_user
from tests.ports import free_port
from tests.waiting import until, until_so

MOST: Final = 3
SOON_S: Final = 0.01


@pytest.fixture(autouse=True)
def look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look around so often that it happens within a test."""
    monkeypatch.setattr("core.connection_pool._CHECK_IN_EVERY_S", SOON_S)


@asynccontextmanager
async def narrow(shared: Settings, most: int = MOST, **overrides: Any) -> AsyncIterator[Database]:
    async with opened(shared, **{"database_pool_size": 1, "database_max_overflow": most - 1} | overrides) as database:
        yield database


def pool_of(database: Database) -> QueuePool:
    pool = database.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    return pool


class Visit:
    """Somebody who takes a connection, by themselves or for a session, and keeps it until told to go."""

    def __init__(self, database: Database, *, for_session: bool) -> None:
        self.is_served = False
        self.is_to_drop = False
        self.may_go = asyncio.Event()
        self.task = asyncio.create_task(self._in_session(database) if for_session else self._alone(database.pool))

    async def _alone(self, pool: ConnectionPool) -> None:
        connection = await pool.acquire()
        try:
            await self._stay()
        finally:
            (pool.discard if self.is_to_drop else pool.release)(connection)

    async def _in_session(self, database: Database) -> None:
        async with database.read() as session:
            await run_sql(session, "SELECT 1")
            await self._stay()

    async def _stay(self) -> None:
        self.is_served = True
        try:
            await self.may_go.wait()
        finally:
            self.is_served = False


# What happens next, and to which of those who are there.
Step = tuple[str, int]
KINDS: Final = ["come", "come for a session", "go", "go and drop", "cancel", "wait", "wait long"]
STEPS: Final = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), max_size=40)


async def take(step: Step, visits: list[Visit], database: Database) -> None:
    kind, which = step
    if kind.startswith("come"):
        visits.append(Visit(database, for_session=kind != "come"))
    elif kind.startswith("wait"):
        await asyncio.sleep(SOON_S if kind == "wait long" else 0)
    elif visits:
        visit = visits[which % len(visits)]
        visit.is_to_drop = kind == "go and drop"
        if kind == "cancel":
            visit.task.cancel()
        else:
            visit.may_go.set()


@given(walk=STEPS)
async def test_pool_stays_within_its_bound_and_loses_no_connection(settings: Settings, walk: list[Step]) -> None:
    async with narrow(settings) as database:
        visits: list[Visit] = []
        for step in walk:
            await take(step, visits, database)
            assert sum(visit.is_served for visit in visits) <= database.pool.in_use <= MOST
            assert pool_of(database).checkedout() <= MOST
        for visit in visits:
            visit.may_go.set()
        ended = await asyncio.gather(*(visit.task for visit in visits), return_exceptions=True)
        assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError}
        await until(lambda: database.pool.in_use == 0)
        again = [Visit(database, for_session=bool(number % 2)) for number in range(MOST)]
        await until(lambda: all(visit.is_served for visit in again))
        for visit in again:
            visit.may_go.set()
        await asyncio.gather(*(visit.task for visit in again))
    assert database.pool.in_use == 0


async def test_callers_who_are_not_cancelled_are_served_in_the_order_of_asking(settings: Settings) -> None:
    async with narrow(settings, most=1) as database:
        served, first = dict[int, Any](), await database.pool.acquire()
        driver = driver_of(first)

        async def come(number: int) -> None:
            if number % 3 == 2:
                async with database.pool.permit():
                    served[number] = None
            else:
                connection = await database.pool.acquire()
                served[number] = driver_of(connection)
                database.pool.release(connection)

        leaving, *others = [asyncio.create_task(come(number)) for number in range(20)]
        await asyncio.sleep(0)
        # The connection is given to the one who leaves, and by that one to the next.
        database.pool.release(first)
        leaving.cancel()
        await asyncio.gather(*others)
        assert (list(served), served[1], leaving.cancelled()) == (list(range(1, 20)), driver, True)
        await until(lambda: database.pool.in_use == 0)


def driver_of(connection: PoolProxiedConnection) -> Any:
    return connection.driver_connection


async def test_exhausted_pool_raises_unavailable_after_its_timeout(settings: Settings) -> None:
    async with narrow(settings, most=1, database_pool_timeout_s=0.05) as database:
        pool = database.pool
        connection, permit = await pool.acquire(), AsyncExitStack().enter_async_context(pool.permit())
        for attempt in (pool.acquire(), pool.acquire(), permit, make_user(database)):
            with pytest.raises(UnavailableError, match="no database connection came free"):
                await attempt
        assert pool.in_use == 1
        pool.release(connection)
        assert pool.in_use == 0
        pool.release(await pool.acquire())


async def take_all(database: Database) -> list[PoolProxiedConnection]:
    return [await database.pool.acquire() for _ in range(MOST)]


async def test_connections_are_sampled_while_in_use_and_checked_in_when_idle(settings: Settings) -> None:
    async with narrow(settings, database_pool_size=2) as database:
        told: list[int] = []
        database.pool.on_sample = told.append
        taken = await take_all(database)
        await until(lambda: MOST in told)
        for connection in taken:
            database.pool.release(connection)
        await until(lambda: told[-1] == 0)
        pool = pool_of(database)
        await until(lambda: pool.checkedout() == 0)
        # It keeps as many as it has room for.
        await until(lambda: pool.overflow() <= 0)
        assert pool.checkedin() == 2


async def test_old_connection_in_steady_use_is_recycled(settings: Settings) -> None:
    async with narrow(settings, most=1, database_pool_recycle_s=0) as database:

        async def use() -> Any:
            connection = await database.pool.acquire()
            database.pool.release(connection)
            return driver_of(connection)

        first = await use()

        async def is_new() -> bool:
            return await use() is not first

        await until_so(is_new)


async def test_connection_released_after_close_is_closed(settings: Settings) -> None:
    async with narrow(settings) as database:
        taken = await take_all(database)
    drivers = [driver_of(connection) for connection in taken]
    for connection in taken:
        database.pool.release(connection)
    # Whoever comes even later is served, and leaves nothing open either.
    late = await database.pool.acquire()
    drivers.append(driver_of(late))
    database.pool.release(late)
    await until(lambda: database.pool.in_use == 0)
    for driver in drivers:
        with pytest.raises((InterfaceError, ValueError), match=r"closed|no active connection"):
            await driver.execute("SELECT 1")


async def test_failed_connect_takes_no_permit() -> None:
    async with narrow(make_settings(f"postgresql://ada@127.0.0.1:{free_port()}/ada"), most=1) as database:
        for _ in range(3):
            with pytest.raises(OSError, match="onnect"):
                await database.pool.acquire()
        assert database.pool.in_use == 0
