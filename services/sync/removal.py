"""Removal of deleted accounts and conversations with very many rows, one batch at a time; it goes on after a crash."""

import time
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, Table, cast, delete, literal, null, or_, select, tuple_, union_all, update
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import REVISIONS, Database
from core.prepared_statement import PreparedStatement
from models import Conversation, Message, User
from services.accounts.caller import Caller
from services.entities.tombstones import insert_tombstones
from services.query.filters import IsAnyOf, id_list
from services.query.sql import execute, fetch_all, read, table_of

# What has more rows is not removed within a request. A batch takes less than a tenth of a second.
MAX_AT_ONCE: Final = 1_000
# Of the first batch of a table; the next one has twice as many rows, or half as many after one that took longer.
_FIRST: Final = 100
SLOW_S: Final = 0.25
_USERS: Final = table_of(User)
_CONVERSATIONS: Final = table_of(Conversation)
_MESSAGES: Final = table_of(Message)
# What refers to others comes before them.
_OWNED: Final = [table for table in reversed(SQLModel.metadata.sorted_tables) if "user_id" in table.c]


def _deleted() -> PreparedStatement:
    users, talks = _USERS.c, _CONVERSATIONS.c
    accounts = select(users.id.label("user_id"), cast(null(), talks.id.type).label("id")).where(
        users.removed_at.is_not(None)
    )
    conversations = select(talks.user_id, talks.id).where(talks.removed_at.is_not(None))
    found = (select(*each.limit(1).subquery().c) for each in (accounts, conversations))
    return PreparedStatement(union_all(*found).limit(1))


_DELETED: Final = _deleted()


async def has_many_rows(session: AsyncSession, user_id: str) -> bool:
    """Tell whether an account is too large to be removed at once."""
    beyond = (
        select(literal(1)).select_from(table).where(table.c.user_id == user_id).offset(MAX_AT_ONCE).limit(1)
        for table in _OWNED
    )
    return bool((await execute(session, select(or_(*(rows.exists() for rows in beyond))))).scalar())


async def remove_deleted(database: Database) -> None:
    """Remove the rows of all accounts and conversations that are marked as deleted."""
    while found := await read(database.reader, _DELETED, {}):
        await _remove(database, found[0])


class _Position(NamedTuple):
    """How far a removal has come: the table, and the key of the last row that is gone from it, or None."""

    table: int = 0
    key: Any = None


async def _remove(database: Database, gone: Row[Any]) -> None:
    """Remove an account or a conversation; each batch goes on where the one before has ended.

    From the start it would pass all that is dead, for as long as a snapshot of anybody's keeps it.
    """
    remove = _remove_account if gone.id is None else _remove_conversation
    position: _Position | None = _Position()
    size = _FIRST
    while position is not None:
        table, begun_s = position.table, time.monotonic()
        position = await database.write(partial(remove, gone=gone, after=position, size=size))
        if position is not None and position.table != table:
            size = _FIRST
        elif time.monotonic() - begun_s > SLOW_S:
            size = max(size // 2, 1)
        else:
            size = min(size * 2, MAX_AT_ONCE)


async def _remove_account(session: AsyncSession, gone: Row[Any], after: _Position, size: int) -> _Position | None:
    """Remove some rows of an account, at last its own; return the position behind them."""
    key = after.key
    for index, table in enumerate(_OWNED[after.table :], after.table):
        last = await _delete_some(session, table, gone.user_id, key, size)
        if last is None and key is not None:
            # What others referred to.
            last = await _delete_some(session, table, gone.user_id, None, size)
        if last is not None:
            return _Position(index, last)
        # Rows of the next table may take longer: foreign keys look for what was below them.
        key, size = None, min(size, _FIRST)
    await execute(session, delete(_USERS).where(_USERS.c.id == gone.user_id))
    return None


async def _delete_some(session: AsyncSession, table: Table, user_id: str, before: Any, size: int) -> Any:
    """Delete some of a user's rows of a table, none of which other rows of it refer to; return the last one's key.

    Rows that refer to others have been made later, so they have greater keys.
    """
    (key,) = (column for column in table.primary_key if column.name != "user_id")
    is_own = table.c.user_id == user_id
    some = select(key).where(is_own).order_by(key.desc()).limit(size)
    if before is not None:
        some = some.where(key < before)
    for reference in table.foreign_key_constraints:
        if reference.referred_table is table:
            other = table.alias("other")
            refers = (other.c[element.parent.name] == element.column for element in reference.elements)
            # One look into an index for each row, however old the statistics are.
            some = some.where(select(other.c.user_id).where(*refers).limit(1).scalar_subquery().is_(None))
    keys = [row[0] for row in await fetch_all(session, some)]
    if not keys:
        return None
    await execute(session, delete(table).where(is_own, key.in_(keys)))
    return keys[-1]


async def _remove_conversation(session: AsyncSession, gone: Row[Any], after: _Position, size: int) -> _Position | None:
    """Remove some messages of a conversation, at last its own row; clients learn of them as of other deletions."""
    counted = update(_USERS).where(_USERS.c.id == gone.user_id).values(revision=_USERS.c.revision + 1)
    revision = (await execute(session, counted.returning(_USERS.c.revision))).scalar_one_or_none()
    if revision is None:
        return None
    session.info.setdefault(REVISIONS, {})[gone.user_id] = revision
    caller = Caller(gone.user_id, session_id=None, is_admin=False, expires_at=utc_now())
    key = _MESSAGES.c.created_at, _MESSAGES.c.id
    some = select(*key).where(caller.owns(_MESSAGES), _MESSAGES.c.conversation_id == gone.id).order_by(*key).limit(size)
    if after.key is not None:
        some = some.where(
            tuple_(*key) > tuple_(*(literal(value, column.type) for column, value in zip(key, after.key, strict=True)))
        )
    if rows := await fetch_all(session, some):
        ids = [row.id for row in rows]
        await insert_tombstones(session, caller, Message, ids, revision)
        await execute(session, delete(_MESSAGES).where(caller.owns(_MESSAGES), IsAnyOf(_MESSAGES.c.id, id_list(ids))))
        return _Position(0, rows[-1])
    own = _CONVERSATIONS.c.user_id == gone.user_id, _CONVERSATIONS.c.id == gone.id
    await execute(session, delete(_CONVERSATIONS).where(*own))
    return None
