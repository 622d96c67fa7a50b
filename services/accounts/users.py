"""Users: addresses, profiles, lists of users, and what admins may change of them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, func, or_, select, update
from sqlalchemy import delete as sql_delete
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.batch_loader import BatchLoader, KeyedStatement
from core.clock import utc_now
from core.database import HAS_REMAINS, REVISIONS
from core.errors import (
    AccountGoneError,
    BadUserInputError,
    ConflictError,
    ErrorReason,
    ForbiddenError,
    NotFoundError,
    check_each,
)
from core.prepared_statement import cached_statement
from core.text import is_storable
from core.transaction import leave_unchanged
from models import AccessToken, AuditEventKind, DeletedIdentity, Email, Session, User
from models.columns import columns_of
from services.accounts.audit import NO_CLIENT, Client, record_event
from services.accounts.caller import Caller, not_admin
from services.accounts.sessions import revoke_all
from services.entities.revision import next_revision
from services.entities.values import INPUT, check_values
from services.query.filters import Conditions, FilterTemplate, IsAnyOf, text_list_param
from services.query.ordering import Key, OrderDirection, order_by, read_text, sort_key
from services.query.pagination import Listing
from services.query.sql import Source, execute, insert_rows, read, table_columns, table_of
from services.sync.removal import has_many_rows

MAX_EMAIL_LENGTH: Final = 254
MAX_NAME_LENGTH: Final = columns_of(User)["name"].maximum or 0
MAX_IMAGE_LENGTH: Final = columns_of(User)["image"].maximum or 0

_USERS: Final = table_of(User)
_DELETED: Final = table_of(DeletedIdentity)
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The WHATWG's definition of a valid address, for `input type=email`, without what mail takes for an encoded word.
_EMAIL_FORM: Final = re.compile(rf"(?!.*=\?[^?@]+\?[bq]\?)[a-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})*")
_IMAGE_FORM: Final = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_ID_PATH: Final = ("input", "id")
_IDS: Final = "ids"
_IS_NOT_REMOVED: Final = _USERS.c.removed_at.is_(None)
_NOT_REMOVED: Final = Conditions(FilterTemplate("there", lambda _key: (_IS_NOT_REMOVED,)), {})
# What is left of an account whose rows are being removed; its address is free again without a password beside it.
_ERASED: Final = {
    "email": "",
    "name": "",
    "image": None,
    "password_hash": None,
    "email_verified": False,
    "is_active": False,
    "is_admin": False,
}
_ORDER: Final = order_by(_USERS, ((sort_key(User, "created_at"), OrderDirection.ASC),), Key("id", read_text))


def normalize_email(text: str) -> str | None:
    """Return the address trimmed and in lower case; None if it is not valid."""
    email = text.strip().lower()
    # `text`, not `email`: some letters of other scripts become ASCII in lower case.
    is_address = text.isascii() and len(email) <= MAX_EMAIL_LENGTH and _EMAIL_FORM.fullmatch(email)
    return email if is_address else None


async def find(session: AsyncSession, user_id: str) -> User:
    """Return the user's row, or raise AccountGoneError if the account has been deleted."""
    user = await session.get(User, user_id, populate_existing=True)
    if user is None:
        raise AccountGoneError
    return user


async def update_profile(session: AsyncSession, caller: Caller, changes: Mapping[str, Any]) -> User:
    """Change what is given of the caller's profile, and return the user; an image of None is removed."""
    values = dict(zip(changes, check_each(_check_profile_value, changes.items()), strict=True))
    revision = await next_revision(session, caller.user_id)
    user = await find(session, caller.user_id)
    if values and user.issuer is not None:
        raise ForbiddenError("Your profile is kept where you sign in; change it there.")
    if all(getattr(user, name) == value for name, value in values.items()):
        leave_unchanged(session)
        return user
    for name, value in values.items():
        setattr(user, name, value)
    user.profile_revision, user.updated_at = revision, utc_now()
    await session.flush()
    return user


def _check_profile_value(name: str, value: Any) -> Any:
    checked = check_values(User, {name: value})[name]
    if name == "image" and checked is not None and not is_image_url(value):
        message = "image must be an address that begins with https:// or http://."
        raise BadUserInputError(message, path=(*INPUT, "image"))
    return checked


def is_image_url(text: str) -> bool:
    """Return whether the text is an http(s) URL that fits into the column."""
    return len(text) <= MAX_IMAGE_LENGTH and _IMAGE_FORM.fullmatch(text) is not None


def user_listing(caller: Caller, columns: frozenset[str] = frozenset()) -> Listing:
    """Return the list of all users in order of registration; for admins."""
    if not caller.is_admin:
        raise not_admin()
    return Listing(table=_USERS, order=_ORDER, caller=None, conditions=_NOT_REMOVED, columns=columns)


async def users_by_id(source: Source, caller: Caller, ids: Sequence[str], columns: Iterable[str]) -> list[Any]:
    """Return the users with those ids, in that order; None for each that does not exist or the caller may not see."""
    visible = [user_id for user_id in ids if user_id == caller.user_id or (caller.is_admin and is_storable(user_id))]
    found = {row.id: row for row in await read(source, _users_by_id(frozenset(columns)), {_IDS: visible})}
    return [found.get(user_id) for user_id in ids]


async def own_row(loader: BatchLoader, caller: Caller, columns: frozenset[str]) -> Any:
    """Return the caller's own row, or None if the account is gone."""
    return await loader.load(KeyedStatement(_users_by_id(columns), _IDS), (caller.user_id,))


