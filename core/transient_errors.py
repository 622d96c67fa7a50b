"""Transient errors of the database: those after which a client may try again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError

from core.errors import UnavailableError

# PostgreSQL's classes 08, 53, 57: connection lost, no resources, operator intervention; 40: transaction rolled back.
_TRANSIENT_CLASSES: Final = frozenset({"08", "40", "53", "57"})
_READ_ONLY: Final = "25006"
_LOCK_NOT_AVAILABLE: Final = "55P03"
# What keeps a database from taking writes at all, until somebody or something mends it.
_WRITE_PROBLEMS: Final[dict[str | int, str]] = {
    _READ_ONLY: "The database is read-only.",
    "53100": "The database's disk is full.",
    sqlite3.SQLITE_FULL: "The database's disk is full.",
    sqlite3.SQLITE_READONLY: "The database's file is read-only.",
    sqlite3.SQLITE_IOERR: "The database's disk fails.",
    sqlite3.SQLITE_CANTOPEN: "The database's file cannot be opened.",
}
_TRANSIENT_SQLITE_CODES: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, *_WRITE_PROBLEMS}
# The adapter's own are those at connecting, which SQLAlchemy does not wrap.
_ADAPTER_ERROR: Final = AsyncAdapt_asyncpg_dbapi.Error
_DATABASE_ERRORS: Final = (
    DBAPIError,
    _ADAPTER_ERROR,
    PostgresError,
    InterfaceError,
    InternalClientError,
    sqlite3.Error,
)


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code of an error, or nothing on SQLite."""
    return str(getattr(_driver_error(error), "sqlstate", None) or "")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise UnavailableError in place of a transient error; leave every other one as it is."""
    try:
        yield
    except Exception as error:
        if (transient := transient_error(error)) is None:
            raise
        raise transient from error


def transient_error(error: Exception) -> UnavailableError | None:
    """Return the error to raise in place of a transient one; None for any other."""
    if isinstance(error, _DATABASE_ERRORS):
        return UnavailableError("The database cannot answer now. Try again shortly.") if _is_transient(error) else None
    if isinstance(error, OSError | TimeoutError):
        return UnavailableError("The database cannot be reached now. Try again shortly.")
    return None


def write_problem(error: BaseException) -> str | None:
    """Return why the database takes no writes at all, where an error says so."""
    return _WRITE_PROBLEMS.get(sqlstate(error) or _sqlite_code(error))


def is_locked(error: BaseException) -> bool:
    """Tell whether somebody else holds what was asked for."""
    return sqlstate(error) == _LOCK_NOT_AVAILABLE or _sqlite_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def is_lost(error: BaseException) -> bool:
    """Tell whether an error means that connections may lead to a server that is gone or no longer the primary."""
    if getattr(error, "connection_invalidated", False) or isinstance(error, OSError | TimeoutError):
        return True
    return sqlstate(error) == _READ_ONLY or _is_lost_connection(error)


def _is_transient(error: Exception) -> bool:
    if getattr(error, "connection_invalidated", False) or _is_lost_connection(error):
        return True
    state = sqlstate(error)
    if state:
        return state[:2] in _TRANSIENT_CLASSES or state in {_READ_ONLY, _LOCK_NOT_AVAILABLE}
    return _sqlite_code(error) in _TRANSIENT_SQLITE_CODES


def _sqlite_code(error: BaseException) -> int:
    """Return SQLite's primary result code, which is the lowest byte of the extended one; 0 on PostgreSQL."""
    return int(getattr(_driver_error(error), "sqlite_errorcode", None) or 0) & 0xFF


def _is_lost_connection(error: BaseException) -> bool:
    # asyncpg raises an internal error where the server has said that it ends, and the connection is not closed yet.
    return isinstance(error, InternalClientError) or (isinstance(error, InterfaceError) and "closed" in str(error))


def _driver_error(error: BaseException) -> object:
    if isinstance(error, DBAPIError):
        error = error.orig or error
    return error.__cause__ or error if isinstance(error, _ADAPTER_ERROR) else error
