"""The database's faults: no connection, deadlock, cancellation, a restart, a locked file."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import literal, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.errors import UnavailableError
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from models import User
from tests.databases import (
    PostgresDatabases,
    make_settings,
    only_postgresql,
    only_sqlite,
    opened,
    run_sql,
)
from tests.factories import make_user
from tests.waiting import PATIENCE_S, until_so

ONE: Final = PreparedStatement(select(literal(1).label("one")))
RENAME: Final = "UPDATE users SET name = :name WHERE id = :id"


async def name_of(database: Database, user: User) -> str:
    async with database.read() as session:
        return (await session.get_one(User, user.id)).name


def connections_in_use(database: Database) -> int:
    return database.pool.in_use


async def test_exhausted_pool_raises_unavailable_quickly(fresh_settings: Settings) -> None:
    narrow = {"database_pool_size": 1, "database_max_overflow": 0, "database_pool_timeout_s": 0.2}
    async with opened(fresh_settings, **narrow) as database:
        async with database.read() as session:
            await run_sql(session, "SELECT 1")
            started_s = time.monotonic()
            with pytest.raises(UnavailableError, match="no database connection came free"):
                await make_user(database)
            assert time.monotonic() - started_s < fresh_settings.database_pool_timeout_s
        await make_user(database)


async def test_cancelled_write_leaves_nothing_behind(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, database_pool_size=1, database_max_overflow=0) as database:
        user = await make_user(database)
        holds = asyncio.Event()

        async def work(session: AsyncSession) -> None:
            await run_sql(session, RENAME, name="Grace", id=user.id)
            holds.set()
            await asyncio.Event().wait()

        writing = asyncio.create_task(database.write(work))
        await holds.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert connections_in_use(database) == 0
        assert await name_of(database, user) == "Ada"
        await database.write(lambda session: run_sql(session, RENAME, name="Joan", id=user.id))
        assert await name_of(database, user) == "Joan"


@only_postgresql
async def test_cancelled_query_ends_and_its_connection_serves_on(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, database_pool_size=1, database_max_overflow=0) as database:

        async def sleep() -> None:
            async with database.read() as session:
                await run_sql(session, "SELECT pg_sleep(3600)")

        async def is_asleep(looking: Database) -> bool:
            still = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)' AND state = 'active'"
            async with looking.read() as session:
                return bool(await run_sql(session, still))

        async def is_awake() -> bool:
            return not await is_asleep(database)

        sleeping = asyncio.create_task(sleep())
        async with opened(fresh_settings) as other:
            await until_so(partial(is_asleep, other))
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        assert connections_in_use(database) == 0
        await until_so(is_awake)


@only_postgresql
async def test_statement_that_takes_too_long_is_called_unavailable(fresh_settings: Settings) -> None:
    async with opened(fresh_settings, database_statement_timeout_s=0.2) as database:
        with pytest.raises(UnavailableError):
            async with database.read() as session:
                await run_sql(session, "SELECT pg_sleep(60)")
        await until_so(partial(answers, database))


async def answers(database: Database) -> bool:
    """Tell whether the database answers within the time that it has."""
    try:
        async with database.read() as session:
            return bool(await run_sql(session, "SELECT 1") == 1)
    except UnavailableError:
        return False


@only_postgresql
async def test_deadlock_is_retried(database: Database) -> None:
    users = [await make_user(database), await make_user(database)]
    meeting = asyncio.Barrier(2)
    attempts: list[str] = []

    async def rename_both(name: str, first: User, second: User) -> None:
        async def work(session: AsyncSession) -> None:
            await run_sql(session, RENAME, name=name, id=first.id)
            attempts.append(name)
            if attempts.count(name) == 1:
                await meeting.wait()
            await run_sql(session, RENAME, name=name, id=second.id)

        await database.write(work)

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(rename_both("Grace", *users), rename_both("Joan", *reversed(users)))
    assert len(attempts) == 3
    assert await name_of(database, users[0]) == await name_of(database, users[1])


@only_postgresql
async def test_serialisation_failure_is_retried(database: Database) -> None:
    user = await make_user(database)
    meeting = asyncio.Barrier(2)
    attempts: list[str] = []

    async def append(letter: str) -> None:
        async def work(session: AsyncSession) -> None:
            await run_sql(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            name = await run_sql(session, "SELECT name FROM users WHERE id = :id", id=user.id)
            attempts.append(letter)
            if attempts.count(letter) == 1:
                await meeting.wait()
            await run_sql(session, RENAME, name=name + letter, id=user.id)

        await database.write(work)

    await asyncio.gather(append("x"), append("y"))
    assert len(attempts) == 3
    assert await name_of(database, user) in {"Adaxy", "Adayx"}


@only_postgresql
async def test_endless_serialisation_failure_is_called_unavailable_after_four_attempts(database: Database) -> None:
    attempts = 0

    async def work(session: AsyncSession) -> None:
        nonlocal attempts
        attempts += 1
        await run_sql(session, "DO $$ BEGIN RAISE EXCEPTION 'no luck' USING ERRCODE = '40001'; END $$")

    with pytest.raises(UnavailableError):
        await database.write(work)
    assert attempts == 4


async def test_recovers_when_postgresql_was_away(own_postgres: PostgresDatabases) -> None:
    server = own_postgres.server
    async with opened(make_settings(own_postgres.url("postgres"))) as database:

        async def answer() -> Any:
            async with database.read() as session:
                return await run_sql(session, "SELECT 1")

        assert await asyncio.gather(*(answer() for _ in range(5))) == [1] * 5
        server.stop()
        for _ in range(6):
            with pytest.raises(UnavailableError):
                await answer()
        with pytest.raises(UnavailableError):
            await database.write(lambda session: run_sql(session, "SELECT 1"))
        server.ensure_postgres_running()
        assert await asyncio.gather(*(answer() for _ in range(5))) == [1] * 5
        assert connections_in_use(database) == 0


async def test_quick_restart_of_postgresql_costs_one_request_at_most(own_postgres: PostgresDatabases) -> None:
    async with opened(make_settings(own_postgres.url("postgres"))) as database:

        async def answer() -> Any:
            async with database.read() as session:
                return await run_sql(session, "SELECT 1")

        await asyncio.gather(*(answer() for _ in range(5)))
        own_postgres.server.stop()
        own_postgres.server.ensure_postgres_running()
        outcomes = []
        for _ in range(8):
            try:
                outcomes.append(await answer())
            except UnavailableError as error:
                outcomes.append(error)
        assert outcomes[1:] == [1] * 7


LOCK_AND_WAIT: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@asynccontextmanager
async def locked_by_another_process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    path = settings.database_url.removeprefix("sqlite:///")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LOCK_AND_WAIT, path, stdin=pipe, stdout=pipe)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"locked\n"
    try:
        yield process
    finally:
        if not process.stdin.is_closing():
            process.stdin.close()
        await process.wait()


@only_sqlite
async def test_waits_for_a_file_that_another_process_has_locked(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database, locked_by_another_process(fresh_settings) as process:
        writing = asyncio.create_task(make_user(database))
        await asyncio.sleep(0.3)
        assert not writing.done()
        async with database.read() as session:
            assert await run_sql(session, "SELECT count(*) FROM users") == 0
        assert process.stdin is not None
        process.stdin.close()
        await writing


@only_sqlite
async def test_file_that_stays_locked_is_called_unavailable_for_all_in_time(fresh_settings: Settings) -> None:
    count, timeout_s = 100, 0.4
    async with (
        opened(fresh_settings, database_statement_timeout_s=timeout_s) as database,
        locked_by_another_process(fresh_settings),
    ):
        started_s = time.monotonic()
        outcomes = await asyncio.gather(*(make_user(database) for _ in range(count)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [UnavailableError] * count
        # Far from the time that it would take one after another.
        assert time.monotonic() - started_s < count * timeout_s / 2
    async with opened(fresh_settings) as database:
        await make_user(database)


def move_away(path: Path) -> bool:
    """Move a file out of the way; tell whether there was one."""
    exists = path.exists()
    if exists:
        path.rename(path.with_suffix(".moved"))
    return exists


@only_sqlite
async def test_write_to_a_removed_file_is_not_acknowledged(fresh_settings: Settings) -> None:
    path = Path(fresh_settings.database_url.removeprefix("sqlite:///"))
    async with opened(fresh_settings, database_pool_size=2) as database:
        await make_user(database)
        move_away(path)
        for _ in range(2):
            with pytest.raises(UnavailableError, match="removed or replaced"):
                await make_user(database)
        assert "removed or replaced" in (database.write_problem or "")
        # Nothing makes an empty file in its place.
        assert not move_away(path)


@only_sqlite
async def test_full_disk_is_called_unavailable_until_there_is_room(
    fresh_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(fresh_settings, database_pool_size=1, database_max_overflow=0) as database:
        user = await make_user(database)

        async def limit_pages(count: int) -> None:
            async with database.read() as session:
                await run_sql(session, f"PRAGMA max_page_count = {count}")

        await limit_pages(1)
        for _ in range(3):
            with pytest.raises(UnavailableError):
                await database.write(lambda session: run_sql(session, "CREATE TABLE large AS SELECT zeroblob(100000)"))
        assert database.write_problem == "The database's disk is full."
        assert [record.getMessage() for record in caplog.records] == ["No writes: The database's disk is full."]
        assert await name_of(database, user) == "Ada"
        await limit_pages(1 << 30)
        await database.write(lambda session: run_sql(session, RENAME, name="Grace", id=user.id))
        assert database.write_problem is None


async def test_too_many_connections_are_called_unavailable(own_postgres: PostgresDatabases) -> None:
    await own_postgres.run("CREATE ROLE ada LOGIN CONNECTION LIMIT 1")
    url = own_postgres.url("postgres").replace("postgres:@", "ada:@").replace("postgres@", "ada@")
    async with opened(make_settings(url)) as database, opened(make_settings(url)) as other, other.read() as session:
        assert await run_sql(session, "SELECT current_user") == "ada"
        assert not await answers(database)
        with pytest.raises(UnavailableError):
            await database.reader.fetch(ONE, {})
        with pytest.raises(UnavailableError):
            await database.write(lambda writing: run_sql(writing, "SELECT 1"))


async def test_server_that_hangs_is_called_unavailable_and_serves_on_afterwards(
    own_postgres: PostgresDatabases,
) -> None:
    quick = {"database_statement_timeout_s": 0.5, "database_connect_timeout_s": 0.5}
    async with opened(make_settings(own_postgres.url("postgres"), **quick)) as database:
        await until_so(partial(answers, database))
        postmaster = own_postgres.server.get_postmaster_info().process
        assert postmaster is not None
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            process.suspend()
        try:
            assert not await answers(database)
            with pytest.raises(UnavailableError):
                await database.reader.fetch(ONE, {})
        finally:
            for process in processes:
                process.resume()
        await until_so(partial(answers, database))
        assert (await database.reader.fetch(ONE, {}))[0].one == 1
