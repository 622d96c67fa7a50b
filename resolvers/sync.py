"""What changed for the caller after a cursor, as a query and as a subscription."""

from collections.abc import AsyncGenerator
from typing import Any

import strawberry

from graph.context import Info
from graph.sync import ChangeSet, load_changes
from live.follow import follow_changes
from services.sync.changes import Cursor, check_size, read_changes, read_counter, read_cursor, resume


@strawberry.type
class SyncQuery:
    """Query of changes."""

    @strawberry.field(
        graphql_type=ChangeSet,
        description="What changed after a cursor, up to 100 at a time; without one, all there is.",
    )
    async def changes(self, info: Info, since: str | None = None, first: int | None = None) -> Any:
        """Read one page."""
        caller, size = info.context.require_caller(), check_size(first)
        cursor = None if since is None else read_cursor(since, "since")
        async with info.context.database.read() as session:
            cursor = resume(cursor, await read_counter(session, caller))
            changes = await read_changes(session, caller, cursor, size)
        return await load_changes(info, changes)


@strawberry.type
class SyncSubscription:
    """Subscription to changes."""

    @strawberry.subscription(
        description="What lies beyond a cursor, then every change as it comes; without a cursor, from now on."
    )
    async def changes(self, info: Info, since: str | None = None) -> AsyncGenerator[ChangeSet, None]:
        """Follow the caller's changes."""
        caller = info.context.require_caller()
        cursor = None if since is None else read_cursor(since, "since")
        async with info.context.database.read() as session:
            counter = await read_counter(session, caller)
        place = Cursor(counter.revision) if cursor is None else resume(cursor, counter)

        async def read() -> tuple[Any | None, bool]:
            nonlocal place
            async with info.context.database.read() as session:
                changes = await read_changes(session, caller, place, check_size(None))
            found = await load_changes(info, changes) if changes.entries else None
            place = changes.cursor
            return found, changes.has_more

        async for found in follow_changes(info.context.runtime.live, caller.user_id, counter.revision, read):
            yield found
