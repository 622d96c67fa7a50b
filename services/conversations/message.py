"""The rules of messages, and their lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import BadUserInputError
from core.ids import new_id
from core.text import require_length
from models import Conversation, Message, MessageRole
from services.accounts.caller import Caller
from services.entities.idempotency import IdempotentRequest, run_idempotent
from services.entities.lists import EntityOrder, entity_listing, order_of
from services.entities.revision import next_revision
from services.query.lookup import require
from services.query.pagination import Listing


@order_of(Message)
class MessageOrder(EntityOrder):
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
    """Return the list of the caller's messages, as they were said where no order is asked for."""
    return entity_listing(caller, list(order or ()), _DEFAULT, columns)


async def add_message(session: AsyncSession, caller: Caller, new: NewMessage, key: str | None = None) -> Any:
    """Store a message; its conversation becomes the latest active."""
    revision = await next_revision(session, caller.user_id)

    async def make() -> Sequence[Message]:
        conversation = await require(session, caller, Conversation, new.conversation_id, ("input", "conversationId"))
        moment = utc_now()
        message = Message(
            user_id=caller.user_id,
            id=new_id(),
            conversation_id=conversation.id,
            role=new.role,
            content=check_content(new.content),
            revision=revision,
            created_at=moment,
        )
        conversation.updated_at, conversation.revision = moment, revision
        session.add(message)
        await session.flush()
        return [message]

    content = {"conversation": new.conversation_id, "content": new.content, "role": new.role}
    return (await run_idempotent(session, caller, IdempotentRequest(key, "addMessage", content), Message, make))[0]


def check_content(text: str) -> str:
    """Return what a message says, or refuse it."""
    path = ("input", "content")
    if not text.strip():
        raise BadUserInputError("content is empty; write something.", path=path)
    return require_length(text, path, least=1, most=100_000)
