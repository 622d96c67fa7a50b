"""The check of an SQLite file before it is served: whether it is damaged, and whether it takes writes."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

# Looking at all pages takes about a second for each quarter of a gigabyte.
_LARGEST_LOOKED_THROUGH_BYTES: Final = 256 << 20


class DamagedFileError(Exception):
    """Pages of the file are not what they should be."""


def check_sqlite_file(path: Path, timeout_s: float) -> None:
    """Raise DamagedFileError or `sqlite3.Error` where a file cannot be served; one that is not there yet can."""
    if not path.exists():
        return
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, timeout_s, isolation_level=None, uri=True)) as connection:
        if path.stat().st_size <= _LARGEST_LOOKED_THROUGH_BYTES:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise DamagedFileError(f"its file is damaged: {found.splitlines()[-1]}; restore a backup")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        # SQLite begins a transaction to write on a file that is read-only; only a write is refused.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("ROLLBACK")
