"""What asking the assistant takes and answers."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import strawberry

import models
from core.errors import NotFoundError, TasktalkError
from engine import batched
from graph.context import Info
from graph.conversation import Conversation
from graph.message import Message, load_conversations, load_messages
from graph.payload import UserError, as_data
from graph.run import Run
from services.runs.run import Answering, Question


@dataclass(frozen=True, slots=True)
class AnsweringSource:
    """What the payload is resolved from; what may have changed since the run began is read when it is selected."""

    conversation_id: str | None = None
    message: models.Message | None = None
    reply_id: str | None = None
    run: models.Run | None = None
    errors: list[UserError] = field(default_factory=list)


@strawberry.type(description="What was asked, and the assistant's answer as far as it is.")
class SendMessagePayload:
    """The answer of mutations that let the assistant answer."""

    message: Message | None = strawberry.field(description="The message that is answered.")
    run: Run | None = strawberry.field(description="The assistant's work on the reply.")
    errors: list[UserError] = strawberry.field(description="Why there is no answer.")

    @strawberry.field(graphql_type=Conversation | None, description="The conversation; a new one where none was named.")
    @staticmethod
    @batched
    async def conversation(parents: strawberry.Parent[list[AnsweringSource]], info: Info) -> list[Any]:
        """Load the conversations."""
        return await load_conversations(info, [answering.conversation_id for answering in parents])

    @strawberry.field(
        graphql_type=Message | None,
        description="The assistant's message; follow it by replyStream while it is STREAMING.",
    )
    @staticmethod
    @batched
    async def reply(parents: strawberry.Parent[list[AnsweringSource]], info: Info) -> list[Any]:
        """Load the replies."""
        return await load_messages(info, [answering.reply_id for answering in parents])


async def answer_by_assistant(info: Info, asking: Awaitable[Answering], *, wait: bool) -> Any:
    """Return the payload once the run has begun or, with `wait`, has ended or stopped for approval."""
    try:
        answering = await info.context.changing(asking)
        run = await _settled(info, answering.run) if wait else answering.run
    except TasktalkError as error:
        return AnsweringSource(errors=[as_data(error)])
    return AnsweringSource(answering.conversation.id, answering.message, answering.reply.id, run)


async def _settled(info: Info, run: models.Run) -> models.Run:
    """Wait for the run as long as the client does; it goes on without either."""
    settling = info.context.runtime.assistant.settled(info.context.require_caller(), run.id)
    try:
        return await info.context.while_wanted(settling) or run
    except NotFoundError:
        raise NotFoundError("The conversation was deleted before the reply was complete.") from None


@strawberry.input(description="A message for the assistant to answer.")
class SendMessageInput:
    """What is asked, where, and whether to wait."""

    content: str = strawberry.field(description="1 to 100,000 characters.")
    conversation_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where it is said; without one a new conversation begins."
    )
    wait: bool = strawberry.field(
        default=True, description="Whether to answer once the reply is complete, or waits for approval, or at once."
    )
    idempotency_key: str | None = strawberry.field(
        default=None, description="Sent again with the same input, it gives the first answer again."
    )
    time_zone: str = strawberry.field(
        default="UTC", description="The name of the person's time zone, such as Europe/Berlin; dates are read in it."
    )

    def to_question(self) -> Question:
        """Return what the assistant takes."""
        return Question(self.content, self.conversation_id, self.time_zone, self.idempotency_key)


@strawberry.input(description="A reply to write anew.")
class RegenerateReplyInput:
    """What to answer again, and whether to wait."""

    message_id: strawberry.ID = strawberry.field(
        description="The message to answer, or a reply of the assistant to it."
    )
    wait: bool = strawberry.field(
        default=True, description="Whether to answer once the reply is complete, or waits for approval, or at once."
    )
