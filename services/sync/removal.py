"""Removal of deleted accounts and conversations with very many rows, one batch at a time; it goes on after a crash."""

from functools import partial
from typing import Any, Final

from sqlalchemy import Row, Table, cast, delete, literal, null, or_, select, union_all, update
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
        remove = _remove_account if found[0].id is None else _remove_conversation
        await database.write(partial(remove, gone=found[0]))


async def _remove_account(session: AsyncSession, gone: Row[Any]) -> None:
    """Remove some rows of an account, at last its own."""
    for table in _OWNED:
        if await _delete_some(session, table, gone.user_id):
            return
    await execute(session, delete(_USERS).where(_USERS.c.id == gone.user_id))


async def _delete_some(session: AsyncSession, table: Table, user_id: str) -> bool:
    """Delete some of a user's rows of a table, none of which other rows of it refer to; tell whether there were any."""
    (key,) = (column for column in table.primary_key if column.name != "user_id")
    is_own = table.c.user_id == user_id
    some = select(key).where(is_own).limit(MAX_AT_ONCE)
    for reference in table.foreign_key_constraints:
        if reference.referred_table is table:
            other = table.alias("other")
            refers = (other.c[element.parent.name] == element.column for element in reference.elements)
            # One look into an index for each row, however old the statistics are.
            some = some.where(select(other.c.user_id).where(*refers).limit(1).scalar_subquery().is_(None))
    keys = [row[0] for row in await fetch_all(session, some)]
    if keys:
        await execute(session, delete(table).where(is_own, key.in_(keys)))
    return bool(keys)


async def _remove_conversation(session: AsyncSession, gone: Row[Any]) -> None:
    """Remove some messages of a conversation, at last its own row; clients learn of them as of other deletions."""
    counted = update(_USERS).where(_USERS.c.id == gone.user_id).values(revision=_USERS.c.revision + 1)
    revision = (await execute(session, counted.returning(_USERS.c.revision))).scalar_one_or_none()
    if revision is None:
        return
    session.info.setdefault(REVISIONS, {})[gone.user_id] = revision
    caller = Caller(gone.user_id, session_id=None, is_admin=False, expires_at=utc_now())
    of_conversation = caller.owns(_MESSAGES), _MESSAGES.c.conversation_id == gone.id
    some = select(_MESSAGES.c.id).where(*of_conversation).limit(MAX_AT_ONCE)
    if ids := [row.id for row in await fetch_all(session, some)]:
        await insert_tombstones(session, caller, Message, ids, revision)
        await execute(session, delete(_MESSAGES).where(caller.owns(_MESSAGES), IsAnyOf(_MESSAGES.c.id, id_list(ids))))
    else:
        own = _CONVERSATIONS.c.user_id == gone.user_id, _CONVERSATIONS.c.id == gone.id
        await execute(session, delete(_CONVERSATIONS).where(*own))
