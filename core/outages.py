"""What passes by itself: failures of the database that a client may try again after."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import DBAPIError

from core.errors import UnavailableError

# Classes 08, 53 and 57 of PostgreSQL: connection lost, no resources, operator intervention; 40: rolled back.
_PASSING_CLASSES: Final = frozenset({"08", "40", "53", "57"})
_SQLITE_BUSY: Final = "database is locked"
_DATABASE_ERRORS: Final = (DBAPIError, PostgresError, InterfaceError, InternalClientError, sqlite3.Error)


def sqlstate(error: Exception) -> str:
    """Return PostgreSQL's code of a failure, or nothing on SQLite."""
    return str(getattr(_cause(error), "sqlstate", None) or "")


def _cause(error: Exception) -> object:
    return error.orig if isinstance(error, DBAPIError) else error


@contextmanager
def translated_failures() -> Iterator[None]:
    """Turn what will pass by itself into an error that says so; leave our own bugs as they are."""
    try:
        yield
    except Exception as error:
        if (passing := passing_failure(error)) is None:
            raise
        raise passing from error


def passing_failure(error: Exception) -> UnavailableError | None:
    """Return what to say of a failure that will pass; None for any other."""
    if isinstance(error, _DATABASE_ERRORS):
        return UnavailableError("The database cannot answer now. Try again shortly.") if _is_passing(error) else None
    if isinstance(error, OSError | TimeoutError):
        return UnavailableError("The database cannot be reached now. Try again shortly.")
    return None


def _is_passing(error: Exception) -> bool:
    if getattr(error, "connection_invalidated", False) or _is_of_a_lost_connection(error):
        return True
    return sqlstate(error)[:2] in _PASSING_CLASSES or _SQLITE_BUSY in str(_cause(error))


def _is_of_a_lost_connection(error: Exception) -> bool:
    # The driver calls it an error of its own to be asked when it has heard the server's last words, but not hung up.
    return isinstance(error, InternalClientError) or (isinstance(error, InterfaceError) and "closed" in str(error))
