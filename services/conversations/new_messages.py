"""The messages that were completed in a conversation after a cursor."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Executable, Integer, Row, and_, bindparam, or_, select, true
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import BadUserInputError, CursorExpiredError
from core.ids import parse_id
from models import Conversation, Message, MessageStatus, User
from services.accounts.caller import OWNER, Caller, owned
from services.query.cursors import decode_cursor, encode_cursor, is_revision
from services.query.lookup import not_found
from services.query.sql import columns_of, execute, fetch_all, table_of

_MARK: Final = "messages"
MAX_AT_ONCE: Final = 100
# Behind every id: a cursor without one knows the whole revision.
_LAST_ID: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_USERS: Final = table_of(User)
_CONVERSATIONS: Final = table_of(Conversation)
_MESSAGES: Final = table_of(Message)


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """A place among a conversation's messages in the order of their completion; without an id, a whole revision."""

    revision: int
    message_id: str | None = None

    def write(self) -> str:
        """Return the cursor as clients keep it."""
        return encode_cursor([_MARK, self.revision, self.message_id])


def read_message_cursor(text: str, name: str) -> MessageCursor:
    """Read a cursor, or refuse it."""
    match decode_cursor(text):
        case [str() as mark, revision, str() | None as message_id] if mark == _MARK:
            if is_revision(revision) and (message_id is None or parse_id(message_id) == message_id):
                return MessageCursor(revision, message_id)
    raise BadUserInputError(f"{name} is not a cursor of messages; pass one that messageAdded gave.", path=(name,))


async def current_revision(session: AsyncSession, caller: Caller, conversation_id: str) -> int:
    """Return where the caller's counter stands, if the conversation is theirs."""
    statement = (
        select(_USERS.c.revision)
        .join_from(_USERS, _CONVERSATIONS, _CONVERSATIONS.c.user_id == _USERS.c.id)
        .where(caller.owns(_CONVERSATIONS), _CONVERSATIONS.c.id == parse_id(conversation_id))
    )
    revision: int | None = (await execute(session, statement)).scalar()
    if revision is None:
        raise not_found(Conversation, ("conversationId",))
    return revision


def resume(after: MessageCursor | None, revision: int) -> MessageCursor:
    """Return where to read on: from the cursor, or from now on."""
    if after is None:
        return MessageCursor(revision)
    if after.revision > revision:
        raise CursorExpiredError("This cursor is ahead of what the account holds; begin anew, without a cursor.")
    return after


async def completed_since(
    session: AsyncSession, caller: Caller, conversation_id: str, after: MessageCursor, columns: frozenset[str]
) -> Sequence[Row[Any]]:
    """Return the first of the messages completed after the cursor, as long as the conversation is there."""
    place = {"revision": after.revision, "message_id": after.message_id or _LAST_ID}
    owner = {OWNER: caller.user_id, "conversation_id": parse_id(conversation_id)}
    rows = await fetch_all(session, _completed_since(columns), place | owner)
    if not rows:
        raise not_found(Conversation, ("conversationId",))
    # A conversation without any gives one row, of nothing.
    return rows if rows[0].id is not None else ()


@lru_cache(maxsize=128)
def _completed_since(columns: frozenset[str]) -> Executable:
    """Build the statement once: it runs for every event of every subscriber."""
    messages, revision = _MESSAGES.c, bindparam("revision", type_=Integer)
    same_revision = and_(messages.revision == revision, messages.id > bindparam("message_id", type_=messages.id.type))
    found = (
        select(*columns_of(_MESSAGES, columns | {"id", "revision", "created_at"}))
        .where(owned(_MESSAGES), messages.conversation_id == bindparam("conversation_id"))
        .where(messages.status == MessageStatus.COMPLETE, or_(messages.revision > revision, same_revision))
        .order_by(messages.revision, messages.id)
        .limit(MAX_AT_ONCE)
        .subquery("found")
    )
    conversation = _CONVERSATIONS.c.id == bindparam("conversation_id")
    return (
        select(*found.c)
        .select_from(_CONVERSATIONS.outerjoin(found, true()))
        .where(owned(_CONVERSATIONS), conversation)
        .order_by(found.c.revision, found.c.id)
    )
