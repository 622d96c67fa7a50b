"""GraphQL types, inputs and payloads of runs and tool calls."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Final

import strawberry
from strawberry import auto

import models
from assistant.tool_texts import subject_of, summary_of, task_id_of, title_of
from core.errors import NotFoundError, TasktalkError
from engine import batched
from graph.context import Info
from graph.conversation import Conversation
from graph.mapping import IDEMPOTENCY_KEY, Node, reads_columns, table_type
from graph.message import Message
from graph.payload import UserError, as_data
from graph.relations import LazyRun, reference, viewer
from graph.selection import selected_columns
from services.query.lookup import rows_by_id
from services.runs.run import StartedRun
from services.runs.tool_call import tool_calls_by_run

_WAIT: Final = "Whether to answer once the reply is complete, or waits for approval, or at once."
_TITLE: Final = frozenset({"title"})
_CONVERSATION_GONE: Final = "The conversation was deleted while its runs were read; read them again."


@table_type(models.ToolCall)
class ToolCall(Node):
    run = reference(
        models.Run,
        "run_id",
        LazyRun,
        "The run that called it.",
        if_gone="The run was deleted while its tool calls were read; read them again.",
    )

    @reads_columns(
        "name",
        "arguments",
        "result",
        graphql_type=str,
        description="What the tool is asked for, for people, such as: Create the task “Buy milk”.",
    )
    @staticmethod
    @batched
    async def title(parents: strawberry.Parent[list[models.ToolCall]], info: Info) -> list[str]:
        """Return the titles; those of calls that name a task by its id alone have the title that it has now."""
        subjects = [subject_of(call.name, call.arguments, call.result) for call in parents]
        ids = [
            task_id_of(call.name, call.arguments) if subject is None else None
            for call, subject in zip(parents, subjects, strict=True)
        ]
        tasks = await info.context.load(rows_by_id, _TITLE, ids, models.Task) if any(ids) else [None] * len(ids)
        return [
            title_of(call.name, task.title if task is not None else subject)
            for call, subject, task in zip(parents, subjects, tasks, strict=True)
        ]

    @reads_columns("name", "status", "result", description="What came of it, for people, such as: Created 1 task.")
    @staticmethod
    def summary(root: strawberry.Parent[models.ToolCall]) -> str:
        return summary_of(root.name, root.status, root.result)


@table_type(models.Run)
class Run(Node):
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
        models.Conversation,
        "conversation_id",
        Conversation,
        "The conversation that it answers in.",
        if_gone=_CONVERSATION_GONE,
    )
    message = reference(
        models.Message, "message_id", Message, "The message that it answers.", if_gone=_CONVERSATION_GONE
    )
    reply = reference(models.Message, "reply_id", Message | None, "The message that it writes.")

    @reads_columns(
        "id",
        graphql_type=list[ToolCall],
        description="The tools that it has called, or asks to call, in that order.",
    )
    @staticmethod
    @batched
    async def tool_calls(parents: strawberry.Parent[list[models.Run]], info: Info) -> list[Any]:
        caller, columns = info.context.require_caller(), selected_columns(info, models.ToolCall)
        return await tool_calls_by_run(info.context.database.reader, caller, [run.id for run in parents], columns)


@strawberry.type(description="A run as it stands.")
class RunPayload:
    run: Run | None = strawberry.field(
        default=None, description="The run; after a CONFLICT over how far it is, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.input(description="A run, by its id.")
class RunRefInput:
    id: strawberry.ID


@strawberry.input(description="The decision on a tool call that waits for approval.")
class ResolveToolCallInput:
    id: strawberry.ID = strawberry.field(description="The tool call.")
    approve: bool = strawberry.field(description="Whether it may be carried out; where not, the assistant is told so.")


@dataclass(frozen=True, slots=True)
class StartedRunSource:
    """Value that the payload is resolved from; rows that may have changed since are read when they are selected."""

    conversation_id: str | None = None
    message: models.Message | None = None
    reply_id: str | None = None
    run: models.Run | None = None
    errors: list[UserError] = field(default_factory=list)


@strawberry.type(description="What was asked, and the assistant's answer as far as it is.")
class SendMessagePayload:
    message: Message | None = strawberry.field(default=None, description="The message that is answered.")
    run: Run | None = strawberry.field(default=None, description="The assistant's work on the reply.")
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is no answer.")
    viewer = viewer()

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
        return StartedRunSource(errors=as_data(error))
    return StartedRunSource(started.conversation.id, started.message, started.reply.id, run)


async def _wait_for_run(info: Info, run: models.Run) -> models.Run:
    """Wait for the run as long as the client does; the run goes on without it."""
    waiting = info.context.runtime.assistant.wait_for_run(info.context.require_caller(), run.id)
    try:
        return await info.context.wait_while_connected(waiting) or run
    except NotFoundError:
        raise NotFoundError("The conversation was deleted before the reply was complete.") from None


@strawberry.input(description="A message for the assistant to answer.")
class SendMessageInput:
    content: str = strawberry.field(description="1 to 100,000 characters.")
    conversation_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where it is said; without one a new conversation begins."
    )
    wait: bool = strawberry.field(default=True, description=_WAIT)
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)
    time_zone: str = strawberry.field(
        default="UTC", description="The name of the person's time zone, such as Europe/Berlin; dates are read in it."
    )


@strawberry.input(description="A reply to write anew.")
class RegenerateReplyInput:
    message_id: strawberry.ID = strawberry.field(
        description="The message to answer, or a reply of the assistant to it."
    )
    wait: bool = strawberry.field(default=True, description=_WAIT)
    idempotency_key: str | None = strawberry.field(default=None, description=IDEMPOTENCY_KEY)
