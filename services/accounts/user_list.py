"""Lists of users, and users by id: oneself, or anyone for an admin."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import select

from core.batch_loader import BatchLoader, KeyedStatement
from core.errors import ForbiddenError
from core.prepared_statement import PreparedStatement
from core.text import is_storable
from models import User
from services.accounts.caller import Caller
from services.query.filters import IsAnyOf, text_list_param
from services.query.ordering import Key, OrderDirection, moment_key, order_by, read_text
from services.query.pagination import Listing
from services.query.sql import Source, columns_of, read, table_of

_USERS: Final = table_of(User)
_IDS: Final = "ids"
_ORDER: Final = order_by(_USERS, ((moment_key("created_at"), OrderDirection.ASC),), Key("id", read_text))


def user_listing(caller: Caller, columns: frozenset[str] = frozenset()) -> Listing:
    """Return the list of all users, in the order of their signing up."""
    require_admin(caller)
    return Listing(table=_USERS, order=_ORDER, caller=None, columns=columns)


def require_admin(caller: Caller) -> None:
    """Refuse anyone but an admin."""
    if not caller.is_admin:
        raise ForbiddenError("Only admins may do this.")


async def users_by_id(source: Source, caller: Caller, ids: Sequence[str], columns: Iterable[str]) -> list[Any]:
    """Return the users in the order of the ids; None where there is none that the caller may see."""
    visible = [user_id for user_id in ids if user_id == caller.user_id or (caller.is_admin and is_storable(user_id))]
    users = _users_by_id(frozenset(columns))
    found = {row.id: row for row in await read(source, users.statement, {_IDS: visible})}
    return [found.get(user_id) for user_id in ids]


async def own_row(loader: BatchLoader, caller: Caller, columns: frozenset[str]) -> Any:
    """Return the caller's own row, if it is still there."""
    return await loader.load(_users_by_id(columns), (caller.user_id,))


@lru_cache(maxsize=64)
def _users_by_id(columns: frozenset[str]) -> KeyedStatement:
    selected = columns_of(_USERS, columns - {"id"})
    return KeyedStatement(
        PreparedStatement(select(_USERS.c.id, *selected).where(IsAnyOf(_USERS.c.id, text_list_param(_IDS)))), _IDS
    )
