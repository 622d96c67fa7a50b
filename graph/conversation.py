"""The GraphQL type of conversations."""

from functools import partial
from typing import Any, Final

import strawberry

import models
from engine import batched
from graph.connection import Connection, Relation
from graph.context import Info
from graph.mapping import CreateInput, UpdateInput, create_input, needing, order_input, table_type, update_input
from graph.message import Message
from graph.node import Node, ids_of
from graph.payload import UserError
from graph.selection import selected_columns
from graph.user import User, load_owners
from services.conversations.conversations import ConversationOrder
from services.conversations.message import MessageOrder, message_listing
from services.conversations.new_messages import MessageCursor
from services.query.lookup import find_node
from services.query.pagination import PageArguments, fetch_pages, read_window

order_input(ConversationOrder)

MESSAGES: Final = Relation(models.Message, "conversation_id")


@table_type(models.Conversation)
class Conversation(Node):
    """A talk between a person and the assistant."""

    @needing(
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
        """Load a page of the messages of each."""
        make = partial(message_listing, info.context.require_caller(), order=order_by)
        return await MESSAGES.connect(info, ids_of(parents), make, PageArguments(first, after, last, before))

    @needing("revision", description="Where messageAdded begins, after, to bring what is said from this reading on.")
    @staticmethod
    def messages_cursor(root: strawberry.Parent[models.Conversation]) -> str:
        """Return the cursor of what is there: every message stamps its conversation."""
        return MessageCursor(root.revision).write()

    @needing("id", graphql_type=Message | None, description="What was said last.")
    @staticmethod
    @batched
    async def last_message(parents: strawberry.Parent[list[models.Conversation]], info: Info) -> list[Any]:
        """Load the last message of each."""
        listing = message_listing(info.context.require_caller(), selected_columns(info, models.Message))
        window = read_window(listing.order, PageArguments(last=1))
        pages = await fetch_pages(info.context.database.reader, listing, window, "conversation_id", ids_of(parents))
        return [page.rows[0] if page.rows else None for page in pages]

    @needing("user_id", graphql_type=User, description="Whose conversation it is.")
    @staticmethod
    @batched
    async def owner(parents: strawberry.Parent[list[models.Conversation]], info: Info) -> list[Any]:
        """Load the owners."""
        return await load_owners(info, parents)


async def load_conversation(info: Info, conversation_id: str) -> Any:
    """Load the caller's conversation of an id with the columns that are selected."""
    caller, columns = info.context.require_caller(), selected_columns(info, models.Conversation)
    return await find_node(
        info.context.database.batch_loader, caller, ((models.Conversation, columns),), conversation_id
    )


@strawberry.type(description="A conversation as made or changed.")
class ConversationPayload:
    """The answer of mutations of a conversation."""

    conversation: Conversation | None = strawberry.field(
        default=None, description="The conversation; after a CONFLICT over expectedRevision, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@create_input(models.Conversation)
class CreateConversationInput(CreateInput):
    """Everything that a conversation is made from."""

    title: str | None = strawberry.field(default=None, description="What it is about; 1 to 500 characters.")


@update_input(models.Conversation)
class UpdateConversationInput(UpdateInput):
    """A conversation and its changes."""


@strawberry.input(description="A conversation, by its id.")
class ConversationRefInput:
    """Names one conversation."""

    id: strawberry.ID
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision that the client has seen; another one gets CONFLICT."
    )