@cached_statement
def _users_by_id(columns: frozenset[str]) -> Select[Any]:
    selected = table_columns(_USERS, columns - {"id"})
    return select(_USERS.c.id, *selected).where(IsAnyOf(_USERS.c.id, text_list_param(_IDS)), _IS_NOT_REMOVED)


async def set_active(session: AsyncSession, caller: Caller, user_id: str, client: Client, *, is_active: bool) -> User:
    """Activate or deactivate a user, which ends their sessions, and return the user."""
    await _require_admin_and_other(session, caller, user_id)
    user = await session.get(User, user_id)
    if user is not None and user.removed_at is not None:
        raise no_such_user()
    if user is not None and user.is_active == is_active:
        leave_unchanged(session)
        return user
    await _update(session, user_id, is_active=is_active)
    if not is_active:
        await revoke_all(session, user_id)
    kind = AuditEventKind.ACCOUNT_ACTIVATED if is_active else AuditEventKind.ACCOUNT_DEACTIVATED
    await record_event(session, client, kind, user_id, actor_id=caller.user_id)
    return await find(session, user_id)


async def delete_user(session: AsyncSession, caller: Caller, user_id: str, client: Client) -> None:
    """Delete another user with all their rows; the admin's own log tells of it."""
    await _require_admin_and_other(session, caller, user_id)
    await delete(session, user_id)
    await record_event(session, client, AuditEventKind.ACCOUNT_DELETED, caller.user_id, subject_id=user_id)


async def delete(session: AsyncSession, user_id: str) -> None:
    """Delete a user's row; its foreign keys delete everything that refers to it.

    An account with very many rows is marked, and gone for everybody; housekeeping removes its rows by batches.
    """
    own = _USERS.c.id == user_id, _IS_NOT_REMOVED
    identity = select(_USERS.c.issuer, func.coalesce(_USERS.c.subject, _USERS.c.id).label("subject")).where(*own)
    found = (await execute(session, identity)).one_or_none()
    statement: Any = sql_delete(_USERS).where(*own)
    if await has_many_rows(session, user_id):
        for table in (table_of(Session), table_of(AccessToken), table_of(Email)):
            await execute(session, sql_delete(table).where(table.c.user_id == user_id))
        statement = update(_USERS).where(*own).values(removed_at=utc_now(), **_ERASED)
        session.info[HAS_REMAINS] = True
    if not (await execute(session, statement)).rowcount:
        raise no_such_user()
    if found is not None and found.issuer is not None:
        await remember_deleted(session, found.issuer, found.subject)


async def remember_deleted(session: AsyncSession, issuer: str, subject: str) -> None:
    """Let no token that an issuer has given a user until now make their account anew."""
    is_same = _DELETED.c.issuer == issuer, _DELETED.c.subject == subject
    await execute(session, sql_delete(_DELETED).where(*is_same))
    await insert_rows(session, DeletedIdentity, [DeletedIdentity(issuer=issuer, subject=subject).model_dump()])


async def _require_admin_and_other(session: AsyncSession, caller: Caller, user_id: str) -> None:
    """Require that the caller is an admin, and remains one until the transaction ends: their row is locked."""
    statement = select(_USERS.c.is_admin).where(_USERS.c.id == caller.user_id, _USERS.c.is_active)
    if not (await execute(session, statement.with_for_update(key_share=True))).scalar():
        raise not_admin()
    if user_id == caller.user_id:
        raise BadUserInputError("You cannot do this to your own account.", path=_ID_PATH)
    if not is_storable(user_id):
        raise no_such_user()


async def _update(session: AsyncSession, user_id: str, **values: Any) -> None:
    """Update a user who may be inactive, whom `next_revision` refuses, and increment their revision."""
    next_value = _USERS.c.revision + 1
    columns = values | {"revision": next_value, "profile_revision": next_value, "updated_at": utc_now()}
    statement = update(_USERS).where(_USERS.c.id == user_id).values(columns).returning(_USERS.c.revision)
    revision: int | None = (await execute(session, statement)).scalar()
    if revision is None:
        raise no_such_user()
    session.info.setdefault(REVISIONS, {})[user_id] = revision


def no_such_user() -> NotFoundError:
    """Return the error for a user who does not exist."""
    return NotFoundError("There is no such user.", path=_ID_PATH)


async def set_admin(session: AsyncSession, email_or_id: str, *, is_admin: bool, allow_unverified: bool = False) -> User:
    """Give an account an admin's rights or take them; by its id if several accounts have its address.

    An address that is not verified may be that of somebody else who came first.
    """
    text = email_or_id.strip()
    found = select_model(User).where(or_(_USERS.c.id == text, _USERS.c.email == text.lower()), _IS_NOT_REMOVED)
    users = (await session.exec(found.order_by(_USERS.c.id).limit(20))).all()
    if not users:
        raise NotFoundError(f"There is no account with the address {text}.")
    if len(users) > 1:
        ids = ", ".join(user.id for user in users)
        message = f"Several accounts have the address {text}; name one by its id: {ids}."
        raise ConflictError(ErrorReason.EMAIL_TAKEN, message)
    (user,) = users
    if is_admin and not (user.email_verified or allow_unverified):
        raise ForbiddenError(f"The address {user.email} is not verified: anybody may have made the account.")
    if user.is_admin == is_admin:
        leave_unchanged(session)
        return user
    await _update(session, user.id, is_admin=is_admin)
    kind = AuditEventKind.ADMIN_GRANTED if is_admin else AuditEventKind.ADMIN_REVOKED
    await record_event(session, NO_CLIENT, kind, user.id)
    return await find(session, user.id)
