"""Faults of the database: a file that is gone, a full disk, too many connections, a server that hangs."""

from functools import partial

import pytest

from core.database import Database
from core.errors import UnavailableError
from core.settings import Settings
from tests.core.statements import ONE, name_of, value_of
from tests.databases import PostgresDatabases, file_of, make_settings, move_away, only_sqlite, opened, run_sql
from tests.factories import make_user
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
