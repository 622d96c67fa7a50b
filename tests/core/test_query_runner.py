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
from sqlalchemy import bindparam, column, literal_column, select, table, text
from sqlalchemy.exc import DBAPIError

from core.database import Database
from core.errors import UnavailableError
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from models import User
from services.query.sql import table_of
from tests.databases import (
    PostgresDatabases,
    counted,
    make_settings,
    only_postgresql,
    only_sqlite,
    opened,
    run_sql,
)
from tests.factories import make_user
from tests.live.programs import needs_pgbouncer, pgbouncer
from tests.waiting import PATIENCE_S, until, until_so


def one(expression: str) -> PreparedStatement:
    """Return the statement that reads one value."""
    return PreparedStatement(select(literal_column(expression).label("value")))


ONE: Final = one("1")
PROCESS: Final = one("pg_backend_pid()")
END_ITSELF: Final = one("pg_terminate_backend(pg_backend_pid())")
SLEEP: Final = one("pg_sleep(3600)")
WRONG: Final = one("1 / 0")
SINGLE: Final[dict[str, Any]] = {"database_pool_size": 1, "database_max_overflow": 0}


async def value_of(database: Database, statement: PreparedStatement) -> Any:
    ((value,),) = await database.reader.fetch(statement, {})
    return value


async def end_all_others(database: Database) -> None:
    ending = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    async with database.read() as session:
        await run_sql(session, ending)


async def test_query_counts_among_the_statements_of_the_request(database: Database) -> None:
    with counted() as count:
        await value_of(database, ONE)
    assert len(count) == 1


@only_postgresql
async def test_idle_connections_that_have_died_are_passed_over(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database, opened(fresh_settings) as other:
        await asyncio.gather(*(value_of(database, ONE) for _ in range(5)))
        await end_all_others(other)
        # Whatever is at hand and in the pool, not one read pays for it once the driver has heard of it.
        await until_so(partial(reads_without_failing, database, 5))
        assert await asyncio.gather(*(value_of(database, ONE) for _ in range(5))) == [1] * 5
        async with database.read() as session:
            assert await run_sql(session, "SELECT 1") == 1
        await until(lambda: database.pool.in_use == 0)


async def reads_without_failing(database: Database, count: int) -> bool:
    outcomes = await asyncio.gather(*(value_of(database, ONE) for _ in range(count)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {int, UnavailableError}
    return outcomes == [1] * count


@only_postgresql
async def test_connection_that_dies_in_use_fails_that_query_alone(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        reads = (ONE, END_ITSELF, ONE, ONE, END_ITSELF, ONE)
        outcomes = await asyncio.gather(*(value_of(database, each) for each in reads), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            UnavailableError if each is END_ITSELF else int for each in reads
        ]
        await until(lambda: database.pool.in_use == 0)


@only_postgresql
async def test_refused_statement_keeps_its_connection(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE) as database:
        process = await value_of(database, PROCESS)
        with pytest.raises(Exception, match="division by zero"):
            await value_of(database, WRONG)
        assert await value_of(database, PROCESS) == process
        assert database.pool.in_use == 0


async def test_wrong_statement_is_not_called_unavailable(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(Exception, match="nothing") as raised:
            await database.reader.fetch(PreparedStatement(select(text("x")).select_from(table("nothing"))), {})
        assert not isinstance(raised.value, UnavailableError | DBAPIError)
    assert await value_of(database, ONE) == 1


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
        with frozen(await value_of(database, PROCESS)):
            with pytest.raises(UnavailableError):
                await value_of(database, ONE)
            await until_so(partial(reads_without_failing, database, 1))
            assert await value_of(database, ONE) == 1
        await until(lambda: database.pool.in_use == 0)


@only_postgresql
async def test_cancelled_query_ends_at_the_server(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, **SINGLE) as database, opened(fresh_settings) as other:
        for _ in range(3):
            sleeping = asyncio.create_task(value_of(database, SLEEP))
            await until_so(partial(is_asleep, other))
            sleeping.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sleeping
            assert await value_of(database, ONE) == 1
            assert not await is_asleep(other)
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
        reading = asyncio.create_task(value_of(database, endless))
        await until(begun.is_set)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await value_of(database, ONE) == 1
        assert database.pool.in_use == 0


async def is_asleep(database: Database) -> bool:
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    async with database.read() as session:
        return bool(await run_sql(session, asleep))


@only_postgresql
async def test_table_altered_after_preparing_is_still_read(fresh_settings: Settings) -> None:
    whole = PreparedStatement(select(table_of(User)).where(column("id") == bindparam("id")))
    async with opened(fresh_settings) as database:
        user = await make_user(database)
        (before,) = await database.reader.fetch(whole, {"id": user.id})
        for change in ("ADD COLUMN colour text", "ALTER COLUMN image TYPE text", "DROP COLUMN colour"):
            await database.write(partial(run_sql, statement=f"ALTER TABLE users {change}"))
            assert await database.reader.fetch(whole, {"id": user.id}) == [before]


async def test_restart_of_postgresql_is_called_unavailable_and_recovered_from(
    own_postgres: PostgresDatabases,
) -> None:
    async with opened(make_settings(own_postgres.url("postgres"))) as database:
        await asyncio.gather(*(value_of(database, ONE) for _ in range(5)))
        own_postgres.server.stop()
        for _ in range(6):
            with pytest.raises(UnavailableError):
                await value_of(database, ONE)
        own_postgres.server.ensure_postgres_running()
        assert await asyncio.gather(*(value_of(database, ONE) for _ in range(5))) == [1] * 5
        await until(lambda: database.pool.in_use == 0)


@needs_pgbouncer
async def test_queries_behind_a_pooler_run_their_own_statement(own_postgres: PostgresDatabases) -> None:
    echo = PreparedStatement(select(bindparam("text", type_=table_of(User).c.name.type).label("text")))

    async def read(database: Database, number: int) -> None:
        for turn in range(20):
            rows = await database.reader.fetch(echo, {"text": f"{number} {turn}"})
            assert [tuple(row) for row in rows] == [(f"{number} {turn}",)]

    async with pgbouncer(own_postgres.server) as address:
        settings = make_settings(f"{address}/postgres?pgbouncer=true")
        async with opened(settings) as database:
            await asyncio.gather(*(read(database, number) for number in range(20)))
            assert database.pool.in_use == 0
