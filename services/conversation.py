"""The rules of conversations, and their lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypedDict

from sqlalchemy import delete, literal, select, union_all
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import leave_unchanged
from core.errors import BadUserInputError
from core.text import require_line
from models import Conversation, EntityKind, Message
from services.caller import Caller
from services.change import bury, check_revision, claim_ids
from services.idempotency import Request, once
from services.lookup import require
from services.order import OrderDirection, moment_key, order_by
from services.paging import Listing
from services.revision import next_revision
from services.sql import execute, table_of

_CONVERSATIONS: Final = table_of(Conversation)
_MESSAGES: Final = table_of(Message)
UNTITLED: Final = "New conversation"


class ConversationOrderField(StrEnum):
    """What conversations can be ordered by."""

    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"


@dataclass
class ConversationOrder:
    """One thing to order conversations by."""

    field: ConversationOrderField
    direction: OrderDirection = OrderDirection.ASC


class ConversationChanges(TypedDict, total=False):
    """What is to change of a conversation: what is absent stays."""

    title: str | None


_KEYS: Final = {
    ConversationOrderField.CREATED_AT: moment_key("created_at"),
    ConversationOrderField.UPDATED_AT: moment_key("updated_at"),
}
_DEFAULT: Final = (ConversationOrder(ConversationOrderField.UPDATED_AT, OrderDirection.DESC),)


def conversation_listing(
    caller: Caller, columns: frozenset[str] = frozenset(), order: Sequence[ConversationOrder] | None = None
) -> Listing:
    """Return the list of the caller's conversations, the latest active first where no order is asked for."""
    keys = [(_KEYS[part.field], part.direction) for part in order or _DEFAULT]
    return Listing(table=_CONVERSATIONS, order=order_by(_CONVERSATIONS, keys), caller=caller, columns=columns)


async def create_conversation(
    session: AsyncSession, caller: Caller, title: str | None = None, given_id: str | None = None, key: str | None = None
) -> Conversation:
    """Make a conversation."""
    revision = await next_revision(session, caller.user_id)

    async def make() -> Sequence[Conversation]:
        (row_id,) = await claim_ids(session, caller, [(given_id, ("input", "id"))])
        name = UNTITLED if title is None else _title(title)
        moment = utc_now()
        conversation = Conversation(
            user_id=caller.user_id, id=row_id, title=name, revision=revision, created_at=moment, updated_at=moment
        )
        session.add(conversation)
        await session.flush()
        return [conversation]

    request = Request(key, "createConversation", {"id": given_id, "title": title})
    return (await once(session, caller, request, Conversation, make))[0]


async def update_conversation(
    session: AsyncSession,
    caller: Caller,
    conversation_id: str,
    changes: ConversationChanges,
    expected_revision: int | None = None,
) -> Conversation:
    """Change what is given of a conversation."""
    revision = await next_revision(session, caller.user_id)
    conversation = await require(session, caller, Conversation, conversation_id, ("input", "id"))
    check_revision(conversation, expected_revision)
    given = changes.get("title", conversation.title)
    if given is None:
        raise BadUserInputError("title cannot be cleared; leave it out to keep it as it is.", path=("input", "title"))
    title = _title(given)
    if title == conversation.title:
        leave_unchanged(session)
    else:
        conversation.title, conversation.revision, conversation.updated_at = title, revision, utc_now()
    return conversation


async def delete_conversation(
    session: AsyncSession, caller: Caller, conversation_id: str, expected_revision: int | None = None
) -> list[str]:
    """Delete a conversation with its messages; return their ids, its own first."""
    revision = await next_revision(session, caller.user_id)
    conversation = await require(session, caller, Conversation, conversation_id, ("input", "id"))
    check_revision(conversation, expected_revision)
    doomed = union_all(
        select(_CONVERSATIONS.c.id, literal(EntityKind.CONVERSATION.value).label("kind")).where(
            caller.owns(_CONVERSATIONS), _CONVERSATIONS.c.id == conversation.id
        ),
        select(_MESSAGES.c.id, literal(EntityKind.MESSAGE.value).label("kind")).where(
            caller.owns(_MESSAGES), _MESSAGES.c.conversation_id == conversation.id
        ),
    )
    buried = await bury(session, caller, doomed, revision)
    # Its messages go with it, by the foreign key.
    gone = delete(_CONVERSATIONS).where(caller.owns(_CONVERSATIONS), _CONVERSATIONS.c.id == conversation.id)
    await execute(session, gone)
    return [conversation.id, *sorted(set(buried) - {conversation.id})]


def _title(text: str) -> str:
    return require_line(text, ("input", "title"), most=500)
