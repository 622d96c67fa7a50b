"""Ids of new rows, and tombstones of deleted ones."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import CTE, CompoundSelect, Select, delete, insert, literal, select, true, union, union_all
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import BadUserInputError, ConflictError, ErrorReason
from core.ids import new_ids, parse_id
from core.prepared_statement import PreparedStatement
from models import ENTITIES, Deletion
from models.base import Entity
from models.columns import Column, columns_of
from models.types import UtcDateTime
from services.accounts.caller import OWNER, Caller, owned
from services.entities.values import Path
from services.query.filters import IsAnyOf, id_list, id_list_param
from services.query.lookup import kinds_by_id
from services.query.sql import Writer, fetch_all, is_sqlite, read, table_of

_DELETIONS: Final = table_of(Deletion)
_DELETE: Final = PreparedStatement(
    delete(_DELETIONS)
    .where(owned(_DELETIONS), IsAnyOf(_DELETIONS.c.id, id_list_param("ids")))
    .returning(_DELETIONS.c.revision)
)


def check_new_id(text: str | None, path: Path) -> str | None:
    """Return the id that a client made for a new row; raise BadUserInputError where it is none."""
    if text is None or (row_id := parse_id(text)) is not None:
        return text and row_id
    raise BadUserInputError("id must be a UUID, such as 0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e.", path=path)


async def allocate_ids(writer: Writer, caller: Caller, given: Sequence[tuple[str | None, Path]]) -> list[str]:
    """Return ids for new rows: those that the client made, where they are free, else ours in ascending order."""
    claimed: dict[str, Path] = {}
    for row_id, path in given:
        if row_id is None:
            continue
        if row_id in claimed:
            raise ConflictError(ErrorReason.ID_TAKEN, "This id is given twice.", path=path)
        claimed[row_id] = path
    if claimed:
        # The user's own id is taken too.
        own = [caller.user_id] if caller.user_id in claimed else []
        for taken in (*own, *await kinds_by_id(writer, caller, list(claimed))):
            message = "This id is already in use; make a new one."
            raise ConflictError(ErrorReason.ID_TAKEN, message, path=claimed[taken])
        await delete_tombstones(writer, caller, list(claimed))
    ours = iter(new_ids(len(given)))
    return [next(ours) if row_id is None else row_id for row_id, _ in given]


async def delete_tombstones(writer: Writer, caller: Caller, ids: Sequence[str]) -> None:
    """Delete the tombstones of rows that are created again."""
    await read(writer, _DELETE, {OWNER: caller.user_id, "ids": ids})


async def insert_tombstones(
    session: AsyncSession, caller: Caller, model: type[Entity], ids: Sequence[str], revision: int
) -> dict[str, list[str]]:
    """Insert tombstones for rows and all that is deleted with them; return the ids by kind."""
    rows = _with_descendants(caller, model, ids, on_sqlite=is_sqlite(session)).subquery("deleted")
    columns = [literal(caller.user_id), rows.c.id, rows.c.kind, literal(revision), literal(utc_now(), UtcDateTime())]
    statement = insert(_DELETIONS).from_select(["user_id", "id", "kind", "revision", "deleted_at"], select(*columns))
    by_kind: dict[str, list[str]] = {}
    for row in await fetch_all(session, statement.returning(_DELETIONS.c.id, _DELETIONS.c.kind)):
        by_kind.setdefault(row.kind, []).append(row.id)
    return by_kind


def references_to(model: type[Entity], *, cascades: bool) -> Mapping[type[Entity], list[Column]]:
    """Return the columns that refer to a model's rows, by the models that have them."""
    table = table_of(model).name
    found = {
        entity: [
            column
            for column in columns_of(entity).values()
            if column.references and column.references.table == table and column.references.cascades == cascades
        ]
        for entity in ENTITIES
    }
    return {entity: columns for entity, columns in found.items() if columns}


def _with_descendants(
    caller: Caller, model: type[Entity], ids: Sequence[str], *, on_sqlite: bool
) -> CompoundSelect[Any]:
    """Return the statement that names rows, and all that refer to them and are deleted with them, by id and kind."""
    table = table_of(model)
    named = select(table.c.id).where(caller.owns(table), IsAnyOf(table.c.id, id_list(ids)))
    below = partial(_below, caller, on_sqlite=on_sqlite)
    collected: dict[type[Entity], CTE] = {model: _collect(model, [named], below)}
    waiting = [model]
    while waiting:
        for entity in references_to(waiting.pop(0), cascades=True):
            if entity not in collected:
                parts = [
                    below(entity, column, rows)
                    for parent, rows in collected.items()
                    for column in references_to(parent, cascades=True).get(entity, ())
                ]
                collected[entity] = _collect(entity, parts, below)
                waiting.append(entity)
    return union_all(
        *(select(rows.c.id, literal(entity.entity_kind()).label("kind")) for entity, rows in collected.items())
    )


def _collect(model: type[Entity], parts: Sequence[Select[Any]], below: Callable[..., Select[Any]]) -> CTE:
    """Return the ids of a model's rows that the parts name, and of rows below those."""
    named = parts[0] if len(parts) == 1 else select(union(*parts).subquery().c.id)
    rows = named.cte(f"gone_{table_of(model).name}", recursive=True)
    for column in references_to(model, cascades=True).get(model, ()):
        rows = rows.union(below(model, column, rows))
    return rows


def _below(caller: Caller, model: type[Entity], column: Column, rows: CTE, *, on_sqlite: bool) -> Select[Any]:
    """Return the statement of the ids of a model's rows that refer to others by a column."""
    table = table_of(model)
    found = select(table.c.id).where(caller.owns(table), table.c[column.name] == rows.c.id)
    if on_sqlite:
        return found
    # Each looked up by itself: PostgreSQL would plan to read all rows of an owner, where most owners have few.
    below = found.offset(0).lateral()
    return select(below.c.id).select_from(rows.join(below, true()))
