"""The GraphQL types of runs and tool calls, and of the mutations that start and decide on them."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

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
from graph.references import load_rows, reference
from graph.selection import selected_columns
from services.runs.run import StartedRun, UserMessage


@table_type(models.ToolCall)
class ToolCall(Node):
    """One use of a tool."""

    name: auto
    arguments: auto
    result: auto
    status: auto
    revision: auto
    created_at: auto

    @needing("run_id", graphql_type=LazyRun, description="The run that called it.")
    @staticmethod
    @batched
    async def run(parents: strawberry.Parent[list[models.ToolCall]], info: Info) -> list[Any]:
        """Load the runs."""
        found = await load_rows(info, models.Run, [call.run_id for call in parents])
        return [run or _gone("run", "tool calls") for run in found]


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

    @needing("conversation_id", graphql_type=Conversation, description="The conversation that it answers in.")
    @staticmethod
    @batched
    async def conversation(parents: strawberry.Parent[list[models.Run]], info: Info) -> list[Any]:
        """Load the conversations."""
        found = await load_rows(info, models.Conversation, [run.conversation_id for run in parents])
        return [conversation or _gone("conversation", "runs") for conversation in found]

    @needing("message_id", graphql_type=Message, description="The message that it answers.")
    @staticmethod
    @batched
    async def message(parents: strawberry.Parent[list[models.Run]], info: Info) -> list[Any]:
        """Load the messages."""
        found = await load_rows(info, models.Message, [run.message_id for run in parents])
        return [message or _gone("conversation", "runs") for message in found]

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


def _gone(parent: str, children: str) -> NotFoundError:
    return NotFoundError(f"The {parent} was deleted while its {children} were read; read them again.")


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

    @strawberry.field(graphql_type=Conversation | None, description="The conversation; a new one where none was named.")
    @staticmethod
    @batched
    async def conversation(parents: strawberry.Parent[list[StartedRunSource]], info: Info) -> list[Any]:
        """Load the conversations."""
        return await load_rows(info, models.Conversation, [source.conversation_id for source in parents])

    @strawberry.field(
        graphql_type=Message | None,
        description="The assistant's message; follow it by replyStream while it is STREAMING.",
    )
    @staticmethod
    @batched
    async def reply(parents: strawberry.Parent[list[StartedRunSource]], info: Info) -> list[Any]:
        """Load the replies."""
        return await load_rows(info, models.Message, [source.reply_id for source in parents])


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
