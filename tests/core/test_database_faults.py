"""The database's faults: no connection, a slow or wrong statement, a restart, a locked file."""

import asyncio
import time
from functools import partial

import pytest
from sqlalchemy.exc import DBAPIError

from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from tests.core.statements import ONE, SINGLE, SLEEP, each_read, one, read_value, value_of
from tests.databases import (
    PostgresDatabases,
    locked_file,
    make_settings,
    only_postgresql,
    only_sqlite,
    opened,
    run_sql,
)
from tests.factories import make_user
from tests.waiting import until, until_so


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


async def test_restart_of_postgresql_is_called_unavailable_and_recovered_from(own_postgres: PostgresDatabases) -> None:
    async with opened(make_settings(own_postgres.url("postgres"))) as database:

        async def read_some() -> None:
            for in_session in (True, False):
                reads = (read_value(database, ONE, in_session=in_session) for _ in range(5))
                assert await asyncio.gather(*reads) == [1] * 5

        await read_some()
        own_postgres.server.stop()
        for number in range(12):
            with pytest.raises(UnavailableError):
                await read_value(database, ONE, in_session=number % 2 == 0)
        with pytest.raises(UnavailableError):
            await database.write(lambda session: value_of(session, ONE))
        own_postgres.server.ensure_postgres_running()
        await read_some()
        await until(lambda: database.pool.in_use == 0)
        # A restart that is over before the next request fails one request at most.
        own_postgres.server.stop()
        own_postgres.server.ensure_postgres_running()
        assert [await answers(database) for _ in range(8)][1:] == [True] * 7


@only_sqlite
async def test_write_waits_for_a_locked_file_and_reads_go_on(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database:
        with locked_file(fresh_settings):
            writing = asyncio.create_task(make_user(database))
            await asyncio.sleep(0.3)
            assert not writing.done()
            assert await read_value(database, one("(SELECT count(*) FROM users)"), in_session=True) == 0
        await writing


@only_sqlite
async def test_file_that_stays_locked_is_called_unavailable_for_all_in_time(fresh_settings: Settings) -> None:
    count, timeout_s = 100, 0.4
    async with opened(fresh_settings, database_statement_timeout_s=timeout_s) as database:
        with locked_file(fresh_settings):
            started_s = time.monotonic()
            outcomes = await asyncio.gather(*(make_user(database) for _ in range(count)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [UnavailableError] * count
        # Far from the time that it would take one after another.
        assert time.monotonic() - started_s < count * timeout_s / 2
        await make_user(database)
