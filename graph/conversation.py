"""GraphQL type, inputs and payload of conversations."""

from functools import partial
from typing import Any

import strawberry

import models
from engine import batched
from graph.connection import Connection, Edge, connect_children, edge_of
from graph.context import Info
from graph.mapping import (
    CreateInput,
    Node,
    RefInput,
    UpdateInput,
    create_input,
    order_input,
    reads_columns,
    table_type,
    update_input,
)
from graph.message import Message
from graph.payload import UserError
from graph.relations import owner, viewer
from graph.selection import selected_columns
from services.conversations.conversations import ConversationOrder, conversation_listing
from services.conversations.messages import MessageCursor, MessageOrder, message_listing
from services.query.pagination import PageArguments, fetch_pages, read_window
from services.sync.epoch import read_epoch

order_input(ConversationOrder)


@table_type(models.Conversation)
class Conversation(Node):
    @reads_columns(
        "id",
        graphql_type=Connection[Message],
        description="What was said, the oldest first where no order is asked for.",
    )
    @staticmethod
    @batched
    async def messages(
        parents: strawberry.Parent[list[models.Conversation]],
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        order_by: list[MessageOrder] | None = None,
    ) -> list[Any]:
        make = partial(message_listing, info.context.require_caller(), order=order_by)
        arguments = PageArguments(first, after, last, before)
        return await connect_children(info, models.Message, "conversation_id", parents, make, arguments)

    @reads_columns(
        "revision",
        graphql_type=str,
        description="Where messageAdded begins, after, to bring what is said from this reading on.",
    )
    @staticmethod
    @batched
    async def messages_cursor(parents: strawberry.Parent[list[models.Conversation]], info: Info) -> list[str]:
        """Return the cursors of what is there: every message stamps its conversation."""
        epoch = await read_epoch(info.context.database.reader)
        return [MessageCursor(parent.revision, epoch=epoch).write() for parent in parents]

    @reads_columns("id", graphql_type=Message | None, description="What was said last.")
    @staticmethod
    @batched
    async def last_message(parents: strawberry.Parent[list[models.Conversation]], info: Info) -> list[Any]:
        listing = message_listing(info.context.require_caller(), selected_columns(info, models.Message))
        window = read_window(listing.order, PageArguments(last=1))
        pages = await fetch_pages(
            info.context.database.reader, listing, window, "conversation_id", [parent.id for parent in parents]
        )
        return [page.rows[0] if page.rows else None for page in pages]

    owner = owner("Whose conversation it is.")


@strawberry.type(description="A conversation as made or changed.")
class ConversationPayload:
    conversation: Conversation | None = strawberry.field(
        default=None, description="The conversation; after a CONFLICT over expectedRevision, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")
    viewer = viewer()

    @strawberry.field(
        graphql_type=Edge[Conversation] | None,
        description="The conversation with its cursor in the list where no order is asked for.",
    )
    @staticmethod
    def conversation_edge(root: strawberry.Parent["ConversationPayload"], info: Info) -> Any:
        return edge_of(info, conversation_listing, root.conversation)


@create_input(models.Conversation)
class CreateConversationInput(CreateInput):
    """Input of createConversation."""

    title: str | None = strawberry.field(default=None, description="What it is about; 1 to 500 characters.")


@update_input(models.Conversation)
class UpdateConversationInput(UpdateInput):
    """Input of updateConversation."""


@strawberry.input(description="A conversation, by its id.")
class ConversationRefInput(RefInput):
    """The id of a conversation."""
