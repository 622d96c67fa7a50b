"""The rules of conversations, and their lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypedDict

from sqlalchemy import CompoundSelect, delete, literal, select, union_all
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import leave_unchanged
from core.errors import BadUserInputError
from core.text import require_line
from models import Conversation, EntityKind, Message, Run, ToolCall
from services.accounts.caller import Caller
from services.change import bury, check_revision, claim_ids
from services.idempotency import Request, once
from services.query.lookup import require
from services.query.ordering import OrderDirection, moment_key, order_by
from services.query.pagination import Listing
from services.query.sql import execute, table_of
from services.revision import next_revision

_CONVERSATIONS: Final = table_of(Conversation)
_MESSAGES: Final = table_of(Message)
_RUNS: Final = table_of(Run)
_TOOL_CALLS: Final = table_of(ToolCall)
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
    keys = tuple((_KEYS[part.field], part.direction) for part in order or _DEFAULT)
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
    """Delete a conversation with all that was said and done in it; return the ids, its own first."""
    revision = await next_revision(session, caller.user_id)
    conversation = await require(session, caller, Conversation, conversation_id, ("input", "id"))
    check_revision(conversation, expected_revision)
    buried = await bury(session, caller, _with_all_below(caller, conversation.id), revision)
    # What is below it goes with it, by the foreign keys.
    gone = delete(_CONVERSATIONS).where(caller.owns(_CONVERSATIONS), _CONVERSATIONS.c.id == conversation.id)
    await execute(session, gone)
    return [conversation.id, *sorted(set(buried) - {conversation.id})]


def _with_all_below(caller: Caller, conversation_id: str) -> CompoundSelect[Any]:
    """Return the statement that names a conversation and what is below it, by id and kind."""
    runs = select(_RUNS.c.id).where(caller.owns(_RUNS), _RUNS.c.conversation_id == conversation_id)
    parts = (
        (EntityKind.CONVERSATION, _CONVERSATIONS, _CONVERSATIONS.c.id == conversation_id),
        (EntityKind.MESSAGE, _MESSAGES, _MESSAGES.c.conversation_id == conversation_id),
        (EntityKind.RUN, _RUNS, _RUNS.c.conversation_id == conversation_id),
        (EntityKind.TOOL_CALL, _TOOL_CALLS, _TOOL_CALLS.c.run_id.in_(runs)),
    )
    return union_all(
        *(
            select(table.c.id, literal(kind.value).label("kind")).where(caller.owns(table), condition)
            for kind, table, condition in parts
        )
    )


def _title(text: str) -> str:
    return require_line(text, ("input", "title"), most=500)
