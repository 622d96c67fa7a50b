"""New rows and the count of their change by one statement, which is a transaction of its own."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, insert, select, update

from core.database import Database
from core.prepared import Prepared
from models import User
from services.caller import OWNER, Caller
from services.revision import gone_account
from services.sql import table_of


async def insert_counted(database: Database, caller: Caller, rows: dict[Table, dict[str, Any]]) -> int:
    """Count a change of the caller's and store one new row in each table, stamped with its number; return that."""
    values = {_name(table, column): value for table, row in rows.items() for column, value in row.items()}
    statement = _counted_insert(*rows)
    counted = await database.write_alone(statement, values | {OWNER: caller.user_id}, caller.user_id)
    if counted is None:
        raise gone_account()
    return counted


@lru_cache
def _counted_insert(*tables: Table) -> Prepared:
    users = table_of(User)
    counted = (
        update(users)
        .where(users.c.id == bindparam(OWNER, type_=users.c.id.type), users.c.is_active)
        .values(revision=users.c.revision + 1)
        .returning(users.c.revision)
        .cte("counted")
    )
    made = [
        insert(table)
        .from_select([column.name for column in table.c], select(*_row(table, counted.c.revision)))
        .cte(f"made_{table.name}")
        for table in tables
    ]
    return Prepared(select(counted.c.revision).add_cte(*made))


def _row(table: Table, revision: ColumnElement[int]) -> list[ColumnElement[Any]]:
    given = {"revision": revision, "user_id": bindparam(OWNER, type_=table.c.user_id.type)}
    return [given.get(column.name, bindparam(_name(table, column.name), type_=column.type)) for column in table.c]


def _name(table: Table, column: str) -> str:
    return f"{table.name}_{column}"
