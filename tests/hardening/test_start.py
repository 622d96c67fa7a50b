"""The start on an SQLite file that is damaged or takes no writes: refused in one line, in production too."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.settings import Settings
from server.cli import main
from tests.databases import only_sqlite

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
