"""/health and /ready: whether the process runs, and whether it can serve."""

from functools import partial
from pathlib import Path

import httpx2
import pytest
from structlog.testing import CapturingLogger

from core.settings import Settings
from server.observability.health import warn_where_not_ready
from tests.databases import make_settings, opened, run_sql
from tests.server.sample import open_api


async def test_health_and_ready_answer_ok(http: httpx2.AsyncClient) -> None:
    for path in ("/health", "/ready", "/metrics"):
        response = await http.post(path)
        assert response.status_code == 405
        assert response.json()["errors"][0]["extensions"] == {"code": "METHOD_NOT_ALLOWED"}
    for path in ("/health", "/ready"):
        response = await http.get(path)
        assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def change(settings: Settings, statement: str) -> None:
    async with opened(settings) as database:
        await database.write(partial(run_sql, statement=statement))


@pytest.mark.parametrize(
    ("statement", "found"),
    [("UPDATE alembic_version SET version_num = 'older'", "older"), ("DROP TABLE alembic_version", "none")],
)
async def test_ready_fails_before_the_migrations(fresh_settings: Settings, statement: str, found: str) -> None:
    await change(fresh_settings, statement)
    async with open_api(fresh_settings) as api:
        assert (await api.get("/health")).status_code == 200
        response = await api.get("/ready")
    assert (response.status_code, response.json()["status"]) == (503, "not ready")
    assert response.json()["reason"].startswith(f"The database is at migration {found}, the code expects ")


async def test_missing_migration_is_logged(fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("server.observability.health._log", log)
    async with opened(fresh_settings) as database:
        await warn_where_not_ready(database)
        assert log.calls == []
        await change(fresh_settings, "DELETE FROM alembic_version")
        await warn_where_not_ready(database)
    (call,) = log.calls
    assert (call.method_name, call.args) == ("warning", ("not ready",))
    assert call.kwargs["reason"].endswith("run `tasktalk migrate`.")


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:///{folder}/missing/none.db"])
async def test_ready_fails_without_a_database(url: str, tmp_path: Path) -> None:
    async with open_api(make_settings(url.format(folder=tmp_path))) as api:
        assert (await api.get("/health")).status_code == 200
        response = await api.get("/ready")
    told = {"status": "not ready", "reason": "The database does not answer."}
    assert (response.status_code, response.json()) == (503, told)
