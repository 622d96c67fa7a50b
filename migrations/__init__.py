"""Brings a database to the newest revision, once however many ask for it at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.database import make_engine
from core.database_url import DatabaseTarget, parse_database_url
from core.settings import Settings
from core.transient_errors import is_locked, sqlstate

# Alembic is imported inside the functions: a server that only serves does without it.
if TYPE_CHECKING:
    from alembic.config import Config

Result = TypeVar("Result")

_FOLDER: Final = Path(__file__).parent
_LOCK_KEY: Final = 0x7461736B74616C6B
_LONGEST_STATEMENT_S: Final = 3600
_LOCK_TIMEOUT_S: Final = 2
_RETRY_AFTER_S: Final = 1.0
_ATTEMPTS: Final = 60
_DEADLOCK: Final = "40P01"


class NewerSchemaError(Exception):
    """A newer release has migrated the database."""


async def upgrade(settings: Settings) -> None:
    """Bring the database to the newest revision; a SQLite file is made where there is none."""
    if await _is_current(settings):
        return
    from alembic import command

    await run(settings, lambda config: command.upgrade(config, "head"))


async def _is_current(settings: Settings) -> bool:
    """Tell whether there is nothing to do, for which neither Alembic nor a lock is needed."""
    target = parse_database_url(settings.database_url)
    if not _exists(target):
        return False
    try:
        async with _passing_engine(make_engine(target, settings)) as engine:
            return await current_revision(engine) == head_revision()
    except DBAPIError as error:
        if is_locked(error):
            return False
        raise


async def run(settings: Settings, command: Callable[["Config"], None]) -> None:
    """Run an Alembic command in one transaction that no other migration overlaps."""

    async def work(connection: AsyncConnection) -> None:
        await _refuse_newer(connection)
        await connection.run_sync(lambda sync: command(_config(sync)))

    await run_locked(settings, work)


async def run_locked(settings: Settings, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Run work in one transaction that no migration overlaps; try again where a table is locked."""
    attempt = 0
    while True:
        attempt += 1
        try:
            async with locked_connection(settings) as connection:
                return await work(connection)
        except DBAPIError as error:
            # Or, on SQLite, by another process that makes the file a moment earlier.
            if not (is_locked(error) or sqlstate(error) == _DEADLOCK) or attempt == _ATTEMPTS:
                raise
            await asyncio.sleep(_RETRY_AFTER_S)


def _exists(target: DatabaseTarget) -> bool:
    """Tell whether there is a database: to connect to an SQLite file that is not there would make it."""
    return not target.is_sqlite or Path(target.url.database or "").exists()


@cache
def head_revision() -> str:
    """Return the revision that the code expects: files begin with theirs, in ascending order."""
    return max(path.name for path in (_FOLDER / "versions").glob("[0-9]*.py")).partition("_")[0]


async def current_revision(engine: AsyncEngine) -> str | None:
    """Return the revision that the database is at, or None before its first migration."""
    async with engine.connect() as connection:
        return await _revision(connection)


async def _revision(connection: AsyncConnection) -> str | None:
    if not await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "alembic_version")):
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


async def _refuse_newer(connection: AsyncConnection) -> None:
    revision, head = await _revision(connection), head_revision()
    if revision is not None and revision > head:
        raise NewerSchemaError(f"it is at migration {revision}, which is newer than this release's {head}; deploy that")


def _config(connection: Connection | None = None) -> "Config":
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@asynccontextmanager
async def locked_connection(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """Give a connection in a transaction that no other migration overlaps, and commit it."""
    target = parse_database_url(settings.database_url)
    locked = _locked_sqlite if target.is_sqlite else _locked_postgres
    async with locked(target, settings) as connection:
        yield connection


@asynccontextmanager
async def _locked_postgres(target: DatabaseTarget, settings: Settings) -> AsyncIterator[AsyncConnection]:
    patient = settings.model_copy(update={"database_statement_timeout_s": _LONGEST_STATEMENT_S})
    async with _passing_engine(make_engine(target, patient)) as engine, engine.begin() as connection:
        # Held until the commit, and so safe behind a pooler too. It is waited for however long that takes.
        await connection.execute(text("SET LOCAL lock_timeout = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        # What waits for a table stops all that come after it: better to try again.
        await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT_S}s'"))
        yield connection


def _make_file(path: Path) -> None:
    """Make the database's file where there is none; it will hold hashes of passwords, so it is for its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)


@asynccontextmanager
async def _locked_sqlite(target: DatabaseTarget, settings: Settings) -> AsyncIterator[AsyncConnection]:
    _make_file(Path(target.url.database or ""))
    async with _passing_engine(make_engine(target, settings)) as engine:
        event.listen(engine.sync_engine, "connect", _suspend_foreign_keys)
        async with engine.execution_options(begin_immediate=True).begin() as connection:
            yield connection
            broken = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).first()
            if broken is not None:
                raise RuntimeError(f"the migration would leave rows of {broken[0]} that refer to nothing")


@asynccontextmanager
async def _passing_engine(engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    try:
        yield engine
    finally:
        await engine.dispose()


def _suspend_foreign_keys(connection: Any, _record: Any) -> None:
    # SQLite changes a table by copying and dropping it; with the keys on, the drop would delete what refers to it.
    connection.execute("PRAGMA foreign_keys=OFF").close()
