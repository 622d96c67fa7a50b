"""Reads on the driver: what dies in hand, hangs or is left alone costs nobody else anything."""

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

from core.database import Database
from core.errors import UnavailableError
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from tests.core.statements import BY_ID, ONE, SINGLE, USERS, one, read_value
from tests.databases import only_postgresql, only_sqlite, opened, run_sql
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
