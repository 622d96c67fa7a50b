"""The poll: in every case, one statement a tick asks for all users whom someone waits for."""

from typing import Final

from sqlalchemy import select

from core.database import Database
from live.hub import Hub, WakeUp
from models import User
from services.expressions import IsAnyOf, text_list
from services.sql import fetch_all, table_of

_USERS: Final = table_of(User)


async def poll(database: Database, hub: Hub) -> bool:
    """Wake those whose users have changed; return whether there was any of whom nothing else had told."""
    users = hub.users
    if not users:
        return False
    statement = select(_USERS.c.id, _USERS.c.revision).where(IsAnyOf(_USERS.c.id, text_list(users)))
    async with database.read() as session:
        rows = await fetch_all(session, statement)
    return hub.wake({row.id: row.revision for row in rows}, WakeUp.POLL)
