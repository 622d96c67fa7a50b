"""The poll: in every case, one statement a tick asks for all users whom someone waits for."""

from typing import Final

from sqlalchemy import select

from core.database import Database
from core.prepared_statement import PreparedStatement
from live.hub import Hub, WakeUp
from models import User
from services.query.filters import IsAnyOf, text_list_param
from services.query.sql import table_of

_USERS: Final = table_of(User)
_REVISIONS: Final = PreparedStatement(
    select(_USERS.c.id, _USERS.c.revision).where(IsAnyOf(_USERS.c.id, text_list_param("ids")))
)


async def poll(database: Database, hub: Hub) -> bool:
    """Wake those whose users have changed; return whether there was any of whom nothing else had told."""
    users = hub.users
    if not users:
        return False
    rows = await database.reader.fetch(_REVISIONS, {"ids": users})
    return hub.wake({row.id: row.revision for row in rows}, WakeUp.POLL)
