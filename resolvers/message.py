"""Mutations of messages, and following those of a conversation."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import strawberry
from sqlalchemy import Row

import models
from graph.answering import RegenerateReplyInput, SendMessageInput, SendMessagePayload, answer_by_assistant
from graph.context import Info
from graph.following import follow
from graph.message import AddMessageInput, MessageEvent, MessagePayload, event_of
from graph.payload import mutate
from graph.reply import ReplyChunk, follow_reply
from graph.selection import columns_below
from services.conversations import message as messages
from services.conversations.new_messages import (
    MOST_AT_ONCE,
    MessageCursor,
    completed_since,
    current_revision,
    read_message_cursor,
    resume,
)
from services.conversations.reply import check_offset


@strawberry.type
class MessageMutation:
    """Changes the caller's messages."""

    @strawberry.mutation(description="Store a message; no assistant answers it.")
    async def add_message(self, info: Info, input: AddMessageInput) -> MessagePayload:
        """Store one."""
        work = partial(messages.add_message, new=input.to_new(), key=input.idempotency_key)
        return await mutate(info, MessagePayload, "message", work)

    @strawberry.mutation(
        graphql_type=SendMessagePayload,
        description="Store a message and let the assistant answer it; the run goes on when the client leaves.",
    )
    async def send_message(self, info: Info, input: SendMessageInput) -> Any:
        """Ask the assistant."""
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        return await answer_by_assistant(info, assistant.ask(caller, input.to_question()), wait=input.wait)

    @strawberry.mutation(
        graphql_type=SendMessagePayload, description="Let the assistant answer a message anew; the old reply stays."
    )
    async def regenerate_reply(self, info: Info, input: RegenerateReplyInput) -> Any:
        """Ask the assistant again."""
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        return await answer_by_assistant(info, assistant.ask_again(caller, input.message_id), wait=input.wait)


@strawberry.type
class MessageSubscription:
    """Follows messages."""

    @strawberry.subscription(
        description="Each message of a conversation once, when it is complete: those beyond a cursor, then every "
        "new one; without a cursor, from now on."
    )
    async def message_added(
        self, info: Info, conversation_id: strawberry.ID, after: str | None = None
    ) -> AsyncGenerator[MessageEvent, None]:
        """Follow the messages of a conversation."""
        caller, columns = info.context.require_caller(), columns_below(info, "message", models.Message)
        cursor = None if after is None else read_message_cursor(after, "after")
        async with info.context.database.read() as session:
            revision = await current_revision(session, caller, conversation_id)
        place = resume(cursor, revision)

        async def look() -> tuple[Sequence[Row[Any]] | None, bool]:
            nonlocal place
            async with info.context.database.read() as session:
                found = await completed_since(session, caller, conversation_id, place, columns)
            if found:
                place = MessageCursor(found[-1].revision, found[-1].id)
            return found or None, len(found) == MOST_AT_ONCE

        async for found in follow(info.context, revision, look):
            for row in found:
                yield event_of(row)

    @strawberry.subscription(
        description="A reply as it is written, from any place in it, whichever process writes it; ends when it ends."
    )
    async def reply_stream(
        self, info: Info, message_id: strawberry.ID, from_offset: int = 0
    ) -> AsyncGenerator[ReplyChunk, None]:
        """Follow the text of a message."""
        async with aclosing(follow_reply(info.context, message_id, check_offset(from_offset, "fromOffset"))) as chunks:
            async for chunk in chunks:
                yield chunk
