"""The GraphQL type of conversations."""

from functools import partial
from typing import Any, Final

import strawberry
from strawberry import auto

import models
from engine import batched
from graph.connection import Connection, Relation
from graph.context import Info
from graph.loaders import MessageCountByConversation, MessagesByConversation
from graph.mapping import enum_type, input_type, needing, table_type
from graph.message import Message
from graph.node import Node, ids_of
from graph.payload import UserError
from graph.selection import selected_columns
from graph.user import User, load_owners
from services.conversation import ConversationChanges, ConversationOrder, ConversationOrderField
from services.conversations.message import MessageOrder, message_listing
from services.conversations.new_messages import MessageCursor
from services.query.lookup import find_node
from services.query.pagination import PageArguments, fetch_pages, read_window

enum_type(ConversationOrderField)
input_type(ConversationOrder)

MESSAGES: Final = Relation(models.Message, MessagesByConversation, MessageCountByConversation)
UNSET: Final[Any] = strawberry.UNSET


@table_type(models.Conversation)
class Conversation(Node):
    """A talk between a person and the assistant."""

    title: auto
    revision: auto
    created_at: auto
    updated_at: auto

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
        parent = MessagesByConversation.parent
        pages = await fetch_pages(info.context.database.reader, listing, window, parent, ids_of(parents))
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
    return await find_node(info.context.database.gathered, caller, ((models.Conversation, columns),), conversation_id)


@strawberry.type(description="A conversation as made or changed.")
class ConversationPayload:
    """The answer of mutations of a conversation."""

    conversation: Conversation | None = strawberry.field(
        default=None, description="The conversation; after a CONFLICT over expectedRevision, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.input(description="A conversation to make.")
class CreateConversationInput:
    """Everything that a conversation is made from."""

    id: strawberry.ID | None = strawberry.field(default=None, description="A UUID that the client made, or ours.")
    title: str | None = strawberry.field(default=None, description="1 to 500 characters.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="Sent again with the same input, it gives the first answer again."
    )


@strawberry.input(description="What is to change of a conversation: what is left out stays.")
class UpdateConversationInput:
    """A conversation and its changes."""

    id: strawberry.ID = strawberry.field(description="The conversation to change.")
    title: str | None = strawberry.field(default=UNSET, description="1 to 500 characters; not null.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision that the client has seen; another one gets CONFLICT."
    )

    def to_changes(self) -> ConversationChanges:
        """Return what is given."""
        return {} if self.title is UNSET else {"title": self.title}


@strawberry.input(description="A conversation, by its id.")
class ConversationRefInput:
    """Names one conversation."""

    id: strawberry.ID
    expected_revision: int | None = strawberry.field(
        default=None, description="The revision that the client has seen; another one gets CONFLICT."
    )
