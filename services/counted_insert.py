"""New rows and the count of their change by one statement of PostgreSQL's, which is a transaction of its own."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Table, Text, bindparam, func, insert, select, update

from core.database import Database
from core.prepared import Prepared
from models import User
from models.types import UtcDateTime
from services.caller import OWNER, Caller
from services.revision import gone_account
from services.sql import table_of

# What makes the value of a column out of a text that is given for it, and the moment of the change.
Telling: TypeAlias = Callable[[ColumnElement[Any], ColumnElement[Any]], ColumnElement[Any]]


class NewRow(NamedTuple):
    """The values of a new row, all but its owner, its revision and its moments; some with the moment told in them."""

    table: Table
    values: dict[str, Any]
    telling: tuple[tuple[str, Telling], ...] = ()


class Counted(NamedTuple):
    """The number of a change, and its moment."""

    revision: int
    moment: datetime


async def insert_counted(database: Database, caller: Caller, *rows: NewRow) -> Counted:
    """Count a change of the caller's and store new rows, stamped with its number and its moment; return those.

    The moment is the database's, from after the caller's row was locked: later changes have later moments.
    """
    statement = _counted_insert(*[(row.table, row.telling) for row in rows])
    values = {OWNER: caller.user_id}
    for row in rows:
        values.update(zip(map(_names(row.table).__getitem__, row.values), row.values.values(), strict=True))
    found = await database.write_alone(statement, values, caller.user_id)
    if found is None:
        raise gone_account()
    return Counted(*found)


@lru_cache
def _counted_insert(*rows: tuple[Table, tuple[tuple[str, Telling], ...]]) -> Prepared:
    users = table_of(User)
    counted = (
        update(users)
        .where(users.c.id == bindparam(OWNER, type_=users.c.id.type), users.c.is_active)
        .values(revision=users.c.revision + 1)
        .returning(users.c.revision, func.clock_timestamp(type_=UtcDateTime()).label("moment"))
        .cte("counted")
    )
    made = [
        insert(table)
        .from_select([column.name for column in table.c], select(*_columns(table, dict(telling), counted)))
        .cte(f"made_{table.name}")
        for table, telling in rows
    ]
    return Prepared(select(counted.c.revision, counted.c.moment).add_cte(*made))


def _columns(table: Table, telling: dict[str, Telling], counted: Any) -> list[ColumnElement[Any]]:
    moment, names = counted.c.moment, _names(table)
    known: dict[str, ColumnElement[Any]] = {
        "revision": counted.c.revision,
        "user_id": bindparam(OWNER, type_=table.c.user_id.type),
        "created_at": moment,
        "updated_at": moment,
        **{name: tell(bindparam(names[name], type_=Text()), moment) for name, tell in telling.items()},
    }
    return [known.get(each.name, bindparam(names[each.name], type_=each.type)) for each in table.c]


@lru_cache
def _names(table: Table) -> dict[str, str]:
    """Return what the statement calls the value of each column."""
    return {column.name: f"{table.name}_{column.name}" for column in table.c}
