"""How long a statement may take, by whose work it is."""

from typing import Final

import pytest
from sqlalchemy import literal_column, select

from core.database import Database
from core.errors import UnavailableError
from core.prepared_statement import PreparedStatement
from core.settings import Settings
from core.workload import current_workload, start_workload
from tests.databases import Backend, opened, run_sql
from tests.waiting import until_so

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
