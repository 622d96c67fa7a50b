"""The REST routes of conversations and of what is said in them."""

from datetime import datetime
from functools import partial
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

import models
from models import MessageRole, MessageStatus
from server.rest.caller import SignedIn
from server.rest.described import problems, stamped
from server.rest.fields import (
    Body,
    Deleted,
    GivenId,
    IdempotencyKey,
    IfMatch,
    Items,
    OrderedBy,
    PageQuery,
    Row,
    described_by,
    expected_revision,
    read_order,
    read_page,
    shown_page,
    stamp,
    text,
)
from server.rest.route import RestRoute
from services import conversation as conversations
from services.conversation import (
    ConversationChanges,
    ConversationOrder,
    ConversationOrderField,
    conversation_listing,
)
from services.conversations.message import MessageOrder, MessageOrderField, message_listing
from services.query.lookup import not_found, rows_by_id
from services.query.pagination import count_rows_of, fetch_pages

router: Final = APIRouter(prefix="/api/conversations", tags=["conversations"], route_class=RestRoute)

Title = Annotated[str, text("1 to 500 characters.", most=500)]


@described_by(models.Conversation)
class Conversation(Row):
    """A talk between a person and the assistant."""

    id: str = Field(description="Its id, a UUID.")
    title: str
    revision: int
    created_at: datetime
    updated_at: datetime


@described_by(models.Message)
class Message(Row):
    """Something said in a conversation."""

    id: str = Field(description="Its id, a UUID.")
    conversation_id: str = Field(description="The conversation that it was said in.")
    role: MessageRole
    content: str
    status: MessageStatus
    revision: int
    created_at: datetime


class ConversationPage(Items[Conversation]):
    """A page of conversations."""


class MessagePage(Items[Message]):
    """A page of messages."""


class ConversationToMake(Body):
    """A conversation to make."""

    id: GivenId = None
    title: Title | None = Field(default=None, description="1 to 500 characters, or null.")


class ConversationPatch(Body):
    """What is to change of a conversation: what is left out stays."""

    title: Title = Field(default_factory=str)

    def to_changes(self) -> ConversationChanges:
        """Return what is given."""
        return ConversationChanges(title=self.title) if "title" in self.model_fields_set else ConversationChanges()


class ConversationQuery(PageQuery):
    """Which page of the conversations, in which order."""

    order: list[Annotated[str, OrderedBy(ConversationOrderField)]] = Field(
        default_factory=list, description="What to order by; a minus before it turns it round."
    )


class MessageQuery(PageQuery):
    """Which page of the messages, in which order."""

    order: list[Annotated[str, OrderedBy(MessageOrderField)]] = Field(
        default_factory=list, description="What to order by; a minus before it turns it round."
    )


_COLUMNS: Final = frozenset(Conversation.model_fields)
_MESSAGE_COLUMNS: Final = frozenset(Message.model_fields)


@router.get("", responses=problems(401))
async def list_conversations(context: SignedIn, query: Annotated[ConversationQuery, Query()]) -> ConversationPage:
    """List the caller's conversations, the latest active first where no order is asked for."""
    order = [ConversationOrder(ConversationOrderField(field), way) for field, way in map(read_order, query.order)]
    listing = conversation_listing(context.require_caller(), _COLUMNS, order)
    return await read_page(context, listing, query, ConversationPage)


@router.post("", status_code=201, responses=problems(401, 404, 409, body=True) | stamped(201, location=True))
async def create_conversation(
    context: SignedIn, body: ConversationToMake, response: Response, key: IdempotencyKey = None
) -> Conversation:
    """Make a conversation."""
    work = partial(conversations.create_conversation, title=body.title, given_id=body.id, key=key)
    conversation = await context.write(work)
    response.headers["location"] = f"/api/conversations/{conversation.id}"
    return stamp(response, Conversation, conversation)


@router.get("/{conversation_id}", responses=problems(401, 404) | stamped(200))
async def read_conversation(context: SignedIn, conversation_id: str, response: Response) -> Conversation:
    """Read one conversation."""
    async with context.database.read() as session:
        (row,) = await rows_by_id(session, context.require_caller(), models.Conversation, [conversation_id], _COLUMNS)
    if row is None:
        raise not_found(models.Conversation, ("input", "id"))
    return stamp(response, Conversation, row)


@router.patch("/{conversation_id}", responses=problems(401, 404, 412, body=True) | stamped(200))
async def update_conversation(
    context: SignedIn, conversation_id: str, body: ConversationPatch, response: Response, if_match: IfMatch = None
) -> Conversation:
    """Change what is given of a conversation."""
    work = partial(
        conversations.update_conversation,
        conversation_id=conversation_id,
        changes=body.to_changes(),
        expected_revision=expected_revision(if_match),
    )
    return stamp(response, Conversation, await context.write(work))


@router.delete("/{conversation_id}", responses=problems(401, 404, 412))
async def delete_conversation(context: SignedIn, conversation_id: str, if_match: IfMatch = None) -> Deleted:
    """Delete a conversation with its messages."""
    work = partial(
        conversations.delete_conversation,
        conversation_id=conversation_id,
        expected_revision=expected_revision(if_match),
    )
    return Deleted(deleted_ids=await context.write(work))


@router.get("/{conversation_id}/messages", responses=problems(401, 404))
async def list_messages(
    context: SignedIn, conversation_id: str, query: Annotated[MessageQuery, Query()]
) -> MessagePage:
    """List what was said in a conversation, the oldest first where no order is asked for."""
    caller = context.require_caller()
    order = [MessageOrder(MessageOrderField(field), way) for field, way in map(read_order, query.order)]
    listing = message_listing(caller, _MESSAGE_COLUMNS, order)
    window = query.window(listing)
    async with context.database.read() as session:
        (talk,) = await rows_by_id(session, caller, models.Conversation, [conversation_id], ())
        if talk is None:
            raise not_found(models.Conversation, ("input", "id"))
        (page,) = await fetch_pages(session, listing, window, "conversation_id", [talk.id])
        counted = await count_rows_of(session, listing, "conversation_id", [talk.id]) if query.include_total else [None]
    return shown_page(page, counted[0], MessagePage)
