"""The fields of Subscription."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Annotated, Any

import strawberry

import models
from core.ids import parse_id
from graph.context import Info
from graph.message import MessageEvent, ReplyChunk
from graph.selection import selected_columns
from graph.sync import ChangeSet, ChangesFirst, ChangesTypes, load_changes
from live.follow import follow_changes, follow_reply, retry_while_unavailable
from services.conversations import messages
from services.sync import changes as sync


@strawberry.type(description="Follows what happens, over a socket or as server-sent events.")
class Subscription:
    @strawberry.subscription(
        description="Each message of a conversation once, when it is complete: those beyond a cursor, then every "
        "new one; without a cursor, from now on."
    )
    async def message_added(
        self, info: Info, conversation_id: strawberry.ID, after: str | None = None
    ) -> AsyncGenerator[MessageEvent, None]:
        caller, columns = info.context.require_caller(), selected_columns(info, models.Message, "message")
        live = info.context.runtime.live
        cursor = None if after is None else messages.read_message_cursor(after, "after")
        reader = info.context.database.reader
        present = await retry_while_unavailable(partial(messages.present_cursor, reader, caller, conversation_id))
        place = messages.resume(cursor, present)

        async def read() -> tuple[Any | None, bool]:
            nonlocal place
            find = partial(messages.completed_since, reader, caller, conversation_id, place, columns)
            key = (messages.completed_since, caller.user_id, conversation_id, place, columns)
            found = await live.shared_reads.read(key, find)
            if found:
                place = messages.MessageCursor(found[-1].revision, found[-1].id, place.epoch)
            return found or None, len(found) == messages.MAX_COMPLETED

        async for found in follow_changes(live, caller.user_id, present.revision, read):
            for row in found:
                cursor = messages.MessageCursor(row.revision, row.id, place.epoch)
                yield MessageEvent(cursor=cursor.write(), message=row)

    @strawberry.subscription(
        description="A reply as it is written, from any place in it, whichever process writes it; ends when it ends."
    )
    async def reply_stream(
        self, info: Info, message_id: strawberry.ID, from_offset: int = 0
    ) -> AsyncGenerator[ReplyChunk, None]:
        offset = messages.check_offset(from_offset, "fromOffset")
        caller, reply_id = info.context.require_caller(), parse_id(message_id) or message_id
        live = info.context.runtime.live

        async def read() -> messages.Reply:
            find = partial(messages.read_reply, info.context.database.reader, caller, reply_id, offset)
            return await live.shared_reads.read((messages.read_reply, caller.user_id, reply_id, offset), find)

        async with aclosing(follow_reply(live, caller.user_id, reply_id, read)) as replies:
            async for reply in replies:
                if reply.text or reply.has_ended:
                    start, offset = reply.offset, reply.offset + len(reply.text)
                    yield ReplyChunk(
                        message_id=strawberry.ID(reply_id),
                        offset=start,
                        text=reply.text,
                        status=reply.status,
                        next_offset=offset,
                    )

    @strawberry.subscription(
        description="What lies beyond a cursor, then every change as it comes; without a cursor, from now on."
    )
    async def changes(
        self,
        info: Info,
        since: Annotated[
            str | None, strawberry.argument(description="A cursor that changes gave; without one, from now on.")
        ] = None,
        first: ChangesFirst = None,
        types: ChangesTypes = None,
    ) -> AsyncGenerator[ChangeSet, None]:
        caller, live, size = info.context.require_caller(), info.context.runtime.live, sync.check_size(first)
        cursor = None if since is None else sync.read_cursor(since, "since")
        kinds = sync.check_kinds(types, cursor)
        counter = await retry_while_unavailable(partial(sync.read_counter, info.context.database.reader, caller))
        now = sync.Cursor(counter.revision, epoch=counter.epoch, kinds=kinds)
        place = now if cursor is None else sync.resume(cursor, counter, kinds)

        async def read() -> tuple[Any | None, bool]:
            nonlocal place
            find = partial(sync.read_changes, info.context.database.reader, caller, place, size)
            changes = await live.shared_reads.read((sync.read_changes, caller.user_id, place, size), find)
            found = await load_changes(info, changes) if changes.entries else None
            place = changes.cursor
            return found, changes.has_more

        async for found in follow_changes(live, caller.user_id, counter.revision, read):
            yield found
