"""Messages: their rules and lists, those completed after a cursor, and the text of a reply while it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Integer, Row, Select, and_, bindparam, func, select, true, tuple_
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import BadUserInputError
from core.ids import parse_id
from core.prepared_statement import PreparedStatement, cached_statement
from core.text import require_length
from models import Conversation, Message, MessageRole, MessageStatus, Run, RunStatus, User
from models.columns import columns_of
from services.accounts.caller import OWNER, Caller, owned
from services.entities.idempotency import IdempotentRequest, run_idempotent
from services.entities.lists import EntityOrder, entity_listing
from services.entities.quotas import require_quota
from services.entities.revision import next_revision
from services.query.cursors import decode_cursor, encode_cursor, is_revision
from services.query.lookup import is_not_removed, not_found, require
from services.query.pagination import Listing
from services.query.sql import Source, read, table_columns, table_of
from services.sync.epoch import CURRENT_EPOCH, check_cursor, epoch_of

MAX_COMPLETED: Final = 100
_CURSOR_KIND: Final = "messages"
# Sorts behind every id: a cursor without one is behind its whole revision.
_LAST_ID: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_MAX_LENGTH: Final = columns_of(Message)["content"].maximum or 0
_USERS: Final = table_of(User)
_CONVERSATIONS: Final = table_of(Conversation)
_MESSAGES: Final = table_of(Message)
_RUNS: Final = table_of(Run)


class MessageOrder(EntityOrder, model=Message):
    """One thing to order messages by."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What a message is made from."""

    conversation_id: str
    content: str
    role: MessageRole = MessageRole.USER


_DEFAULT: Final = MessageOrder.by("created_at")


def message_listing(
    caller: Caller, columns: frozenset[str] = frozenset(), order: Sequence[MessageOrder] | None = None
) -> Listing:
    """Return the list of the caller's messages, by default in the order of their creation."""
    return entity_listing(caller, order, _DEFAULT, columns)


async def add_message(session: AsyncSession, caller: Caller, new: NewMessage, key: str | None = None) -> Any:
    """Store a message; its conversation becomes the latest active."""
    revision = await next_revision(session, caller.user_id)

    async def insert() -> Sequence[Message]:
        conversation = await require(session, caller, Conversation, new.conversation_id, ("input", "conversationId"))
        message = make_message(conversation, new.role, check_content(new.content), revision)
        conversation.updated_at, conversation.revision = message.created_at, revision
        await require_quota(session, caller, Message, revision)
        session.add(message)
        await session.flush()
        return [message]

    content = {"conversation": new.conversation_id, "content": new.content, "role": new.role}
    return (await run_idempotent(session, caller, IdempotentRequest(key, "addMessage", content), Message, insert))[0]


def make_message(conversation: Conversation, role: MessageRole, content: str, revision: int) -> Message:
    """Return a new message, not stored yet."""
    return Message(
        user_id=conversation.user_id, conversation_id=conversation.id, role=role, content=content, revision=revision
    )


def check_content(text: str) -> str:
    """Return the content of a message; raise BadUserInputError where it is empty or too long."""
    path = ("input", "content")
    if not text.strip():
        raise BadUserInputError("content is empty; write something.", path=path)
    return require_length(text, path, min_length=1, max_length=_MAX_LENGTH)


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """A position among a conversation's messages in the order of their completion; without an id, a whole revision."""

    revision: int
    message_id: str | None = None
    epoch: str = ""

    def write(self) -> str:
        """Return the cursor as clients keep it."""
        return encode_cursor([_CURSOR_KIND, self.revision, self.message_id, *filter(None, [self.epoch])])


def read_message_cursor(text: str, name: str) -> MessageCursor:
    """Return the cursor of a text; raise BadUserInputError where it is none."""
    match decode_cursor(text):
        case [str() as kind, revision, str() | None as message_id, *rest] if kind == _CURSOR_KIND:
            is_position = is_revision(revision) and (message_id is None or parse_id(message_id) == message_id)
            if is_position and (epoch := epoch_of(rest)) is not None:
                return MessageCursor(revision, message_id, epoch)
    raise BadUserInputError(f"{name} is not a cursor of messages; pass one that messageAdded gave.", path=(name,))


_OF_CONVERSATION: Final = _USERS.join(_CONVERSATIONS, _CONVERSATIONS.c.user_id == _USERS.c.id)
_IS_CONVERSATION: Final = owned(_CONVERSATIONS), _CONVERSATIONS.c.id == bindparam("conversation_id")
_PRESENT: Final = PreparedStatement(
    select(_USERS.c.revision, CURRENT_EPOCH.label("epoch")).select_from(_OF_CONVERSATION).where(*_IS_CONVERSATION)
)


