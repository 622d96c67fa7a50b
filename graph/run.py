"""The GraphQL types of runs and tool calls, and of the mutations that start and decide on them."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

import strawberry
from strawberry import auto

import models
from core.errors import NotFoundError, TasktalkError
from engine import batched
from graph.context import Info
from graph.conversation import Conversation
from graph.lazy import LazyRun
from graph.loaders import ToolCallsByRun
from graph.mapping import needing, table_type
from graph.message import Message
from graph.node import Node, ids_of
from graph.payload import UserError, as_data
from graph.references import reference
from graph.selection import selected_columns
from services.runs.run import StartedRun, UserMessage

_GONE: Final = "The conversation was deleted while its runs were read; read them again."


@table_type(models.ToolCall)
class ToolCall(Node):
    """One use of a tool."""

    name: auto
    arguments: auto
    result: auto
    status: auto
    revision: auto
    created_at: auto

    run = reference(
        models.Run,
        "run_id",
        LazyRun,
        "The run that called it.",
        missing="The run was deleted while its tool calls were read; read them again.",
    )


@table_type(models.Run)
class Run(Node):
    """The assistant's work on one reply."""

    status: auto
    model: auto
    input_tokens: auto
    output_tokens: auto
    error: auto
    revision: auto
    created_at: auto
    finished_at: auto
    undone_at: auto

    conversation = reference(
        models.Conversation, "conversation_id", Conversation, "The conversation that it answers in.", missing=_GONE
    )
    message = reference(models.Message, "message_id", Message, "The message that it answers.", missing=_GONE)
    reply = reference(models.Message, "reply_id", Message | None, "The message that it writes.")

    @needing(
        "id",
        graphql_type=list[ToolCall],
        description="The tools that it has called, or asks to call, in that order.",
    )
    @staticmethod
    @batched
    async def tool_calls(parents: strawberry.Parent[list[models.Run]], info: Info) -> list[Any]:
        """Load the tool calls."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.ToolCall)
        return await ToolCallsByRun(caller, columns).load(info.context.database.reader, ids_of(parents))


@strawberry.type(description="A run as it stands.")
class RunPayload:
    """The answer of mutations of a run."""

    run: Run | None = strawberry.field(
        default=None, description="The run; after a CONFLICT over how far it is, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.input(description="A run, by its id.")
class RunRefInput:
    """The id of one run."""

    id: strawberry.ID


@strawberry.input(description="The decision on a tool call that waits for approval.")
class ResolveToolCallInput:
    """A tool call and whether it may be carried out."""

    id: strawberry.ID = strawberry.field(description="The tool call.")
    approve: bool = strawberry.field(description="Whether it may be carried out; where not, the assistant is told so.")


@dataclass(frozen=True, slots=True)
class StartedRunSource:
    """What the payload is resolved from; what may have changed since the run started is read when it is selected."""

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

    conversation = reference(
        models.Conversation,
        "conversation_id",
        Conversation | None,
        "The conversation; a new one where none was named.",
    )
    reply = reference(
        models.Message,
        "reply_id",
        Message | None,
        "The assistant's message; follow it by replyStream while it is STREAMING.",
    )


async def answer_started_run(info: Info, starting: Awaitable[StartedRun], *, wait: bool) -> Any:
    """Return the payload once the run has started or, with `wait`, has ended or waits for approval."""
    try:
        started = await info.context.changing(starting)
        run = await _wait_for_run(info, started.run) if wait else started.run
    except TasktalkError as error:
        return StartedRunSource(errors=[as_data(error)])
    return StartedRunSource(started.conversation.id, started.message, started.reply.id, run)


async def _wait_for_run(info: Info, run: models.Run) -> models.Run:
    """Wait for the run as long as the client does; the run goes on without it."""
    waiting = info.context.runtime.assistant.wait_for_run(info.context.require_caller(), run.id)
    try:
        return await info.context.while_wanted(waiting) or run
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

    def to_message(self) -> UserMessage:
        """Return what the assistant takes."""
        return UserMessage(self.content, self.conversation_id, self.time_zone, self.idempotency_key)


@strawberry.input(description="A reply to write anew.")
class RegenerateReplyInput:
    """What to answer again, and whether to wait."""

    message_id: strawberry.ID = strawberry.field(
        description="The message to answer, or a reply of the assistant to it."
    )
    wait: bool = strawberry.field(
        default=True, description="Whether to answer once the reply is complete, or waits for approval, or at once."
    )
