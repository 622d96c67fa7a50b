"""Faults: a file that is gone, a full disk, a database that hangs or has a successor, a clock that is wrong."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Final

import pytest
from sqlalchemy import literal_column, select

from core.clock import utc_now
from core.database import Database
from core.errors import RateLimitedError, UnavailableError
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from core.workload import current_workload, start_workload
from models import Run, RunStatus
from services.accounts.rate_limit import AccountRateLimits
from services.query.sql import execute, table_of
from services.runs.progress import expired_runs, fail_expired, renew_leases
from tests.core.statements import ONE, name_of, value_of
from tests.databases import (
    Backend,
    PostgresDatabases,
    file_of,
    make_settings,
    move_away,
    only_postgresql,
    only_sqlite,
    opened,
    run_sql,
)
from tests.factories import SignedIn, answered_rows, make_conversation, make_user, store_answered
from tests.hardening.breakable import PostgresServer
from tests.waiting import until_so


async def answers(database: Database) -> bool:
    """Tell whether the database answers within the time that it has."""
    try:
        return bool(await value_of(database.reader, ONE) == 1)
    except UnavailableError:
        return False


@only_sqlite
async def test_write_to_a_removed_file_is_not_acknowledged(fresh_settings: Settings) -> None:
    path = file_of(fresh_settings)
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
        await database.write(lambda session: run_sql(session, "UPDATE users SET name = 'Grace'"))
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
        assert await value_of(database.reader, ONE) == 1


NEVER_ENDS: Final = {
    "postgresql": "pg_sleep(3600)",
    "sqlite": "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)",
}
RUNNING: Final = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"


async def is_over(database: Database) -> bool:
    async with database.read() as session:
        return not await run_sql(session, RUNNING)


async def test_read_of_a_user_that_takes_too_long_is_cancelled_in_the_database(
    fresh_settings: Settings, backend: Backend
) -> None:
    endless = PreparedStatement(select(literal_column(NEVER_ENDS[backend]).label("end")))
    one = PreparedStatement(select(literal_column("1").label("one")))
    small = {"database_pool_size": 1, "database_max_overflow": 0}
    async with opened(fresh_settings, database_read_timeout_s=0.2, **small) as database:
        start_workload(user_id="ada")
        with pytest.raises(UnavailableError):
            await database.reader.fetch(endless, {})
        # Of the only connection nothing is in use any more.
        assert (await database.reader.fetch(one, {}))[0].one == 1
        if backend == "postgresql":
            await until_so(lambda: is_over(database))
            # The server's own work may take longer.
            current_workload.set(None)
            slow = PreparedStatement(select(literal_column("pg_sleep(0.4)").label("end")))
            assert len(await database.reader.fetch(slow, {})) == 1


async def insert(database: Database, number: int) -> None:
    await database.write(lambda session: run_sql(session, "INSERT INTO numbers VALUES (:number)", number=number))


async def inserts(database: Database, number: int) -> bool:
    try:
        await insert(database, number)
    except UnavailableError:
        return False
    return True


async def test_writes_go_on_at_the_promoted_standby(servers: tuple[PostgresServer, PostgresServer]) -> None:
    primary, standby = servers
    # The standby first, which must be left.
    url = f"postgresql://postgres@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/postgres"
    async with opened(make_settings(url)) as database:
        await database.write(lambda session: run_sql(session, "CREATE TABLE numbers (number int)"))
        await insert(database, 1)
        async with database.read() as session:
            position = await run_sql(session, "SELECT pg_current_wal_insert_lsn()::text")
        standby_url = f"postgresql://postgres@127.0.0.1:{standby.port}/postgres"
        async with opened(make_settings(standby_url)) as replica:
            await until_so(partial(has_replayed, replica, position))
        primary.stop()
        assert not await inserts(database, 2)
        standby.promote()
        await until_so(partial(inserts, database, 3))
        async with database.read() as session:
            assert await run_sql(session, "SELECT array_agg(number ORDER BY number) FROM numbers") == [1, 3]


async def has_replayed(replica: Database, position: str) -> bool:
    async with replica.read() as session:
        return bool(await run_sql(session, f"SELECT pg_last_wal_replay_lsn() >= '{position}'"))


async def test_connections_to_a_demoted_primary_are_left(own_postgres: PostgresDatabases) -> None:
    """As after a failover behind one address: what is connected may not write any more, what connects anew may."""
    async with opened(make_settings(own_postgres.url("postgres"))) as database:
        await database.write(lambda session: run_sql(session, "CREATE TABLE numbers (number int)"))
        await insert(database, 1)
        await own_postgres.run("ALTER SYSTEM SET default_transaction_read_only = on")
        await own_postgres.run("SELECT pg_reload_conf()")
        await until_so(partial(is_read_only, database))
        with pytest.raises(UnavailableError):
            await insert(database, 2)
        assert database.write_problem == "The database is read-only."
        writable = "ALTER ROLE postgres SET default_transaction_read_only = off"
        await own_postgres.run(f"BEGIN READ WRITE; {writable}; COMMIT")
        await insert(database, 3)
        assert database.write_problem is None


async def is_read_only(database: Database) -> bool:
    async with database.read() as session:
        return bool(await run_sql(session, "SHOW transaction_read_only") == "on")


RUNS = table_of(Run)
LEASE = timedelta(seconds=30)


@only_postgresql
@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_leases_are_by_the_databases_clock(
    database: Database, user: SignedIn, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    talk = await make_conversation(database, user.caller)
    answered = answered_rows(user, talk.id, status=RunStatus.RUNNING, lease_until=utc_now() + LEASE)
    await store_answered(database, answered)
    key = user.user.id, answered.run.id
    for module in ("services.query.sql", "services.runs.progress"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: utc_now() + ahead)
    async with database.read() as session:
        assert key not in {tuple(row) for row in await expired_runs(session)}
    await database.write(lambda session: fail_expired(session, user.caller, answered.run.id, "It died."))
    assert await database.write(lambda session: renew_leases(session, [key], LEASE)) == {key}
    async with database.read() as session:
        own = RUNS.c.id == answered.run.id
        row = (await execute(session, select(RUNS.c.status, RUNS.c.lease_until).where(own))).one()
        assert row.status is RunStatus.RUNNING
        assert abs(row.lease_until - (utc_now() + LEASE)) < timedelta(minutes=1)
        await database.write(lambda writing: renew_leases(writing, [key], -LEASE))
        assert key in {tuple(row) for row in await expired_runs(session)}


@only_postgresql
@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_wrong_clock_is_corrected_by_the_databases(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    """Else tokens would end too early, or too late."""

    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + ahead

    monkeypatch.setattr("core.clock._Correction.value", timedelta(0))
    monkeypatch.setattr("core.clock.datetime", WrongClock)
    assert abs(utc_now() - datetime.now(UTC) - ahead) < timedelta(minutes=1)
    async with opened(settings) as database, database.read() as session:
        await session.connection()
    assert abs(utc_now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_rate_limit_tells_when_to_try_again_by_the_corrected_clock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    monkeypatch.setattr("core.clock._Correction.value", ahead)
    limits = AccountRateLimits(settings.model_copy(update={"sign_ups_per_address": 1}))
    await limits.count_sign_up("192.0.2.1")
    with pytest.raises(RateLimitedError) as refused:
        await limits.count_sign_up("192.0.2.1")
    left = refused.value.retry_at - utc_now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
