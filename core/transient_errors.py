"""Transient errors of the database: those after which a client may try again."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError

from core.errors import UnavailableError

# PostgreSQL's classes 08, 53, 57: connection lost, no resources, operator intervention; 40: transaction rolled back.
_TRANSIENT_CLASSES: Final = frozenset({"08", "40", "53", "57"})
_SQLITE_BUSY: Final = "database is locked"
_DATABASE_ERRORS: Final = (DBAPIError, PostgresError, InterfaceError, InternalClientError, sqlite3.Error)


def sqlstate(error: Exception) -> str:
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


def _is_transient(error: Exception) -> bool:
    if getattr(error, "connection_invalidated", False) or _is_lost_connection(error):
        return True
    return sqlstate(error)[:2] in _TRANSIENT_CLASSES or _SQLITE_BUSY in str(_driver_error(error))


def _is_lost_connection(error: Exception) -> bool:
    # asyncpg raises an internal error where the server has said that it ends, and the connection is not closed yet.
    return isinstance(error, InternalClientError) or (isinstance(error, InterfaceError) and "closed" in str(error))


def _driver_error(error: Exception) -> object:
    return error.orig if isinstance(error, DBAPIError) else error
