"""The GraphQL type of messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import strawberry
from sqlalchemy import Row
from strawberry import auto

import models
from core.errors import NotFoundError
from engine import batched
from graph.context import Info
from graph.lazy import LazyConversation, LazyRun
from graph.loaders import RowById, RunByReply
from graph.mapping import needing, order_input, table_type
from graph.node import Node
from graph.payload import UserError
from graph.selection import selected_columns
from models import MessageRole
from services.conversations.message import MessageOrder, NewMessage
from services.conversations.new_messages import MessageCursor

order_input(MessageOrder)


@table_type(models.Message)
class Message(Node):
    """Something said in a conversation."""

    role: auto
    content: auto
    status: auto
    revision: auto
    created_at: auto

    @needing("conversation_id", graphql_type=LazyConversation, description="The conversation that it was said in.")
    @staticmethod
    @batched
    async def conversation(parents: strawberry.Parent[list[models.Message]], info: Info) -> list[Any]:
        """Load the conversations."""
        found = await load_conversations(info, [message.conversation_id for message in parents])
        return [conversation or _gone() for conversation in found]

    @needing(
        "id",
        "role",
        graphql_type=LazyRun | None,
        description="The run of the assistant that wrote it; null for what no run wrote.",
    )
    @staticmethod
    @batched
    async def run(parents: strawberry.Parent[list[models.Message]], info: Info) -> list[Any]:
        """Load the runs."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.Run)
        replies = [message.id if message.role is MessageRole.ASSISTANT else None for message in parents]
        return await info.context.load(RunByReply(caller, columns), replies)


def _gone() -> NotFoundError:
    return NotFoundError("The conversation was deleted while its messages were read; read them again.")


async def load_messages(info: Info, ids: Sequence[str | None]) -> list[Any]:
    """Load the caller's messages of ids with the columns that are selected."""
    caller, columns = info.context.require_caller(), selected_columns(info, models.Message)
    return await info.context.load(RowById(models.Message, caller, columns), ids)


async def load_conversations(info: Info, ids: Sequence[str | None]) -> list[Any]:
    """Load the caller's conversations of ids with the columns that are selected."""
    caller, columns = info.context.require_caller(), selected_columns(info, models.Conversation)
    return await info.context.load(RowById(models.Conversation, caller, columns), ids)


@strawberry.type(description="A message as stored.")
class MessagePayload:
    """The answer of mutations of a message."""

    message: Message | None = strawberry.field(default=None, description="The message.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was stored.")


@strawberry.type(description="A message that is complete, and the place behind it.")
class MessageEvent:
    """An event of messageAdded."""

    cursor: str = strawberry.field(description="Pass it as after to go on from here after a cut.")
    message: Message = strawberry.field(description="The message.")


@dataclass(frozen=True, slots=True)
class MessageEventSource:
    """What such an event is resolved from."""

    cursor: str
    message: Row[Any]

    @property
    def happened_at(self) -> datetime:
        """Return when the message was made."""
        moment: datetime = self.message.created_at
        return moment


def event_of(row: Row[Any]) -> Any:
    """Return the event of a message."""
    return MessageEventSource(MessageCursor(row.revision, row.id).write(), row)


@strawberry.input(description="A message to store; no assistant answers it.")
class AddMessageInput:
    """What a message is made from."""

    conversation_id: strawberry.ID
    content: str = strawberry.field(description="1 to 100,000 characters.")
    role: MessageRole = strawberry.field(default=MessageRole.USER, description="Who speaks.")
    idempotency_key: str | None = strawberry.field(
        default=None, description="Sent again with the same input, it gives the first answer again."
    )

    def to_new(self) -> NewMessage:
        """Return what the service takes."""
        return NewMessage(self.conversation_id, self.content, self.role)
