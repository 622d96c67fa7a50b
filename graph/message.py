"""GraphQL types, inputs and payloads of messages, and of replies as they are written."""

from datetime import datetime
from typing import Any

import strawberry
from strawberry import auto

import models
from engine import batched
from graph.context import Info
from graph.mapping import IDEMPOTENCY_KEY, Node, order_input, reads_columns, table_type
from graph.payload import UserError
from graph.relations import LazyConversation, LazyRun, reference, viewer
from graph.selection import selected_columns
from models import MessageRole, MessageStatus
from services.conversations.messages import MessageOrder
from services.runs.run import runs_by_reply

order_input(MessageOrder)


@table_type(models.Message)
class Message(Node):
    role: auto
    content: auto
    status: auto
    revision: auto
    created_at: auto

    conversation = reference(
        models.Conversation,
        "conversation_id",
        LazyConversation,
        "The conversation that it was said in.",
        if_gone="The conversation was deleted while its messages were read; read them again.",
    )

    @reads_columns(
        "id",
        "role",
        graphql_type=LazyRun | None,
        description="The run of the assistant that wrote it; null for what no run wrote.",
    )
    @staticmethod
    @batched
    async def run(parents: strawberry.Parent[list[models.Message]], info: Info) -> list[Any]:
        replies = [message.id if message.role is MessageRole.ASSISTANT else None for message in parents]
        return await info.context.load(runs_by_reply, selected_columns(info, models.Run), replies)


@strawberry.type(description="A message as stored.")
class MessagePayload:
    message: Message | None = strawberry.field(default=None, description="The message.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was stored.")
    viewer = viewer()


@strawberry.type(description="A message that is complete, and the place behind it.")
class MessageEvent:
    cursor: str = strawberry.field(description="Pass it as after to go on from here after a cut.")
    message: Message = strawberry.field(description="The message.")

    @property
    def happened_at(self) -> datetime:
        """Return when the message was made, for the metrics."""
        return self.message.created_at


@strawberry.type(description="A piece of a reply; the pieces follow each other without a gap.")
class ReplyChunk:
    message_id: strawberry.ID = strawberry.field(description="The reply.")
    offset: int = strawberry.field(description="Where the piece begins, in Unicode code points.")
    text: str = strawberry.field(description="The piece; the last one may be empty.")
    status: MessageStatus = strawberry.field(description="How far the reply is; after any but STREAMING comes no more.")
    next_offset: int = strawberry.field(
        description="Where the next piece will begin; pass it as fromOffset to go on from here after a cut."
    )


@strawberry.input(description="A message to store; no assistant answers it.")
class AddMessageInput:
    conversation_id: strawberry.ID
    content: str = strawberry.field(description="1 to 100,000 characters.")
    role: MessageRole = strawberry.field(default=MessageRole.USER, description="Who speaks.")
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)
