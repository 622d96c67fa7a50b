"""/health and /ready: whether the process runs, and whether it can serve."""

from pathlib import Path

import httpx2
import pytest
from structlog.testing import CapturingLogger

import migrations
from core.database import Database
from core.settings import Settings
from server.observability.health import Readiness
from tests.databases import make_settings, only_sqlite, opened
from tests.server.sample import open_api


async def test_health_and_ready_answer_ok(http: httpx2.AsyncClient) -> None:
    for path in ("/health", "/ready", "/metrics"):
        response = await http.post(path)
        assert response.status_code == 405
        assert response.json()["errors"][0]["extensions"] == {"code": "METHOD_NOT_ALLOWED"}
    for path in ("/health", "/ready"):
        response = await http.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("change", "found"),
    [("UPDATE alembic_version SET version_num = '0001'", "0001"), ("DROP TABLE alembic_version", "none")],
)
async def test_ready_fails_before_the_migrations(fresh_settings: Settings, change: str, found: str) -> None:
    database = Database(fresh_settings)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(change)
    await database.close()
    async with open_api(fresh_settings) as api:
        assert (await api.get("/health")).status_code == 200
        response = await api.get("/ready")
    assert response.status_code == 503
    assert response.json()["status"] == "not ready"
    assert response.json()["reason"].startswith(f"The database is at migration {found}, the code expects ")


async def test_ready_on_a_database_that_a_newer_release_has_migrated(fresh_settings: Settings) -> None:
    async with opened(fresh_settings) as database, database.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    async with open_api(fresh_settings) as api:
        assert (await api.get("/ready")).status_code == 200
    with pytest.raises(migrations.NewerSchemaError, match="at migration 9999, which is newer than this release's"):
        await migrations.upgrade(fresh_settings)


@only_sqlite
async def test_ready_says_that_the_databases_file_is_gone(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.observability.health._KEPT_S", 0)
    path = Path(fresh_settings.database_url.removeprefix("sqlite:///"))
    async with open_api(fresh_settings) as api:
        assert (await api.get("/ready")).status_code == 200
        move_away(path)
        response = await api.get("/ready")
    assert response.json()["reason"].startswith("The database's file was removed or replaced")


def move_away(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


async def test_missing_migration_is_logged_at_the_start(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("server.observability.health._log", log)
    database = Database(fresh_settings)
    await Readiness(database).warn()
    assert log.calls == []
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM alembic_version")
    await Readiness(database).warn()
    await database.close()
    (call,) = log.calls
    assert (call.method_name, call.args) == ("warning", ("not ready",))
    assert call.kwargs["reason"].endswith("run `tasktalk migrate`.")


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:///{folder}/missing/none.db"])
async def test_ready_fails_without_a_database(url: str, tmp_path: Path) -> None:
    settings = make_settings(url.format(folder=tmp_path))
    async with open_api(settings) as api:
        assert (await api.get("/health")).status_code == 200
        response = await api.get("/ready")
    assert response.status_code == 503
    assert response.json() == {"status": "not ready", "reason": "The database does not answer."}
