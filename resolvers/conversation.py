"""Queries and mutations of conversations."""

from functools import partial
from typing import Any

import strawberry

import models
from graph.connection import Connection, connect
from graph.context import Info
from graph.conversation import (
    Conversation,
    ConversationPayload,
    ConversationRefInput,
    CreateConversationInput,
    UpdateConversationInput,
)
from graph.payload import DeletePayload, create_row, delete_row, update_row
from graph.relations import load_row
from services.conversations.conversations import ConversationOrder, conversation_listing, conversations
from services.query.pagination import PageArguments


@strawberry.type
class ConversationQuery:
    """Queries of the caller's conversations."""

    @strawberry.field(graphql_type=Conversation | None, description="The caller's conversation of an id.")
    async def conversation(self, info: Info, id: strawberry.ID) -> Any:
        """Load one conversation."""
        return await load_row(info, models.Conversation, id)

    @strawberry.field(
        graphql_type=Connection[Conversation],
        description="The caller's conversations, the latest active first where no order is asked for.",
    )
    async def conversations(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        order_by: list[ConversationOrder] | None = None,
    ) -> Any:
        """Load a page of conversations."""
        make = partial(conversation_listing, info.context.require_caller(), order=order_by)
        return await connect(info, models.Conversation, make, PageArguments(first, after, last, before))


@strawberry.type
class ConversationMutation:
    """Mutations of the caller's conversations."""

    @strawberry.mutation(description="Make a conversation.")
    async def create_conversation(self, info: Info, input: CreateConversationInput) -> ConversationPayload:
        """Create a conversation."""
        return await create_row(info, ConversationPayload, conversations, input)

    @strawberry.mutation(description="Change what is given of a conversation.")
    async def update_conversation(self, info: Info, input: UpdateConversationInput) -> ConversationPayload:
        """Update a conversation."""
        return await update_row(info, ConversationPayload, conversations, input)

    @strawberry.mutation(description="Delete a conversation with its messages and the runs that wrote them.")
    async def delete_conversation(self, info: Info, input: ConversationRefInput) -> DeletePayload:
        """Delete a conversation."""
        return await delete_row(info, conversations, input)
