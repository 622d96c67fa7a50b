"""The GraphQL type of runs."""

from typing import Any

import strawberry
from strawberry import auto

import models
from core.errors import NotFoundError
from graph.context import Info
from graph.conversation import Conversation
from graph.loaders import ToolCallsByRun
from graph.mapping import needing, table_type
from graph.message import Message, load_conversation, load_message
from graph.node import Node
from graph.payload import UserError
from graph.selection import selected_columns
from graph.tool_call import ToolCall


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

    @needing("conversation_id", description="The conversation that it answers in.")
    @staticmethod
    async def conversation(root: strawberry.Parent[models.Run], info: Info) -> Conversation:
        """Load the conversation."""
        return _still_there(await load_conversation(info, root.conversation_id))

    @needing("message_id", description="The message that it answers.")
    @staticmethod
    async def message(root: strawberry.Parent[models.Run], info: Info) -> Message:
        """Load the message."""
        return _still_there(await load_message(info, root.message_id))

    @needing("reply_id", description="The message that it writes.")
    @staticmethod
    async def reply(root: strawberry.Parent[models.Run], info: Info) -> Message | None:
        """Load the reply."""
        reply: Message | None = await load_message(info, root.reply_id)
        return reply

    @needing("id", description="The tools that it has called, or asks to call, in that order.")
    @staticmethod
    async def tool_calls(root: strawberry.Parent[models.Run], info: Info) -> list[ToolCall]:
        """Load the tool calls."""
        caller, columns = info.context.require_caller(), selected_columns(info, models.ToolCall)
        calls: Any = await info.context.loader(info, lambda: ToolCallsByRun(caller, columns)).load(root.id)
        return list(calls)


def _still_there(row: Any) -> Any:
    if row is None:
        raise NotFoundError("The conversation was deleted while its runs were read; read them again.")
    return row


@strawberry.type(description="A run as it stands.")
class RunPayload:
    """The answer of mutations of a run."""

    run: Run | None = strawberry.field(
        default=None, description="The run; after a CONFLICT over how far it is, as it stands now."
    )
    errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.input(description="A run, by its id.")
class RunRefInput:
    """Names one run."""

    id: strawberry.ID
