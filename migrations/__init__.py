"""Brings a database to the newest revision, once however many ask for it at a time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from core.database import make_engine
from core.database_url import DatabaseTarget, parse_database_url
from core.settings import Settings

# Alembic is imported inside the functions: a server that only serves does without it.
if TYPE_CHECKING:
    from alembic.config import Config

_FOLDER: Final = Path(__file__).parent
_LOCK_KEY: Final = 0x7461736B74616C6B
_LONGEST_STATEMENT_S: Final = 3600


async def upgrade(settings: Settings) -> None:
    """Bring the database to the newest revision; a SQLite file is made where there is none."""
    from alembic import command

    await run(settings, lambda config: command.upgrade(config, "head"))


async def run(settings: Settings, command: Callable[["Config"], None]) -> None:
    """Run an Alembic command in one transaction that no other migration overlaps."""
    async with locked_connection(settings) as connection:
        await connection.run_sync(lambda sync: command(_config(sync)))


@cache
def head_revision() -> str:
    """Return the revision that the code expects."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise RuntimeError("there is no migration in migrations/versions")
    return head


async def current_revision(engine: AsyncEngine) -> str | None:
    """Return the revision that the database is at, or None before its first migration."""
    async with engine.connect() as connection:
        if not await connection.run_sync(lambda sync: engine.dialect.has_table(sync, "alembic_version")):
            return None
        revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
        return revision


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
        # Held until the commit, and so safe behind a pooler too.
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
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
