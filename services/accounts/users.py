"""Profiles, and what admins may do to users."""

import re
from typing import Any, Final

from sqlalchemy import delete as sql_delete
from sqlalchemy import or_, select, update
from sqlmodel import col
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.database import REVISIONS, leave_unchanged
from core.errors import (
    BadUserInputError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from core.text import is_storable, require_length, require_line
from models import User
from services.absent import ABSENT, Absent
from services.accounts.caller import Caller
from services.accounts.sessions import revoke_all
from services.entities.revision import next_revision
from services.query.sql import execute, table_of

MOST_NAME_LENGTH: Final = 200
MOST_IMAGE_LENGTH: Final = 2_000

_USERS: Final = table_of(User)
_IMAGE_FORM: Final = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_ID_PATH: Final = ("input", "id")


async def find(session: AsyncSession, user_id: str) -> User:
    """Return the user's row; there is none where the account was deleted a moment ago."""
    user = await session.get(User, user_id, populate_existing=True)
    if user is None:
        raise UnauthenticatedError("This account was deleted.")
    return user


async def update_profile(
    session: AsyncSession, caller: Caller, *, name: str | Absent | None = ABSENT, image: str | Absent | None = ABSENT
) -> User:
    """Change what is sent and return the user; an image of None is taken away."""
    if name is ABSENT and image is ABSENT:
        return await find(session, caller.user_id)
    checked_name = name if isinstance(name, Absent) else check_name(name, ("input", "name"))
    checked_image = image if isinstance(image, Absent) else _check_image(image, ("input", "image"))
    revision = await next_revision(session, caller.user_id)
    user = await find(session, caller.user_id)
    if user.issuer is not None:
        raise ForbiddenError("Your profile is kept where you sign in; change it there.")
    sent = {"name": checked_name, "image": checked_image}
    changes = {key: value for key, value in sent.items() if value is not ABSENT and value != getattr(user, key)}
    if not changes:
        leave_unchanged(session)
        return user
    for key, value in changes.items():
        setattr(user, key, value)
    user.profile_revision, user.updated_at = revision, utc_now()
    await session.flush()
    return user


def check_name(name: str | None, path: tuple[str, ...]) -> str:
    """Return the name without white space around it, or refuse it."""
    if name is None:
        raise BadUserInputError("name cannot be null; leave it out to keep it.", path=path)
    return require_line(name, path, most=MOST_NAME_LENGTH)


def _check_image(image: str | None, path: tuple[str, ...]) -> str | None:
    if image is None:
        return None
    require_length(image, path, least=1, most=MOST_IMAGE_LENGTH)
    if not is_image_address(image):
        raise BadUserInputError("image must be an address that begins with https:// or http://.", path=path)
    return image


def is_image_address(text: str) -> bool:
    """Tell whether the text can stand as the address of a picture."""
    return len(text) <= MOST_IMAGE_LENGTH and _IMAGE_FORM.fullmatch(text) is not None


async def require_admin(session: AsyncSession, caller: Caller) -> None:
    """Refuse whoever is no admin now; in a transaction they also stay one until it ends."""
    statement = select(_USERS.c.is_admin).where(_USERS.c.id == caller.user_id, _USERS.c.is_active)
    if not (await execute(session, statement.with_for_update(key_share=True))).scalar():
        raise ForbiddenError("Only admins may do this.")


async def set_active(session: AsyncSession, caller: Caller, user_id: str, *, is_active: bool) -> User:
    """Let a user in or shut them out, which ends their sessions; return them."""
    await _require_other(session, caller, user_id)
    user = await session.get(User, user_id)
    if user is not None and user.is_active == is_active:
        leave_unchanged(session)
        return user
    await _change(session, user_id, is_active=is_active)
    if not is_active:
        await revoke_all(session, user_id)
    return await find(session, user_id)


async def delete_user(session: AsyncSession, caller: Caller, user_id: str) -> None:
    """Delete a user and everything of theirs."""
    await _require_other(session, caller, user_id)
    await delete(session, user_id)


async def delete(session: AsyncSession, user_id: str) -> None:
    """Delete a user's row; whatever refers to it goes with it."""
    if not (await execute(session, sql_delete(_USERS).where(_USERS.c.id == user_id))).rowcount:
        raise _no_such_user()


async def _require_other(session: AsyncSession, caller: Caller, user_id: str) -> None:
    await require_admin(session, caller)
    if user_id == caller.user_id:
        raise BadUserInputError("You cannot do this to your own account.", path=_ID_PATH)
    if not is_storable(user_id):
        raise _no_such_user()


async def _change(session: AsyncSession, user_id: str, **values: Any) -> None:
    """Change a row that may be deactivated, which `next_revision` would refuse to count."""
    next_one = _USERS.c.revision + 1
    counted = values | {"revision": next_one, "profile_revision": next_one, "updated_at": utc_now()}
    statement = update(_USERS).where(_USERS.c.id == user_id).values(counted).returning(_USERS.c.revision)
    revision: int | None = (await execute(session, statement)).scalar()
    if revision is None:
        raise _no_such_user()
    session.info.setdefault(REVISIONS, {})[user_id] = revision


def _no_such_user() -> NotFoundError:
    return NotFoundError("There is no such user.", path=_ID_PATH)


async def make_admin(session: AsyncSession, email_or_id: str) -> User:
    """Make an account an admin; the id tells accounts with the same address apart."""
    text = email_or_id.strip()
    found = select_model(User).where(or_(col(User.id) == text, col(User.email) == text.lower()))
    users = (await session.exec(found.order_by(col(User.id)).limit(20))).all()
    if not users:
        raise NotFoundError(f"There is no account with the address {text}.")
    if len(users) > 1:
        ids = ", ".join(user.id for user in users)
        raise ConflictError(f"Several accounts have the address {text}; name one by its id: {ids}.")
    await _change(session, users[0].id, is_admin=True)
    return await find(session, users[0].id)
