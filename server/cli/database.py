"""The database of commands: migrated in development, its errors printed in one line."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

import migrations
from core.database import Database
from core.database_url import parse_database_url
from core.errors import UnavailableError
from core.settings import Settings
from migrations.followed_table import follow
from server.cli.errors import CommandError
from services.query.sql import execute

_ERRORS: Final = (DBAPIError, sqlite3.Error, OSError, UnavailableError, migrations.NewerSchemaError)
# Looking at all pages takes about a second for each quarter of a gigabyte.
_MAX_CHECKED_BYTES: Final = 256 << 20
_PASSWORD: Final = re.compile(r"(?<=://)([^:/?#]*):[^/?#]*@")
_MISSING_TABLE: Final = re.compile(r"^no such table|^relation .* does not exist")


async def migrate(settings: Settings) -> str | None:
    """Bring the database to the newest revision, and users to follow the table that is set; return what is to say."""
    with _one_line_errors(settings):
        await migrations.upgrade(settings)
        return await follow(settings)


def check_file(settings: Settings) -> None:
    """Refuse an SQLite file that is damaged or takes no writes; one that is not there yet is made."""
    target = parse_database_url(settings.database_url)
    path = Path(target.url.database or "")
    if not target.is_sqlite or not path.exists():
        return
    uri, timeout_s = f"{path.absolute().as_uri()}?mode=rw", settings.database_statement_timeout_s
    with (
        _one_line_errors(settings),
        closing(sqlite3.connect(uri, timeout_s, isolation_level=None, uri=True)) as connection,
    ):
        if path.stat().st_size <= _MAX_CHECKED_BYTES:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(f"its file is damaged: {found.splitlines()[-1]}; restore a backup")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        # SQLite begins a transaction to write on a file that is read-only; only a write is refused.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("ROLLBACK")


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Give the database, in development brought to the newest revision first."""
    if not settings.is_production:
        await migrate(settings)
    database = Database(settings)
    try:
        with _one_line_errors(settings):
            yield database
    finally:
        await database.close()


async def analyze(database: Database) -> None:
    """Renew the statistics by which statements are planned, after many rows have changed at once."""
    statement = text("PRAGMA optimize" if database.is_sqlite else "ANALYZE")
    await database.write(lambda session: execute(session, statement))


def database_address(settings: Settings) -> str:
    """Return the database's URL as it may be shown: without its password, and a file with its whole path."""
    target = parse_database_url(settings.database_url)
    if target.is_sqlite:
        return f"sqlite:///{target.url.database}"
    return _PASSWORD.sub(r"\1:***@", settings.database_url)


@contextmanager
def _one_line_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise CommandError(f"the database {database_address(settings)} cannot be used: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, UnavailableError) and error.__cause__ is not None:
        return _reason(error.__cause__)
    text = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    first_line = text.strip().split("\n")[0] or type(error).__name__
    return f"{first_line}; run `tasktalk migrate` first" if _MISSING_TABLE.search(first_line) else first_line
