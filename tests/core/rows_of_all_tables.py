"""A row of each table, made from its columns: with all that a row may have, or with nothing that may be missing."""

from datetime import UTC, date, datetime
from typing import Any, Final

from sqlmodel import SQLModel

import models
from core.ids import new_id
from models.columns import Column, Kind, columns_of
from services.query.sql import table_of

TABLES: Final = SQLModel.metadata.sorted_tables
FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
WILD: Final = "\u0001 \U0001f600 e\u0301 \u202e \ufffd \"'\\ %s :id $1 ? {} \uffff"
JSON: Final = {"": None, WILD: [1.5, -(2**53), [], {"deep": {"er": True}}, WILD]}

_MODELS: Final[dict[str, type[SQLModel]]] = {
    table_of(model).name: model
    for model in vars(models).values()
    if isinstance(model, type) and issubclass(model, SQLModel) and hasattr(model, "__table__")
}


def rows_of_all_tables(user_id: str, *, is_full: bool) -> list[SQLModel]:
    """Return the rows of one user, each after those that it refers to."""
    made: dict[str, str] = {}
    rows: list[SQLModel] = []

    def make(model: type[SQLModel], **values: Any) -> None:
        for column in columns_of(model).values():
            values.setdefault(column.name, _value(column, user_id, made, is_full=is_full))
        rows.append(model(**values))
        made[table_of(model).name] = values.get("id", "")

    special: dict[type[SQLModel], dict[str, Any]] = {
        models.User: {"id": user_id},
        # The first is there.
        models.DatabaseEpoch: {"id": 3 if is_full else 2},
        models.TokenUsage: {"day": date.max, "input_tokens": 2**63 - 1} if is_full else {"day": date.min},
    }
    for table in TABLES:
        make(_MODELS[table.name], **special.get(_MODELS[table.name], {}))
    # Now with a parent; and with each kind of result.
    make(models.Task)
    results: list[Any] = ["text", 0, False, []]
    for result in results if is_full else ():
        make(models.ToolCall, result=result)
    return rows


def _value(column: Column, user_id: str, made: dict[str, str], *, is_full: bool) -> Any:
    if column.name == "user_id":
        return user_id
    if column.is_nullable and not is_full:
        return None
    if column.references is not None:
        return made.get(column.references.table)
    if column.name == "id" or column.name.endswith("_id"):
        return new_id()
    ends: dict[Kind, tuple[Any, Any]] = {
        Kind.TEXT: ("x", WILD[: column.maximum]),
        Kind.INTEGER: (column.minimum or 0, column.maximum or 2**31 - 1),
        Kind.BOOLEAN: (False, True),
        Kind.MOMENT: (FIRST, LAST),
        Kind.TEXTS: ([], [WILD, "", "NULL"]),
        Kind.JSON: ({}, JSON),
    }
    if column.kind is Kind.ENUM:
        members: Any = column.type
        return list(members)[-1 if is_full else 0]
    return ends[column.kind][is_full]
