"""The GraphQL type of messages."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from sqlalchemy import Row
from strawberry import auto

import models
from core.errors import NotFoundError
from graph.context import Info
from graph.loaders import ConversationById, MessageById, RunByReply
from graph.mapping import enum_type, input_type, needing, table_type
from graph.node import Node
from graph.payload import UserError
from graph.selection import selected_columns
from models import MessageRole
from services.message import MessageOrder, MessageOrderField, NewMessage
from services.new_messages import MessageCursor

if TYPE_CHECKING:
    from graph.conversation import Conversation
    from graph.run import Run

enum_type(MessageOrderField)
input_type(MessageOrder)


@table_type(models.Message)
class Message(Node):
    """Something said in a conversation."""

    role: auto
    content: auto
    status: auto
    revision: auto
    created_at: auto

    @needing("conversation_id", description="The conversation that it was said in.")
    @staticmethod
    async def conversation(
        root: strawberry.Parent[models.Message], info: Info
    ) -> Annotated["Conversation", strawberry.lazy("graph.conversation")]:
        """Load the conversation."""
        if (conversation := await load_conversation(info, root.conversation_id)) is None:
            raise NotFoundError("The conversation was deleted while its messages were read; read them again.")
        return conversation

    @needing("id", "role", description="The run of the assistant that wrote it; null for what no run wrote.")
    @staticmethod
    async def run(
        root: strawberry.Parent[models.Message], info: Info
    ) -> Annotated["Run", strawberry.lazy("graph.run")] | None:
        """Load the run."""
        if root.role is not MessageRole.ASSISTANT:
            return None
        caller, columns = info.context.require_caller(), selected_columns(info, models.Run)
        run: Any = await info.context.loader(info, lambda: RunByReply(caller, columns)).load(root.id)
        return run


async def load_message(info: Info, message_id: str) -> Any:
    """Load the caller's message of an id with the columns that are selected."""
    caller = info.context.require_caller()
    columns = selected_columns(info, models.Message)
    return await info.context.loader(info, lambda: MessageById(caller, columns)).load(message_id)


async def load_conversation(info: Info, conversation_id: str) -> Any:
    """Load the caller's conversation of an id with the columns that are selected."""
    caller = info.context.require_caller()
    columns = selected_columns(info, models.Conversation)
    return await info.context.loader(info, lambda: ConversationById(caller, columns)).load(conversation_id)


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
