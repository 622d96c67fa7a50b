"""Start, readiness and end of a server: what keeps it from serving, and what does not keep it from being closed."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import migrations
from core.settings import Settings
from server.app import create_app
from server.cli import main
from tests.databases import file_of, move_away, only_sqlite, opened
from tests.server.sample import open_api
from tests.servers import serve

PAGE_BYTES = 4096
NOBODY = 65534


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Act as somebody who is bound by permissions, which the superuser is not."""
    if os.geteuid():
        yield
        return
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def file(fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # The folders that pytest makes are for their owner alone.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "app.db")
        path.write_bytes(Path(fresh_settings.database_url.removeprefix("sqlite:///")).read_bytes())
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
        monkeypatch.setenv("SECRET_KEY", "k" * 32)
        monkeypatch.chdir(folder)
        yield path


@only_sqlite
@pytest.mark.parametrize("environment", ["development", "production"])
@pytest.mark.parametrize("page", [0, 3])
def test_damaged_file_is_not_served(
    file: Path, environment: str, page: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    with file.open("r+b") as opened:
        opened.seek(page * PAGE_BYTES)
        opened.write(b"\xff" * PAGE_BYTES)
    assert main(("serve", "--port", "0")) == 2
    assert_one_line(capsys, file, ("file is not a database", "its file is damaged: "))


@only_sqlite
@pytest.mark.parametrize("environment", ["development", "production"])
def test_file_that_takes_no_writes_is_not_served(
    file: Path, environment: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT", environment)
    file.chmod(0o400)
    with as_nobody(file.parent):
        assert main(("serve", "--port", "0")) == 2
    assert_one_line(capsys, file, ("attempt to write a readonly database",))


def assert_one_line(capsys: pytest.CaptureFixture[str], file: Path, reasons: tuple[str, ...]) -> None:
    output, errors = capsys.readouterr()
    start = f"tasktalk: the database sqlite:///{file} cannot be used: "
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith(tuple(start + reason for reason in reasons))


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


async def test_part_that_hangs_or_fails_does_not_keep_others_open(
    fresh_settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(fresh_settings.model_copy(update={"shutdown_grace_s": 1.0}))
    runtime, closed = app.state.runtime, asyncio.Event()
    close_live, close_database = runtime.live.close, runtime.database.close

    async def hang() -> None:
        await close_live()
        await asyncio.Event().wait()

    async def fail() -> None:
        raise LookupError

    async def close() -> None:
        await close_database()
        closed.set()

    monkeypatch.setattr(runtime.live, "close", hang)
    monkeypatch.setattr(runtime.accounts, "close", fail)
    monkeypatch.setattr(runtime.database, "close", close)
    async with serve(app):
        pass
    assert closed.is_set()
    told = [record for record in caplog.records if record.name == "server.lifecycle" and record.exc_info]
    assert [record.exc_info[0] for record in told if record.exc_info] == [TimeoutError, LookupError]
