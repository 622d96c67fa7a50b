"""The REST routes of conversations and of what is said in them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import Field

import models
from server.rest.chat_stream import ToolCall, work_on_replies
from server.rest.entities import CreateBody, add_entity_routes, create_body_of, row_of
from server.rest.fields import Items, OrderedBy, PageQuery, Row, example, read_order, read_page, shown_page, text
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

    run_id: str | None = Field(description="The run of the assistant that wrote it; null for what no run wrote.")
    tool_calls: list[ToolCall] = Field(description="The tools that its run has called, or asks to call, in that order.")


class ConversationPage(Items[Conversation]):
    """A page of conversations."""


class MessagePage(Items[Message]):
    """A page of messages."""


@create_body_of(models.Conversation)
class ConversationToMake(CreateBody):
    """A conversation to make."""

    model_config = example(title="Plans for the weekend")

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
_MESSAGE_COLUMNS: Final = frozenset(Message.model_fields) - {"run_id", "tool_calls"}


@router.get("", responses=problems(401))
async def list_conversations(context: SignedIn, query: Annotated[ConversationQuery, Query()]) -> ConversationPage:
    """List the caller's conversations, the latest active first where no order is asked for."""
    listing = conversation_listing(context.require_caller(), _COLUMNS, read_order(ConversationOrder, query.order))
    return await read_page(context, listing, query, ConversationPage)


add_entity_routes(router, conversations, Conversation, ConversationToMake, example(title="Plans for the summer"))


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
        work = await work_on_replies(session, caller, page.rows)
    messages = [_shown_message(row, *work.get(row.id, (None, []))) for row in page.rows]
    return shown_page(page._replace(rows=messages), total, MessagePage)


def _shown_message(row: Any, run_id: str | None, calls: list[Any]) -> Message:
    values = {name: getattr(row, name) for name in _MESSAGE_COLUMNS}
    return Message.model_validate(values | {"run_id": run_id, "tool_calls": calls}, from_attributes=True)
