"""The history of rows: what each change has changed, and who made it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from core.ids import new_ids
from models import HistoryAction, HistoryEntry
from models.base import Entity
from models.columns import Column, Kind, columns_of, recorded_columns
from services.accounts.caller import Caller
from services.entities.values import Values
from services.query.ordering import OrderDirection, order_by, sort_key
from services.query.pagination import Listing
from services.query.sql import Writer, insert_rows, table_of

_HISTORY: Final = table_of(HistoryEntry)
_ORDER: Final = order_by(_HISTORY, ((sort_key(HistoryEntry, "created_at"), OrderDirection.ASC),))


class RecordedChange(NamedTuple):
    """One change of a row: the columns that it changed, before and after, as JSON."""

    entity: str
    row_id: str
    kind: HistoryAction
    before: Values
    after: Values


def creation_of(model: type[Entity], row: Any) -> RecordedChange:
    """Return the change that creates a row."""
    return RecordedChange(model.entity_kind(), row.id, HistoryAction.CREATED, {}, snapshot(model, row))


def update_of(row: Entity, values: Mapping[str, Any]) -> RecordedChange:
    """Return the change that gives a row these values, which it does not have yet."""
    changed = [
        column
        for column in recorded_columns(type(row))
        if column.name in values and getattr(row, column.name) != values[column.name]
    ]
    before = {column.name: to_json(column, getattr(row, column.name)) for column in changed}
    after = {column.name: to_json(column, values[column.name]) for column in changed}
    return RecordedChange(row.entity_kind(), row.id, HistoryAction.UPDATED, before, after)


def deletion_of(model: type[Entity], row: Any) -> RecordedChange:
    """Return the change that deletes a row."""
    return RecordedChange(model.entity_kind(), row.id, HistoryAction.DELETED, snapshot(model, row), {})


def snapshot(model: type[Entity], row: Any) -> Values:
    """Return a row as the history keeps it, all that it can be created again from."""
    columns = [*recorded_columns(model), columns_of(model)["created_at"]]
    return {column.name: to_json(column, getattr(row, column.name)) for column in columns}


def read_values(model: type[Entity], values: Mapping[str, Any]) -> Values:
    """Return values of the history as rows have them; those of columns that are gone by now are left out."""
    columns = columns_of(model)
    return {name: _from_json(columns[name], value) for name, value in values.items() if name in columns}


async def record(
    writer: Writer, caller: Caller, changes: Sequence[RecordedChange], revision: int, moment: datetime
) -> None:
    """Insert history entries by one statement."""
    same = {"user_id": caller.user_id, "revision": revision, "created_at": moment, **actor_of(caller)}
    ids = new_ids(len(changes))
    rows = [same | {"id": row_id} | change._asdict() for change, row_id in zip(changes, ids, strict=True)]
    await insert_rows(writer, HistoryEntry, rows)


def actor_of(caller: Caller) -> Values:
    """Return the columns that say who acts for the user."""
    actor = caller.actor
    run_id, tool_call_id = (None, None) if actor is None else (actor.run_id, actor.tool_call_id)
    return {"run_id": run_id, "tool_call_id": tool_call_id}


def history_listing(caller: Caller, columns: frozenset[str] = frozenset()) -> Listing:
    """Return the list of what has changed of the caller's rows, as it happened."""
    return Listing(table=_HISTORY, order=_ORDER, caller=caller, columns=columns)


def to_json(column: Column, value: Any) -> Any:
    """Return a column's value as JSON."""
    if value is None:
        return None
    if column.kind is Kind.MOMENT:
        return value.astimezone(UTC).isoformat()
    if column.kind is Kind.ENUM:
        return value.value
    return list(value) if column.kind is Kind.TEXTS else value


def _from_json(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind is Kind.MOMENT:
        return datetime.fromisoformat(value)
    return column.type(value) if column.kind is Kind.ENUM else value
