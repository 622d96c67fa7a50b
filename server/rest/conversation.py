"""The REST routes of conversations and of what is said in them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import Field

import models
from server.rest.entities import CreateBody, add_entity_routes, create_body_of, row_of
from server.rest.fields import Items, OrderedBy, PageQuery, Row, read_order, read_page, shown_page, text
from server.rest.problem import problems
from server.rest.route import RestRoute, SignedIn
from services.conversations.conversations import ConversationOrder, conversation_listing, conversations
from services.conversations.messages import MessageOrder, message_listing
from services.query.lookup import not_found, rows_by_id
from services.query.pagination import count_rows_of, fetch_pages

router: Final = APIRouter(prefix="/api/conversations", tags=["conversations"], route_class=RestRoute)


@row_of(models.Conversation)
class Conversation(Row):
    """A conversation between a person and the assistant."""


@row_of(models.Message)
class Message(Row):
    """Something said in a conversation."""


class ConversationPage(Items[Conversation]):
    """A page of conversations."""


class MessagePage(Items[Message]):
    """A page of messages."""


@create_body_of(models.Conversation)
class ConversationToMake(CreateBody):
    """A conversation to make."""

    title: Annotated[str, text("1 to 500 characters.", max_length=500)] | None = Field(
        default=None, description="1 to 500 characters, or null."
    )


_ORDER: Final[Any] = Field(default_factory=list, description="What to order by; a minus before it turns it round.")


class ConversationQuery(PageQuery):
    """Which page of the conversations, in which order."""

    order: list[Annotated[str, OrderedBy(ConversationOrder)]] = _ORDER


class MessageQuery(PageQuery):
    """Which page of the messages, in which order."""

    order: list[Annotated[str, OrderedBy(MessageOrder)]] = _ORDER


_COLUMNS: Final = frozenset(Conversation.model_fields)
_MESSAGE_COLUMNS: Final = frozenset(Message.model_fields)


@router.get("", responses=problems(401))
async def list_conversations(context: SignedIn, query: Annotated[ConversationQuery, Query()]) -> ConversationPage:
    """List the caller's conversations, the latest active first where no order is asked for."""
    listing = conversation_listing(context.require_caller(), _COLUMNS, read_order(ConversationOrder, query.order))
    return await read_page(context, listing, query, ConversationPage)


add_entity_routes(router, conversations, Conversation, ConversationToMake)


@router.get("/{conversation_id}/messages", responses=problems(401, 404))
async def list_messages(
    context: SignedIn, conversation_id: str, query: Annotated[MessageQuery, Query()]
) -> MessagePage:
    """List what was said in a conversation, the oldest first where no order is asked for."""
    caller = context.require_caller()
    listing = message_listing(caller, _MESSAGE_COLUMNS, read_order(MessageOrder, query.order))
    window = query.window(listing)
    async with context.database.read() as session:
        (conversation,) = await rows_by_id(session, caller, models.Conversation, [conversation_id], ())
        if conversation is None:
            raise not_found(models.Conversation, ("input", "id"))
        (page,) = await fetch_pages(session, listing, window, "conversation_id", [conversation.id])
        total = None
        if query.include_total:
            (total,) = await count_rows_of(session, listing, "conversation_id", [conversation.id])
    return shown_page(page, total, MessagePage)
