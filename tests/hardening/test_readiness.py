"""/ready: what keeps a server from serving, and what does not."""

import pytest

import migrations
from core.settings import Settings
from tests.databases import file_of, move_away, only_sqlite, opened
from tests.server.sample import open_api


async def test_database_that_a_newer_release_has_migrated_is_served(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database, database.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    async with open_api(fresh_settings) as api:
        assert (await api.get("/ready")).status_code == 200
    with pytest.raises(migrations.NewerSchemaError, match="at migration 9999, which is newer than this release's"):
        await migrations.upgrade(fresh_settings)


@only_sqlite
async def test_file_that_is_gone_is_told(fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.observability.health._KEPT_S", 0)
    async with open_api(fresh_settings) as api:
        assert (await api.get("/ready")).status_code == 200
        assert move_away(file_of(fresh_settings))
        response = await api.get("/ready")
    assert response.json()["reason"].startswith("The database's file was removed or replaced")
