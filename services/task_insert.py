"""A new task, its first change and their count by one statement of PostgreSQL's, which is a transaction of its own."""

from types import SimpleNamespace
from typing import Any, Final

import orjson
from sqlalchemy import JSON, ColumnElement, Table, Text, bindparam, cast, false, func, insert, select, update
from sqlalchemy import literal_column as written

from core.database import Database
from core.ids import new_id
from core.prepared_statement import PreparedStatement
from models import Task, TaskChange, TaskChangeKind, User
from models.types import UtcDateTime
from services.accounts.caller import OWNER, Caller
from services.query.filters import text_list_param
from services.query.sql import table_of
from services.revision import gone_account
from services.task_history import Values, fields_of, origin_of

_TASKS: Final = table_of(Task)
_CHANGES: Final = table_of(TaskChange)
_USERS: Final = table_of(User)

# Stamps, and what a task that is open and a part of none has not.
_NEVER_GIVEN: Final = frozenset({"user_id", "revision", "created_at", "completed_at", "parent_id"})
_Columns = dict[str, ColumnElement[Any]]


async def insert_task(database: Database, caller: Caller, task: Values) -> Any:
    """Store a new task that is open and a part of none, with its first change; return its row.

    The moment is the database's, from after the caller's row was locked: later changes have later moments.
    """
    after = orjson.dumps(fields_of(task)).decode()
    values = {**task, **origin_of(caller), "change_id": new_id(), "after": after}
    counted = await database.write_alone(_STATEMENT, values, caller.user_id)
    if counted is None:
        raise gone_account()
    revision, moment = counted
    return SimpleNamespace(**task, revision=revision, created_at=moment, updated_at=moment)


def _statement() -> PreparedStatement:
    """Return the statement; what is the same of all new tasks is written in it, for each value takes its time."""
    owner = bindparam(OWNER, type_=_USERS.c.id.type)
    counted = (
        update(_USERS)
        .where(_USERS.c.id == owner, _USERS.c.is_active)
        .values(revision=_USERS.c.revision + written("1"))
        .returning(_USERS.c.revision, func.clock_timestamp(type_=UtcDateTime()).label("moment"))
        .cte("counted")
    )
    stamps: _Columns = {"user_id": owner, "revision": counted.c.revision, "created_at": counted.c.moment}
    task = stamps | _task(counted.c.moment)
    change = stamps | _change(counted.c.moment)
    made = [
        insert(table).from_select(list(columns), select(*columns.values())).cte(f"made_{table.name}")
        for table, columns in ((_TASKS, task), (_CHANGES, change))
    ]
    return PreparedStatement(select(counted.c.revision, counted.c.moment).add_cte(*made))


def _task(moment: ColumnElement[Any]) -> _Columns:
    known = {"tags": text_list_param("tags"), "completed": false(), "updated_at": moment}
    names = [column.name for column in _TASKS.c]
    return _given(_TASKS, *(name for name in names if name not in known and name not in _NEVER_GIVEN)) | known


def _change(moment: ColumnElement[Any]) -> _Columns:
    return _given(_CHANGES, "run_id", "tool_call_id") | {
        "id": bindparam("change_id", type_=_CHANGES.c.id.type),
        "task_id": bindparam("id", type_=_TASKS.c.id.type),
        "kind": written(f"'{TaskChangeKind.CREATED}'"),
        "before": written("'{}'"),
        "after": _with_moment(bindparam("after", type_=Text()), moment),
    }


def _given(table: Table, *names: str) -> _Columns:
    return {name: bindparam(name, type_=table.c[name].type) for name in names}


def _with_moment(after: ColumnElement[Any], moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Put the moment behind the fields, as a snapshot has it."""
    text = func.to_char(func.timezone(written("'UTC'"), moment), written("""'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'"""))
    beginning = func.left(after, written("-1"))
    return cast(func.concat(beginning, written("""', "created_at": "'"""), text, written("""'"}'""")), JSON)


_STATEMENT: Final = _statement()
