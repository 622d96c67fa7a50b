"""The audit log of each account: events are recorded in the transaction that does what they tell of."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import delete, select
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.text import is_storable
from models import AuditEvent, AuditEventKind
from models.columns import columns_of
from services.accounts.caller import Caller, not_admin
from services.query.ordering import OrderDirection, order_by, sort_key
from services.query.pagination import Listing
from services.query.sql import execute, insert_rows, table_of

# Older ones of the kind make room, so that nobody grows the log, or floods it until what is of another kind is gone.
MAX_EVENTS_OF_KIND: Final = 500

_EVENTS: Final = table_of(AuditEvent)
_ORDER: Final = order_by(_EVENTS, ((sort_key(AuditEvent, "created_at"), OrderDirection.DESC),))


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from."""

    address: str = ""
    user_agent: str = ""

    def as_columns(self, model: type[SQLModel]) -> dict[str, Any]:
        """Return it for the columns of those names, cut to their lengths; None where there is nothing to store."""
        columns = columns_of(model)
        texts = {name: getattr(self, name)[: columns[name].maximum] for name in ("address", "user_agent")}
        return {name: text if text and is_storable(text) else None for name, text in texts.items()}


# As the command line.
NO_CLIENT: Final = Client()


async def record_event(session: AsyncSession, client: Client, kind: AuditEventKind, user_id: str, **about: Any) -> None:
    """Record an event of an account, who did it or what it is `about`, and where the request came from."""
    event = AuditEvent(user_id=user_id, kind=kind, **client.as_columns(AuditEvent), **about)
    await insert_rows(session, AuditEvent, [event.model_dump()])
    newest_first = _EVENTS.c.created_at.desc(), _EVENTS.c.id.desc()
    same_kind = select(_EVENTS.c.id).where(_EVENTS.c.user_id == user_id, _EVENTS.c.kind == kind)
    older = _EVENTS.c.id.in_(same_kind.order_by(*newest_first).offset(MAX_EVENTS_OF_KIND))
    await execute(session, delete(_EVENTS).where(_EVENTS.c.user_id == user_id, older))


def audit_listing(caller: Caller | None, columns: frozenset[str] = frozenset()) -> Listing:
    """Return the list of the caller's events, or of everybody's, the newest first."""
    return Listing(table=_EVENTS, order=_ORDER, caller=caller, columns=columns)


def audit_listing_of(caller: Caller, user_id: str, columns: frozenset[str]) -> Listing:
    """Return the list of any user's events; for admins."""
    if not caller.is_admin:
        raise not_admin()
    return audit_listing(replace(caller, user_id=user_id), columns)
