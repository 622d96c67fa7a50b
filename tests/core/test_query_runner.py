"""Reads: what dies in hand, hangs or is left alone costs nobody else anything."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from core.database import Database
from core.errors import UnavailableError
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from tests.core.statements import BY_ID, ONE, SINGLE, SLEEP, USERS, each_read, one, read_value, value_of
from tests.databases import (
    PostgresDatabases,
    make_settings,
    only_postgresql,
    only_sqlite,
    opened,
    postgres_server,
    run_sql,
)
from tests.factories import make_user
from tests.waiting import PATIENCE_S, until, until_so

PROCESS: Final = one("pg_backend_pid()")
END_ITSELF: Final = one("pg_terminate_backend(pg_backend_pid())")
END_ALL_OTHERS: Final = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND datname = current_database()"
)


@only_postgresql
async def test_idle_connections_that_have_died_are_passed_over(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database, opened(fresh_settings) as other:
        await asyncio.gather(*(read_value(database, ONE) for _ in range(5)))
        async with other.read() as session:
            await run_sql(session, END_ALL_OTHERS)
        # Whatever is at hand and in the pool, not one read pays for it once the driver has heard of it.
        await until_so(partial(reads_without_failing, database, 5))
        assert await asyncio.gather(*(read_value(database, ONE) for _ in range(5))) == [1] * 5
        assert await read_value(database, ONE, in_session=True) == 1
        await until(lambda: database.pool.in_use == 0)


async def reads_without_failing(database: Database, count: int) -> bool:
    outcomes = await asyncio.gather(*(read_value(database, ONE) for _ in range(count)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {int, UnavailableError}
    return outcomes == [1] * count


@only_postgresql
async def test_connection_that_dies_in_use_fails_that_query_alone(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        reads = (ONE, END_ITSELF, ONE, ONE, END_ITSELF, ONE)
        outcomes = await asyncio.gather(*(read_value(database, each) for each in reads), return_exceptions=True)
        expected = [UnavailableError if each is END_ITSELF else int for each in reads]
        assert [type(outcome) for outcome in outcomes] == expected
        await until(lambda: database.pool.in_use == 0)


@only_postgresql
async def test_refused_statement_keeps_its_connection(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        process = await read_value(database, PROCESS)
        with pytest.raises(Exception, match="division by zero"):
            await read_value(database, one("1 / 0"))
        assert await read_value(database, PROCESS) == process
        assert database.pool.in_use == 0


@contextmanager
def frozen(process: int) -> Iterator[None]:
    """Let a process of PostgreSQL's answer nothing for a while."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@only_postgresql
async def test_connection_that_hangs_fails_that_query_alone(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE, database_statement_timeout_s=0.2) as database:
        with frozen(await read_value(database, PROCESS)):
            with pytest.raises(UnavailableError):
                await read_value(database, ONE)
            await until_so(partial(reads_without_failing, database, 1))
            assert await read_value(database, ONE) == 1
        await until(lambda: database.pool.in_use == 0)


@only_sqlite
async def test_cancelled_query_ends_in_its_thread(fresh_settings: Settings) -> None:
    begun = threading.Event()
    endless = one("(WITH RECURSIVE r(x) AS (SELECT begun() UNION ALL SELECT 1 FROM r) SELECT max(x) FROM r)")
    async with opened(fresh_settings, **SINGLE) as database, asyncio.timeout(PATIENCE_S):
        connection = await database.pool.acquire()
        driver: Any = connection.driver_connection
        await driver.create_function("begun", 0, begun.set)
        database.pool.release(connection)
        reading = asyncio.create_task(read_value(database, endless))
        await until(begun.is_set)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await read_value(database, ONE) == 1
        assert database.pool.in_use == 0


@only_postgresql
async def test_table_altered_after_preparing_is_still_read(fresh_settings: Settings) -> None:
    whole = PreparedStatement(select(USERS).where(BY_ID))
    async with opened(fresh_settings) as database:
        values = {"user_id": (await make_user(database)).id}
        (before,) = await database.reader.fetch(whole, values)
        for change in ("ADD COLUMN colour text", "ALTER COLUMN image TYPE text", "DROP COLUMN colour"):
            await database.write(partial(run_sql, statement=f"ALTER TABLE users {change}"))
            assert await database.reader.fetch(whole, values) == [before]


@each_read
async def test_wrong_statement_is_not_called_unavailable(database: Database, in_session: bool) -> None:
    for _ in range(3):
        with pytest.raises(Exception, match="nothing") as raised:
            await read_value(database, one("nothing"), in_session=in_session)
        assert isinstance(raised.value, DBAPIError) == in_session
        assert not isinstance(raised.value, UnavailableError)
    assert await read_value(database, ONE, in_session=in_session) == 1


async def is_asleep(database: Database) -> bool:
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    async with database.read() as session:
        return bool(await run_sql(session, asleep))


@only_postgresql
@each_read
async def test_cancelled_query_ends_at_the_server(fresh_settings: Settings, in_session: bool) -> None:
    async with opened(fresh_settings, **SINGLE) as database, opened(fresh_settings) as other:
        for _ in range(3):
            sleeping = asyncio.create_task(read_value(database, SLEEP, in_session=in_session))
            await until_so(partial(is_asleep, other))
            sleeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sleeping
            assert await read_value(database, ONE, in_session=in_session) == 1
            assert not await is_asleep(other)
        await until(lambda: database.pool.in_use == 0)


async def answers(database: Database) -> bool:
    try:
        return bool(await read_value(database, ONE, in_session=True) == 1)
    except UnavailableError:
        return False


async def test_restart_of_postgresql_is_called_unavailable_and_recovered_from() -> None:
    with postgres_server() as server:
        async with opened(make_settings(PostgresDatabases(server).url("postgres"))) as database:

            async def read_some() -> None:
                for in_session in (True, False):
                    reads = (read_value(database, ONE, in_session=in_session) for _ in range(5))
                    assert await asyncio.gather(*reads) == [1] * 5

            await read_some()
            server.stop()
            for number in range(12):
                with pytest.raises(UnavailableError):
                    await read_value(database, ONE, in_session=number % 2 == 0)
            with pytest.raises(UnavailableError):
                await database.write(lambda session: value_of(session, ONE))
            server.ensure_postgres_running()
            await read_some()
            await until(lambda: database.pool.in_use == 0)
            # A restart that is over before the next request fails one request at most.
            server.stop()
            server.ensure_postgres_running()
            assert [await answers(database) for _ in range(8)][1:] == [True] * 7
