"""What a password is checked against, read beforehand and held still while the transaction acts on it."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import ColumnElement, select, update
from sqlmodel import col
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import ForbiddenError
from models import User
from services.accounts.caller import Caller
from services.entities.revision import next_revision
from services.query.sql import execute, table_of

_USERS: Final = table_of(User)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account that signs in here."""

    user_id: str
    email: str
    password_hash: str = field(repr=False)
    is_active: bool


async def of_email(session: AsyncSession, email: str) -> Credentials | None:
    """Return the credentials of the account with that address, if there is one."""
    return await _read(session, _USERS.c.email == email)


async def of_caller(session: AsyncSession, caller: Caller) -> Credentials:
    """Return the caller's own credentials; who signs in elsewhere has none here."""
    credentials = await _read(session, _USERS.c.id == caller.user_id)
    if credentials is None:
        raise ForbiddenError("Your account and its password are kept where you sign in; change them there.")
    return credentials


async def hold(session: AsyncSession, checked: Credentials) -> User | None:
    """Return the user, who stays as they are until the transaction ends; None where the password changed meanwhile."""
    statement = select_model(User).where(
        col(User.id) == checked.user_id, col(User.password_hash) == checked.password_hash, col(User.is_active)
    )
    return (await session.exec(statement.with_for_update(key_share=True))).one_or_none()


async def replace_hash(session: AsyncSession, user_id: str, password_hash: str) -> None:
    """Keep another hash for the user."""
    await next_revision(session, user_id)
    await execute(session, update(_USERS).where(_USERS.c.id == user_id).values(password_hash=password_hash))


async def _read(session: AsyncSession, condition: ColumnElement[bool]) -> Credentials | None:
    columns = (_USERS.c.id, _USERS.c.email, _USERS.c.password_hash, _USERS.c.is_active)
    statement = select(*columns).where(condition, _USERS.c.password_hash.is_not(None))
    row = (await execute(session, statement)).one_or_none()
    return None if row is None else Credentials(row.id, row.email, row.password_hash, row.is_active)
