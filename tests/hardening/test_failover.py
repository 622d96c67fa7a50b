"""Failover: a standby that is promoted takes over where the URL names both servers."""

from functools import partial

import pytest

from core.database import Database
from core.errors import UnavailableError
from tests.databases import PostgresDatabases, make_settings, opened, run_sql
from tests.hardening.standby import PostgresServer
from tests.waiting import until_so


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
