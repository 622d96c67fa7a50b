"""Conversations: created, updated and deleted, with their messages and runs, by the rules of all entities."""

from collections.abc import Sequence
from typing import Final

from models import Conversation
from services.accounts.caller import Caller
from services.entities.lists import EntityOrder, entity_listing
from services.entities.service import EntityService
from services.query.ordering import OrderDirection
from services.query.pagination import Listing

conversations: Final = EntityService(Conversation)


class ConversationOrder(EntityOrder, model=Conversation):
    """One thing to order conversations by."""


_DEFAULT: Final = ConversationOrder.by("updated_at", OrderDirection.DESC)


def conversation_listing(
    caller: Caller, columns: frozenset[str] = frozenset(), order: Sequence[ConversationOrder] | None = None
) -> Listing:
    """Return the list of the caller's conversations, by default the latest active first."""
    return entity_listing(caller, order, _DEFAULT, columns)