async def present_cursor(source: Source, caller: Caller, conversation_id: str) -> MessageCursor:
    """Return the cursor of what is there; raise NotFoundError where the conversation is not the caller's."""
    rows = await read(source, _PRESENT, {OWNER: caller.user_id, "conversation_id": parse_id(conversation_id)})
    if not rows:
        raise not_found(Conversation, ("conversationId",))
    revision, epoch = rows[0]
    return MessageCursor(revision, epoch=epoch)


def resume(after: MessageCursor | None, present: MessageCursor) -> MessageCursor:
    """Return the cursor to read on from: the one given, or the present one."""
    if after is None:
        return present
    check_cursor(after.epoch, after.revision, present.epoch, present.revision)
    return after


async def completed_since(
    source: Source, caller: Caller, conversation_id: str, after: MessageCursor, columns: frozenset[str]
) -> Sequence[Row[Any]]:
    """Return the first messages completed after the cursor.

    Raise NotFoundError where the conversation is gone, and CursorExpiredError where it cannot be gone on from.
    """
    position = {"revision": after.revision, "message_id": after.message_id or _LAST_ID, "epoch": after.epoch}
    owner = {OWNER: caller.user_id, "conversation_id": parse_id(conversation_id)}
    rows = await read(source, _completed_since(columns), position | owner)
    if not rows:
        resume(after, await present_cursor(source, caller, conversation_id))
    # The outer join gives a conversation without such messages one row of nulls.
    return rows if rows and rows[0].id is not None else ()


@cached_statement
def _completed_since(columns: frozenset[str]) -> Select[Any]:
    messages, revision = _MESSAGES.c, bindparam("revision", type_=Integer)
    # Compared as a whole, for the index serves that alone.
    place = tuple_(revision, bindparam("message_id", type_=messages.id.type))
    found = (
        select(*table_columns(_MESSAGES, columns | {"id", "revision", "created_at"}))
        .where(owned(_MESSAGES), messages.conversation_id == bindparam("conversation_id"))
        .where(messages.status == MessageStatus.COMPLETE, tuple_(messages.revision, messages.id) > place)
        .order_by(messages.revision, messages.id)
        .limit(MAX_COMPLETED)
        .subquery("found")
    )
    is_valid = _USERS.c.revision >= revision, bindparam("epoch") == CURRENT_EPOCH
    return (
        select(*found.c)
        .select_from(_OF_CONVERSATION.outerjoin(found, true()))
        .where(*_IS_CONVERSATION, *is_valid)
        .order_by(found.c.revision, found.c.id)
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """The text of a message from an offset on, or from its end where that comes first; code points are counted."""

    text: str
    offset: int
    length: int
    status: MessageStatus
    # The run waits for a decision on a tool call.
    is_paused: bool = False

    @property
    def has_ended(self) -> bool:
        """Return whether the reply is complete, cancelled or failed."""
        return self.status is not MessageStatus.STREAMING


def check_offset(offset: int, name: str) -> int:
    """Return an offset in a text; raise BadUserInputError where it is negative."""
    if offset < 0:
        raise BadUserInputError(f"{name} counts from 0; it is {offset}.", path=(name,))
    return offset


_REPLY: Final = PreparedStatement(
    select(
        func.substr(_MESSAGES.c.content, bindparam("start", type_=Integer)).label("text"),
        func.length(_MESSAGES.c.content).label("length"),
        _MESSAGES.c.status,
        _RUNS.c.status.label("run_status"),
    )
    .outerjoin_from(_MESSAGES, _RUNS, and_(_RUNS.c.user_id == _MESSAGES.c.user_id, _RUNS.c.reply_id == _MESSAGES.c.id))
    .where(
        owned(_MESSAGES),
        _MESSAGES.c.id == bindparam("message_id", type_=_MESSAGES.c.id.type),
        is_not_removed(_MESSAGES),
    )
)


async def read_reply(source: Source, caller: Caller, message_id: str, offset: int) -> Reply:
    """Return the text of the caller's message from the offset on."""
    # PostgreSQL takes no offset beyond 32 bits.
    position = {"start": min(offset, _MAX_LENGTH) + 1, OWNER: caller.user_id, "message_id": parse_id(message_id)}
    rows = await read(source, _REPLY, position)
    if not rows:
        raise not_found(Message, ("messageId",))
    is_paused = rows[0].run_status is RunStatus.AWAITING_APPROVAL
    return Reply(rows[0].text, min(offset, rows[0].length), rows[0].length, rows[0].status, is_paused)
