"""/health and /ready: whether the process runs, and whether it can serve."""

from pathlib import Path

import httpx2
import pytest
from structlog.testing import CapturingLogger

from core.database import Database
from core.settings import Settings
from server.observability.health import warn_where_not_ready
from tests.databases import make_settings
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
    [("UPDATE alembic_version SET version_num = 'older'", "older"), ("DROP TABLE alembic_version", "none")],
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


async def test_missing_migration_is_logged_at_the_start(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("server.observability.health._log", log)
    database = Database(fresh_settings)
    await warn_where_not_ready(database)
    assert log.calls == []
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM alembic_version")
    await warn_where_not_ready(database)
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
