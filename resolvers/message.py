"""Mutations of messages, and subscriptions to those of a conversation and to a reply."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import strawberry
from sqlalchemy import Row

import models
from graph.context import Info
from graph.message import AddMessageInput, MessageEvent, MessagePayload, ReplyChunk, event_of, reply_chunks
from graph.payload import mutate
from graph.run import RegenerateReplyInput, SendMessageInput, SendMessagePayload, answer_started_run
from graph.selection import columns_below
from live.follow import follow_changes
from services.conversations import messages
from services.conversations.messages import (
    MAX_COMPLETED,
    MessageCursor,
    check_offset,
    completed_since,
    current_revision,
    read_message_cursor,
    resume,
)


@strawberry.type
class MessageMutation:
    """Mutations of the caller's messages."""

    @strawberry.mutation(description="Store a message; no assistant answers it.")
    async def add_message(self, info: Info, input: AddMessageInput) -> MessagePayload:
        """Store a message."""
        work = partial(messages.add_message, new=input.to_new(), key=input.idempotency_key)
        return await mutate(info, MessagePayload, "message", work)

    @strawberry.mutation(
        graphql_type=SendMessagePayload,
        description="Store a message and let the assistant answer it; the run goes on when the client leaves.",
    )
    async def send_message(self, info: Info, input: SendMessageInput) -> Any:
        """Send a message."""
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        starting = assistant.send_message(caller, input.to_message())
        return await answer_started_run(info, starting, wait=input.wait)

    @strawberry.mutation(
        graphql_type=SendMessagePayload, description="Let the assistant answer a message anew; the old reply stays."
    )
    async def regenerate_reply(self, info: Info, input: RegenerateReplyInput) -> Any:
        """Regenerate a reply."""
        caller, assistant = info.context.require_caller(), info.context.runtime.assistant
        starting = assistant.regenerate_reply(caller, input.message_id)
        return await answer_started_run(info, starting, wait=input.wait)


@strawberry.type
class MessageSubscription:
    """Subscriptions to messages."""

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

        async def read() -> tuple[Sequence[Row[Any]] | None, bool]:
            nonlocal place
            found = await completed_since(info.context.database.reader, caller, conversation_id, place, columns)
            if found:
                place = MessageCursor(found[-1].revision, found[-1].id)
            return found or None, len(found) == MAX_COMPLETED

        async for found in follow_changes(info.context.runtime.live, caller.user_id, revision, read):
            for row in found:
                yield event_of(row)

    @strawberry.subscription(
        description="A reply as it is written, from any place in it, whichever process writes it; ends when it ends."
    )
    async def reply_stream(
        self, info: Info, message_id: strawberry.ID, from_offset: int = 0
    ) -> AsyncGenerator[ReplyChunk, None]:
        """Follow the text of a message."""
        offset = check_offset(from_offset, "fromOffset")
        async with aclosing(reply_chunks(info.context, message_id, offset)) as chunks:
            async for chunk in chunks:
                yield chunk
