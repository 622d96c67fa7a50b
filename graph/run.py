"""The GraphQL type of runs."""

from typing import Any

import strawberry
from strawberry import auto

import models
from core.errors import NotFoundError
from engine import batched
from graph.context import Info
from graph.conversation import Conversation
from graph.loaders import ToolCallsByRun
from graph.mapping import needing, table_type
from graph.message import Message, load_conversations, load_messages
from graph.node import Node, ids_of
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

    @needing("conversation_id", graphql_type=Conversation, description="The conversation that it answers in.")
    @staticmethod
    @batched
    async def conversation(parents: strawberry.Parent[list[models.Run]], info: Info) -> list[Any]:
        """Load the conversations."""
        found = await load_conversations(info, [run.conversation_id for run in parents])
        return [conversation or _gone() for conversation in found]

    @needing("message_id", graphql_type=Message, description="The message that it answers.")
    @staticmethod
    @batched
    async def message(parents: strawberry.Parent[list[models.Run]], info: Info) -> list[Any]:
        """Load the messages."""
        return [message or _gone() for message in await load_messages(info, [run.message_id for run in parents])]

    @needing("reply_id", graphql_type=Message | None, description="The message that it writes.")
    @staticmethod
    @batched
    async def reply(parents: strawberry.Parent[list[models.Run]], info: Info) -> list[Any]:
        """Load the replies."""
        return await load_messages(info, [run.reply_id for run in parents])

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


def _gone() -> NotFoundError:
    return NotFoundError("The conversation was deleted while its runs were read; read them again.")


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
