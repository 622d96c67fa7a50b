"""Conversations: created, updated and deleted, with their messages and runs, by the rules of all entities."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import HAS_REMAINS
from core.transaction import keep_changes
from models import Conversation, Deletion, Message, Run
from services.accounts.caller import Caller
from services.entities.lists import EntityOrder, entity_listing
from services.entities.service import EntityService
from services.entities.tombstones import insert_tombstones
from services.query.filters import IsAnyOf, id_list
from services.query.ordering import OrderDirection
from services.query.pagination import Listing
from services.query.sql import execute, fetch_all, table_of
from services.sync.removal import MAX_AT_ONCE

_CONVERSATIONS: Final = table_of(Conversation)
_DELETIONS: Final = table_of(Deletion)
_MESSAGES: Final = table_of(Message)
_RUNS: Final = table_of(Run)


class ConversationService(EntityService[Conversation]):
    """Create, update and delete conversations."""

    async def remove(
        self, session: AsyncSession, caller: Caller, ids: Sequence[str], revision: int, moment: datetime | None = None
    ) -> list[str]:
        """Delete conversations with all that is in them.

        What has very many messages is marked, and gone for everybody; housekeeping removes its rows by batches.
        """
        messages = select(_MESSAGES.c.id).where(
            caller.owns(_MESSAGES), IsAnyOf(_MESSAGES.c.conversation_id, id_list(ids))
        )
        if not await fetch_all(session, messages.offset(MAX_AT_ONCE).limit(1)):
            return await super().remove(session, caller, ids, revision, moment)
        keep_changes(session)
        moment = moment or utc_now()
        runs = await _end_runs(session, caller, ids, revision)
        named = caller.owns(_CONVERSATIONS), IsAnyOf(_CONVERSATIONS.c.id, id_list(ids))
        await execute(session, update(_CONVERSATIONS).where(*named).values(removed_at=moment, revision=revision))
        session.info[HAS_REMAINS] = True
        tombstone = {"user_id": caller.user_id, "kind": Conversation.entity_kind(), "revision": revision}
        rows = [tombstone | {"id": row_id, "deleted_at": moment} for row_id in dict.fromkeys(ids)]
        await execute(session, insert(_DELETIONS), rows)
        return [*dict.fromkeys(ids), *runs]


async def _end_runs(session: AsyncSession, caller: Caller, ids: Sequence[str], revision: int) -> list[str]:
    """Delete the runs that are at work, which stops them, and return their ids and those of their tool calls."""
    active = select(_RUNS.c.id).where(
        caller.owns(_RUNS), IsAnyOf(_RUNS.c.conversation_id, id_list(ids)), _RUNS.c.finished_at.is_(None)
    )
    run_ids = [row.id for row in await fetch_all(session, active)]
    if not run_ids:
        return []
    deleted = await insert_tombstones(session, caller, Run, run_ids, revision)
    await execute(session, delete(_RUNS).where(caller.owns(_RUNS), IsAnyOf(_RUNS.c.id, id_list(run_ids))))
    return sorted(row_id for each in deleted.values() for row_id in each)


conversations: Final = ConversationService(Conversation)


class ConversationOrder(EntityOrder, model=Conversation):
    """One thing to order conversations by."""


_DEFAULT: Final = ConversationOrder.by("updated_at", OrderDirection.DESC)


def conversation_listing(
    caller: Caller, columns: frozenset[str] = frozenset(), order: Sequence[ConversationOrder] | None = None
) -> Listing:
    """Return the list of the caller's conversations, by default the latest active first."""
    return entity_listing(caller, order, _DEFAULT, columns)
