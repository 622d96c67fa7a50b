"""A reply as it is written, as GraphQL shows it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

import strawberry

from core.ids import parse_id
from graph.context import Context
from graph.following import patiently
from live.hub import Waiter
from models import MessageStatus
from services.conversations.reply import Reply, read_reply

# Of what this process writes it is told; what another writes has to be looked for.
_LOOK_EVERY_S: Final = 0.25
# Each look is a query: one user's followers share so many a second, however many there are.
_FEW: Final = 40
_MOST_LOOKS_PER_S: Final = 400


@strawberry.type(description="A piece of a reply; the pieces follow each other without a gap.")
class ReplyChunk:
    """An event of replyStream."""

    message_id: strawberry.ID = strawberry.field(description="The reply.")
    offset: int = strawberry.field(description="Where the piece begins, in Unicode code points.")
    text: str = strawberry.field(description="The piece; the last one may be empty.")
    status: MessageStatus = strawberry.field(description="How far the reply is; after any but STREAMING comes no more.")
    next_offset: int = strawberry.field(
        description="Where the next piece will begin; pass it as fromOffset to go on from here after a cut."
    )


async def follow_reply(context: Context, message_id: str, offset: int) -> AsyncGenerator[ReplyChunk, None]:
    """Yield a reply's text from the offset on until it ends; no connection is held while nothing comes.

    The waiters are registered before the first look, so that nothing falls between looking and waiting.
    """
    caller, live = context.require_caller(), context.runtime.live
    reply_id = parse_id(message_id) or message_id

    async def look() -> Reply:
        async with context.database.read() as session:
            return await read_reply(session, caller, reply_id, offset)

    with live.replies.waiting(reply_id) as writing, live.hub.waiting(caller.user_id) as changing:
        while True:
            reply = await patiently(look)
            if reply.text or reply.has_ended:
                chunk = _chunk(reply_id, reply)
                offset = chunk.next_offset
                yield chunk
            if reply.has_ended:
                return
            if reply.is_paused:
                # Whatever ends the pause counts as a change of the user's, in any process.
                await changing.wait()
            else:
                await asyncio.sleep(rest_of(live.hub.count(caller.user_id)))
                await _wait_a_bit(writing)


def rest_of(followers: int) -> float:
    """Return how long each of a user's followers rests after a look, in seconds."""
    return 0 if followers <= _FEW else followers / _MOST_LOOKS_PER_S


def _chunk(reply_id: str, reply: Reply) -> ReplyChunk:
    return ReplyChunk(
        message_id=strawberry.ID(reply_id),
        offset=reply.offset,
        text=reply.text,
        status=reply.status,
        next_offset=reply.offset + len(reply.text),
    )


async def _wait_a_bit(writing: Waiter) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_EVERY_S):
            await writing.wait()
    # Told again of the same length it must look: the reply may have ended with it.
    writing.seen = -1
