"""The foreign key by which users follow a table of Better Auth's in the same database; made and removed as it is set.

It is no part of a revision: whether there is such a table, and the type of its ids, are the installation's own.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import migrations
from core.database_url import parse_database_url
from core.settings import Settings, SettingsError
from core.trusted_issuer import trusted_issuer

_COLUMN: Final = "better_auth_id"
_KEY: Final = f"fk_users_{_COLUMN}"
# What the column was made for stands in its comment.
_FOUND: Final = text(
    "SELECT col_description(attrelid, attnum) AS purpose, (SELECT convalidated FROM pg_constraint "
    "WHERE conrelid = attrelid AND conname = :key) AS is_valid FROM pg_attribute "
    "WHERE attrelid = to_regclass('users') AND attname = :column AND NOT attisdropped"
)
_TYPE_OF_IDS: Final = text(
    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(:table) AND attname = 'id' AND NOT attisdropped"
)


@dataclass(frozen=True, slots=True)
class _Followed:
    """The table that is set, and the issuer whose users are in it."""

    table: str
    issuer: str

    @classmethod
    def of(cls, settings: Settings) -> "_Followed | None":
        issuer = trusted_issuer(settings)
        if settings.better_auth_table is None or issuer is None:
            return None
        return cls(settings.better_auth_table, issuer.name)

    @property
    def purpose(self) -> str:
        return f"{self.table} of {self.issuer}"


async def follow(settings: Settings) -> str | None:
    """Make or remove the key, as BETTER_AUTH_TABLE says; return what was done, None where there is nothing to say."""
    if parse_database_url(settings.database_url).is_sqlite:
        return None
    wanted = _Followed.of(settings)
    is_changed = await migrations.run_locked(settings, lambda connection: _make(connection, wanted))
    if wanted is None:
        return "Users follow no other table any more: the foreign key is removed." if is_changed else None
    # In a transaction of its own: it reads both tables, while others go on writing them.
    missing = await migrations.run_locked(settings, lambda connection: _validate(connection, wanted))
    text = f"Users follow {wanted.table} by a foreign key{', which is made' if is_changed else ', as before'}."
    if missing:
        text += (
            f" {missing} of them are not in that table and cannot sign in; what is theirs stays until an admin deletes"
            " them, and the key is not valid for them. Run `tasktalk migrate` again afterwards."
        )
    return text


async def is_as_set(engine: AsyncEngine, settings: Settings) -> bool:
    """Tell whether `tasktalk migrate` has made the key that is set."""
    if settings.better_auth_table is None:
        return True
    wanted = _Followed.of(settings)
    async with engine.connect() as connection:
        found = await _find(connection)
    return wanted is not None and found is not None and found.purpose == wanted.purpose


async def _find(connection: AsyncConnection) -> Any:
    return (await connection.execute(_FOUND, {"key": _KEY, "column": _COLUMN})).one_or_none()


async def _make(connection: AsyncConnection, wanted: _Followed | None) -> bool:
    """Make the column and the key, or remove them; tell whether there was anything to do."""
    found = await _find(connection)
    if (found and found.purpose) == (wanted and wanted.purpose):
        return False
    if found is not None:
        await _run(connection, f"ALTER TABLE users DROP COLUMN {_COLUMN}")
    if wanted is None:
        return True
    kind = await connection.scalar(_TYPE_OF_IDS, {"table": wanted.table})
    if kind is None:
        raise SettingsError(
            f"BETTER_AUTH_TABLE is wrong: there is no table {wanted.table} with an id in this database; "
            "let Better Auth make its tables first"
        )
    # By the database itself, so that the release before, which knows nothing of it, does as well.
    is_theirs = f"issuer = {_quoted(wanted.issuer)}"
    value = f"CASE WHEN {is_theirs} AND removed_at IS NULL THEN CAST(coalesce(subject, id) AS {kind}) END"
    await _run(connection, f"ALTER TABLE users ADD COLUMN {_COLUMN} {kind} GENERATED ALWAYS AS ({value}) STORED")
    await _run(connection, f"COMMENT ON COLUMN users.{_COLUMN} IS {_quoted(wanted.purpose)}")
    await _run(connection, f"CREATE UNIQUE INDEX uq_users_{_COLUMN} ON users ({_COLUMN})")
    await _run(
        connection,
        f"ALTER TABLE users ADD CONSTRAINT {_KEY} FOREIGN KEY ({_COLUMN}) "
        f"REFERENCES {wanted.table} (id) ON DELETE CASCADE NOT VALID",
    )
    return True


async def _validate(connection: AsyncConnection, wanted: _Followed) -> int:
    """Validate the key, unless there are users who are not in the table; return their number."""
    if (await _find(connection)).is_valid:
        return 0
    # The table is one of the settings, which leave nothing in it but names within quotes.
    others = f"SELECT FROM {wanted.table} AS other WHERE other.id = users.{_COLUMN}"
    missing = f"SELECT count(*) FROM users WHERE {_COLUMN} IS NOT NULL AND NOT EXISTS ({others})"  # noqa: S608
    count: int = (await connection.exec_driver_sql(missing)).scalar_one()
    if not count:
        await _run(connection, f"ALTER TABLE users VALIDATE CONSTRAINT {_KEY}")
    return count


async def _run(connection: AsyncConnection, statement: str) -> None:
    await connection.exec_driver_sql(statement)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
