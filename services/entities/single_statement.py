"""Insert of a new row, its history and the count of the change by one statement, a transaction of its own.

PostgreSQL alone has it, and not behind a pooler. It takes half of the processor time, server and database, of the same
in a transaction of five round trips; `IS_ENABLED` turns it off.
"""

from typing import Any, Final

import orjson
from sqlalchemy import JSON, ColumnElement, Executable, Text, bindparam, cast, func, insert, select, update
from sqlalchemy import literal_column as sql

from core.database import Database
from core.ids import new_id
from core.prepared_statement import cached_statement
from models import HistoryAction, HistoryEntry, User
from models.base import Editable
from models.columns import recorded_columns
from models.types import UtcDateTime
from services.accounts.caller import OWNER, Caller
from services.entities.history import actor_of, to_json
from services.entities.values import Values
from services.query.sql import table_of

IS_ENABLED: Final = True
_USERS: Final = table_of(User)
_HISTORY: Final = table_of(HistoryEntry)
_STAMPS: Final = frozenset({"user_id", "revision", "created_at", "updated_at"})


def can_insert_alone(database: Database) -> bool:
    """Tell whether a statement is a transaction by itself."""
    return IS_ENABLED and database.has_autocommit


async def insert_alone(database: Database, caller: Caller, model: type[Editable], values: Values) -> Values | None:
    """Store a new row that refers to no other, and return its values.

    None where the account is gone, or where the row may be beyond the quota, which is to be found out. Its moment is
    the database's, after the caller's row was locked: later changes have later moments.
    """
    max_revision = database.quotas.max_revision(caller.user_id, table_of(model).name)
    parameters = {**values, OWNER: caller.user_id, "max_revision": max_revision}
    if model.has_history:
        after = {column.name: to_json(column, values[column.name]) for column in recorded_columns(model)}
        parameters |= {"history_id": new_id(), "after": orjson.dumps(after).decode(), **actor_of(caller)}
    counted = await database.run_alone(_insert(model), parameters, caller.user_id)
    if counted is None:
        return None
    revision, moment = counted
    stamps = {"user_id": caller.user_id, "revision": revision, "created_at": moment, "updated_at": moment}
    return values | stamps


@cached_statement
def _insert(model: type[Editable]) -> Executable:
    owner = bindparam(OWNER, type_=_USERS.c.id.type)
    counted = (
        update(_USERS)
        .where(_USERS.c.id == owner, _USERS.c.is_active, _USERS.c.revision <= bindparam("max_revision"))
        .values(revision=_USERS.c.revision + sql("1"))
        .returning(_USERS.c.revision, func.clock_timestamp(type_=UtcDateTime()).label("moment"))
        .cte("counted")
    )
    moment = counted.c.moment
    stamps: dict[str, ColumnElement[Any]] = {"user_id": owner, "revision": counted.c.revision, "created_at": moment}
    table = table_of(model)
    given = {column.name: bindparam(column.name, type_=column.type) for column in table.c if column.name not in _STAMPS}
    rows = [(table, stamps | {"updated_at": moment} | given)]
    if model.has_history:
        rows.append((_HISTORY, stamps | _history_values(model, moment)))
    inserted = [
        insert(target).from_select(list(values), select(*values.values())).cte(f"inserted_{target.name}")
        for target, values in rows
    ]
    return select(counted.c.revision, moment).add_cte(*inserted)


def _history_values(model: type[Editable], moment: ColumnElement[Any]) -> dict[str, ColumnElement[Any]]:
    """Return the history entry; what it keeps of the row ends with the moment, as a snapshot does."""
    text = func.to_char(func.timezone(sql("'UTC'"), moment), sql("""'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'"""))
    without_brace = func.left(bindparam("after", type_=Text()), sql("-1"))
    after = func.concat(without_brace, sql("""', "created_at": "'"""), text, sql("""'"}'"""))
    return {
        "id": bindparam("history_id", type_=_HISTORY.c.id.type),
        "entity": sql(f"'{model.entity_kind()}'"),
        "row_id": bindparam("id", type_=_HISTORY.c.row_id.type),
        "kind": sql(f"'{HistoryAction.CREATED}'"),
        "before": sql("'{}'"),
        "after": cast(after, JSON),
        "run_id": bindparam("run_id", type_=_HISTORY.c.run_id.type),
        "tool_call_id": bindparam("tool_call_id", type_=_HISTORY.c.tool_call_id.type),
    }
