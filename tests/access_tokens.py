"""Makes personal access tokens for tests."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from core.database import Database
from models import AccessScope, AccessToken
from services.accounts.access_tokens import CreatedAccessToken, NewAccessToken, create_access_token
from services.accounts.audit import NO_CLIENT
from services.accounts.caller import Caller
from services.query.sql import execute, fetch_all, table_of

_TOKENS = table_of(AccessToken)


async def make_access_token(
    database: Database,
    caller: Caller,
    scopes: Sequence[AccessScope] = tuple(AccessScope),
    expires_at: datetime | None = None,
) -> CreatedAccessToken:
    """Make a token as its owner would."""
    new = NewAccessToken("Desktop assistant", scopes, expires_at)
    return await database.write(lambda session: create_access_token(session, caller, new, NO_CLIENT))


async def change_access_token(database: Database, token_id: str, **values: Any) -> None:
    """Change a token behind the services' back."""
    statement = update(_TOKENS).where(_TOKENS.c.id == token_id).values(values)
    await database.write(lambda session: execute(session, statement))


async def access_token_rows(database: Database, user_id: str) -> list[Any]:
    async with database.read() as session:
        statement = select(_TOKENS).where(_TOKENS.c.user_id == user_id).order_by(_TOKENS.c.created_at, _TOKENS.c.id)
        return list(await fetch_all(session, statement))
