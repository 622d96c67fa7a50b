"""Finding a user's rows by id."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import Select, Table, literal, select, union_all
from sqlmodel import SQLModel
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import NotFoundError
from core.ids import parse_id
from core.prepared import Prepared
from models import Conversation, EntityKind, Message, Run, Task, ToolCall
from models.base import Owned
from services.accounts.caller import OWNER, Caller, owned
from services.expressions import IsAnyOf, id_list, ids_named
from services.sql import Source, columns_of, read, table_of

Entity = TypeVar("Entity", bound=Owned)

_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")

MODELS: Final[dict[EntityKind, type[Owned]]] = {
    EntityKind.TASK: Task,
    EntityKind.CONVERSATION: Conversation,
    EntityKind.MESSAGE: Message,
    EntityKind.RUN: Run,
    EntityKind.TOOL_CALL: ToolCall,
}


async def rows_by_id(
    source: Source, caller: Caller, model: type[SQLModel], ids: Sequence[str], columns: Iterable[str]
) -> list[Any]:
    """Return the caller's rows in the order of the ids; None where there is none."""
    known = _canonical(ids)
    values = {OWNER: caller.user_id, "ids": list(known.values())}
    found = {row.id: row for row in await read(source, _rows_by_id(model, frozenset(columns)), values)}
    return [found.get(known.get(given, "")) for given in ids]


@lru_cache(maxsize=256)
def _rows_by_id(model: type[SQLModel], columns: frozenset[str]) -> Prepared:
    table = table_of(model)
    selected = columns_of(table, columns | {"id"})
    return Prepared(select(*selected).where(owned(table), IsAnyOf(table.c.id, ids_named("ids"))))


async def kinds_by_id(source: Source, caller: Caller, ids: Sequence[str]) -> dict[str, EntityKind]:
    """Return what kind of row each of the caller's ids names, by one statement."""
    known = _canonical(ids)
    values = {OWNER: caller.user_id, "ids": list(known.values())}
    found = {row.id: EntityKind(row.kind) for row in await read(source, _KINDS_BY_ID, values)}
    return {given: found[row_id] for given, row_id in known.items() if row_id in found}


def _kind_by_id(kind: EntityKind, table: Table) -> Select[tuple[str, str]]:
    columns = table.c.id, literal(kind.value).label("kind")
    return select(*columns).where(owned(table), IsAnyOf(table.c.id, ids_named("ids")))


_KINDS_BY_ID: Final = Prepared(union_all(*(_kind_by_id(kind, table_of(model)) for kind, model in MODELS.items())))


def _canonical(ids: Iterable[str]) -> dict[str, str]:
    """Return the canonical form of each id that is one; any other names nothing."""
    return {given: row_id for given in ids if (row_id := parse_id(given)) is not None}


async def find(session: AsyncSession, caller: Caller, model: type[Entity], given_id: str) -> Entity | None:
    """Return the caller's row, to be changed."""
    row_id = parse_id(given_id)
    return None if row_id is None else await session.get(model, (caller.user_id, row_id))


async def require(
    session: AsyncSession, caller: Caller, model: type[Entity], given_id: str, path: tuple[str, ...]
) -> Entity:
    """Return the caller's row, to be changed, or say that there is none."""
    if (row := await find(session, caller, model, given_id)) is None:
        raise not_found(model, path)
    return row


async def require_all(
    session: AsyncSession, caller: Caller, model: type[Entity], given_ids: Sequence[str], path: tuple[str, ...]
) -> list[Entity]:
    """Return the caller's rows in the order of the ids, or say which is missing."""
    ids = [parse_id(given_id) for given_id in given_ids]
    table, known = table_of(model), id_list([row_id for row_id in ids if row_id])
    statement = select_model(model).where(caller.owns(table), IsAnyOf(table.c.id, known))
    found = {row.id: row for row in await session.exec(statement)}
    for index, row_id in enumerate(ids):
        if row_id is None or row_id not in found:
            raise not_found(model, (*path, str(index)))
    return [found[row_id] for row_id in ids if row_id is not None]


def not_found(model: type[SQLModel], path: tuple[str, ...]) -> NotFoundError:
    """Say that there is no such row, in the same words whether it is another's or never was."""
    return NotFoundError(f"There is no such {_WORD.sub(' ', model.__name__).lower()}.", path=path)
