"""Lookup of a user's rows by id."""

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    column,
    exists,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlmodel import SQLModel
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batch_loader import BatchLoader, KeyedStatement
from core.errors import NotFoundError
from core.ids import parse_id
from core.prepared_statement import PreparedStatement, cached_statement
from models import ENTITIES, Conversation, Run, ToolCall
from models.base import Entity, noun_of
from models.types import Id
from services.accounts.caller import OWNER, Caller, owned
from services.query.filters import IsAnyOf, id_list, id_list_param, owned_ids
from services.query.sql import Source, is_sqlite, read, table_columns, table_of

Row = TypeVar("Row", bound=Entity)

_CONVERSATIONS: Final = table_of(Conversation)
_RUNS: Final = table_of(Run)
_TOOL_CALLS: Final = table_of(ToolCall)
_OWNERS: Final = "owners"
_IDS: Final = "ids"

# The models to look in, and the columns to read of each.
ColumnsByModel: TypeAlias = tuple[tuple[type[SQLModel], frozenset[str]], ...]


async def rows_by_id(
    source: Source, caller: Caller, model: type[SQLModel], ids: Sequence[str], columns: Iterable[str]
) -> list[Any]:
    """Return the caller's rows in the order of the ids; None where there is none."""
    known = _canonical(ids)
    values = {OWNER: caller.user_id, _IDS: list(known.values())}
    build = _rows_on_sqlite if is_sqlite(source) else _rows_on_postgresql
    found = {row.id: row for row in await read(source, build(model, frozenset(columns)), values)}
    return [found.get(known.get(given, "")) for given in ids]


@cached_statement
def _rows_on_sqlite(model: type[SQLModel], columns: frozenset[str]) -> Select[Any]:
    table = table_of(model)
    is_wanted = owned(table), IsAnyOf(table.c.id, id_list_param(_IDS)), is_not_removed(table)
    return select(*table_columns(table, columns | {"id"})).where(*is_wanted)


@cached_statement
def _rows_on_postgresql(model: type[SQLModel], columns: frozenset[str]) -> Select[Any]:
    """Return the statement that looks each id up by itself.

    For a list of any length PostgreSQL would plan to read all rows of an owner, where most owners have few.
    """
    table = table_of(model)
    wanted = func.unnest(id_list_param(_IDS)).table_valued(column("id", Id), name="wanted").render_derived()
    is_wanted = owned(table), table.c.id == wanted.c.id, is_not_removed(table)
    # The offset keeps it apart.
    found = select(*table_columns(table, columns | {"id"})).where(*is_wanted).offset(0).lateral("found")
    return select(*found.c).select_from(wanted.join(found, true()))


async def kinds_by_id(source: Source, caller: Caller, ids: Sequence[str]) -> dict[str, str]:
    """Return what kind of row each of the caller's ids names, by one statement."""
    known = _canonical(ids)
    values = {OWNER: caller.user_id, _IDS: list(known.values())}
    found = {row.id: row.kind for row in await read(source, _KINDS_BY_ID, values)}
    return {given: found[row_id] for given, row_id in known.items() if row_id in found}


def _kind_by_id(entity: type[Entity]) -> Select[tuple[str, str]]:
    table = table_of(entity)
    columns = table.c.id, literal(entity.entity_kind()).label("kind")
    # What is still being removed has its id too.
    is_own = table.c.user_id == bindparam(OWNER)
    return select(*columns).where(is_own, IsAnyOf(table.c.id, id_list_param(_IDS)))


_KINDS_BY_ID: Final = PreparedStatement(union_all(*map(_kind_by_id, ENTITIES)))


def is_not_removed(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that a row is not gone: with its conversation, whose rows are removed later, or revoked."""
    if "removed_at" in table.c:
        return table.c.removed_at.is_(None)
    if "revoked_at" in table.c:
        return table.c.revoked_at.is_(None)
    if table is _TOOL_CALLS:
        run = _RUNS.alias("its_run")
        return exists().where(run.c.user_id == table.c.user_id, run.c.id == table.c.run_id, is_not_removed(run))
    if "conversation_id" not in table.c:
        return true()
    talk = _CONVERSATIONS.alias("its_conversation")
    is_its = talk.c.user_id == table.c.user_id, talk.c.id == table.c.conversation_id
    return ~exists().where(*is_its, talk.c.removed_at.is_not(None))


def _canonical(ids: Iterable[str]) -> dict[str, str]:
    """Return the canonical form of each id that is one; any other names nothing."""
    return {given: row_id for given in ids if (row_id := parse_id(given)) is not None}


async def find_node(loader: BatchLoader, caller: Caller, columns_by_model: ColumnsByModel, given_id: str) -> Any:
    """Return the caller's row of an id, with the name of its model as `type_name`; None where there is none."""
    row_id = parse_id(given_id)
    if row_id is None:
        return None
    statement = KeyedStatement(_node_statement(columns_by_model), _OWNERS, _IDS)
    row = await loader.load(statement, (caller.user_id, row_id))
    for model, names in columns_by_model if row is not None else ():
        prefix = table_of(model).name
        if getattr(row, f"{prefix}_id") is not None:
            values = {name: getattr(row, f"{prefix}_{name}") for name in names | {"id"}}
            return SimpleNamespace(type_name=model.__name__, **values)
    return None


@cached_statement
def _node_statement(columns_by_model: ColumnsByModel) -> Select[Any]:
    """Return the statement that looks for each key in the tables of all the models."""
    wanted = owned_ids(_OWNERS, _IDS, "wanted")
    source: FromClause = wanted
    columns: list[ColumnElement[Any]] = [wanted.c.user_id, wanted.c.id]
    for model, names in columns_by_model:
        table = table_of(model)
        is_wanted = table.c.user_id == wanted.c.user_id, table.c.id == wanted.c.id
        source = source.outerjoin(table, and_(*is_wanted, is_not_removed(table)))
        columns += [column.label(f"{table.name}_{column.key}") for column in table_columns(table, names | {"id"})]
    return select(*columns).select_from(source)


async def require(session: AsyncSession, caller: Caller, model: type[Row], given_id: str, path: tuple[str, ...]) -> Row:
    """Return the caller's row, to be changed; raise NotFoundError where there is none."""
    row_id, table = parse_id(given_id), table_of(model)
    found = select_model(model).where(caller.owns(table), table.c.id == row_id, is_not_removed(table))
    row = None if row_id is None else (await session.exec(found)).one_or_none()
    if row is None:
        raise not_found(model, path)
    return row


async def require_all(
    session: AsyncSession, caller: Caller, model: type[Row], given_ids: Sequence[str], path: tuple[str, ...]
) -> list[Row]:
    """Return the caller's rows in the order of the ids; raise NotFoundError for the first that is missing."""
    ids = [parse_id(given_id) for given_id in given_ids]
    table, known = table_of(model), id_list([row_id for row_id in ids if row_id])
    statement = select_model(model).where(caller.owns(table), IsAnyOf(table.c.id, known), is_not_removed(table))
    found = {row.id: row for row in await session.exec(statement)}
    for index, row_id in enumerate(ids):
        if row_id is None or row_id not in found:
            raise not_found(model, (*path, str(index)))
    return [found[row_id] for row_id in ids if row_id is not None]


def not_found(model: type[SQLModel], path: tuple[str, ...]) -> NotFoundError:
    """Return the error for a row that does not exist, or is another user's, which is the same to the caller."""
    return NotFoundError(f"There is no such {noun_of(model)}.", path=path)
