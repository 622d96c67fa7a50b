"""Log of a user's changes: the rows changed and deleted after a cursor, each once with its latest state."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    cast,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlmodel import SQLModel

from core.errors import AccountGoneError, BadUserInputError, CursorExpiredError
from core.prepared_statement import PreparedStatement, cached_statement
from core.text import is_storable
from models import ENTITIES, Deletion, User
from services.accounts.caller import OWNER, Caller, owned
from services.query.cursors import decode_cursor, encode_cursor, is_revision
from services.query.pagination import MAX_CHANGES, MAX_PAGE_SIZE
from services.query.sql import Source, read, table_of
from services.sync.epoch import CURRENT_EPOCH, check_cursor, epoch_of

_CURSOR_KIND: Final = "changes"
# A new user's own row has the revision 0.
_BEFORE_ALL: Final = -1
_USERS: Final = table_of(User)
_DELETIONS: Final = table_of(Deletion)


# What an entry of the log of changes is about; a row's kind is the name of its model, and of its GraphQL type.
DELETION: Final = "Deletion"
MODELS: Final[dict[str, type[SQLModel]]] = {model.__name__: model for model in ENTITIES} | {User.__name__: User}


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a user's changes: everything up to it is known, and deletions up to `base` do not matter.

    Within one revision rows stand in the order of their ids; without an id, the whole revision is known.
    """

    revision: int
    row_id: str | None = None
    base: int = 0
    epoch: str = ""

    @property
    def known_up_to(self) -> int:
        """Return the newest revision of which everything is known."""
        return max(self.revision if self.row_id is None else self.revision - 1, self.base)

    def write(self) -> str:
        """Return the cursor as clients keep it."""
        return encode_cursor([_CURSOR_KIND, self.revision, self.row_id, self.base, *filter(None, [self.epoch])])


@dataclass(frozen=True, slots=True)
class Change:
    """One row that changed, or is gone."""

    kind: str
    id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of changes, and the cursor behind it."""

    entries: Sequence[Change]
    cursor: Cursor
    has_more: bool


@dataclass(frozen=True, slots=True)
class Counter:
    """A user's revision, that up to which tombstones have been deleted, and the database's epoch."""

    revision: int
    forgotten: int
    epoch: str = ""


def read_cursor(text: str, name: str) -> Cursor:
    """Return the cursor of a text; raise BadUserInputError where it is none."""
    match decode_cursor(text):
        case [str() as kind, revision, str() | None as row_id, base, *rest] if kind == _CURSOR_KIND:
            is_position = is_revision(revision) and is_revision(base) and (row_id is None or is_storable(row_id))
            if is_position and (epoch := epoch_of(rest)) is not None:
                return Cursor(revision, row_id, base, epoch)
    raise BadUserInputError(f"{name} is not a cursor of changes; pass one that changes returned.", path=(name,))


async def read_counter(source: Source, caller: Caller) -> Counter:
    """Return the caller's counter."""
    rows = await read(source, _COUNTER, {OWNER: caller.user_id})
    if not rows:
        raise AccountGoneError
    return Counter(*rows[0])


def resume(since: Cursor | None, counter: Counter) -> Cursor:
    """Return the cursor to read on from; without one from the start, which needs no earlier deletions."""
    if since is None:
        return Cursor(_BEFORE_ALL, None, counter.revision, counter.epoch)
    if since.known_up_to < counter.forgotten:
        raise CursorExpiredError("This cursor is too old to tell what was deleted since; begin anew, without a cursor.")
    check_cursor(since.epoch, since.revision, counter.epoch, counter.revision)
    return since


async def read_changes(source: Source, caller: Caller, after: Cursor, first: int) -> Changes:
    """Return the caller's changes after the cursor; raise CursorExpiredError where it cannot be gone on from."""
    values = {OWNER: caller.user_id, "after": after.revision, "row_id": after.row_id, "base": after.base}
    values |= {"known": after.known_up_to, "epoch": after.epoch, "size": first + 1}
    found = await read(source, _log_of_all(after.row_id is not None), values)
    if not found:
        resume(after, await read_counter(source, caller))
    # The outer join gives a user without such changes one row of nulls.
    found = [row for row in found if row.id is not None]
    entries = [Change(row.kind, row.id, row.revision) for row in found[:first]]
    has_more = len(found) > first
    if not entries:
        return Changes((), after, has_more=has_more)
    last = entries[-1]
    # A revision is committed as a whole, so where there is no more all of it was read.
    return Changes(entries, Cursor(last.revision, last.id if has_more else None, after.base, after.epoch), has_more)


def check_size(first: int | None) -> int:
    """Return the size of a page; raise BadUserInputError where it is out of bounds."""
    if first is None:
        return MAX_PAGE_SIZE
    if not 1 <= first <= MAX_CHANGES:
        raise BadUserInputError(f"first must be 1 to {MAX_CHANGES:,}; it is {first}.", path=("first",))
    return first


@cached_statement
def _log_of_all(within_revision: bool) -> Executable:  # noqa: FBT001 - part of a cache's key
    """Return the statement of the changes behind a cursor, which stands within its revision or at its end."""
    logs = []
    for entity in ENTITIES:
        table = table_of(entity)
        logs.append(_log(entity.__name__, table.c.revision, table.c.id, owned(table), within_revision))
    own_row = _USERS.c.id == bindparam(OWNER)
    logs.append(_log(User.__name__, _USERS.c.profile_revision, _USERS.c.id, own_row, within_revision))
    is_relevant = and_(owned(_DELETIONS), _DELETIONS.c.revision > bindparam("base", type_=Integer))
    logs.append(_log(DELETION, _DELETIONS.c.revision, _DELETIONS.c.id, is_relevant, within_revision))
    # Each is limited by itself, so that an index serves it; a subquery, for SQLite takes no limit within a union.
    size = bindparam("size", type_=Integer)
    merged = union_all(*(select(*log.limit(size).subquery().c) for log in logs)).subquery("merged")
    found = select(*merged.c).order_by(merged.c.revision, merged.c.id).limit(size).subquery("found")
    is_valid = (
        _USERS.c.revision >= bindparam("after"),
        _USERS.c.forgotten_revision <= bindparam("known", type_=Integer),
        bindparam("epoch") == CURRENT_EPOCH,
    )
    statement = select(*found.c).select_from(_USERS.outerjoin(found, true())).where(own_row, *is_valid)
    return statement.order_by(found.c.revision, found.c.id)


def _log(
    kind: str,
    revision: ColumnElement[int],
    row_id: ColumnElement[str],
    scope: ColumnElement[bool],
    within_revision: bool,  # noqa: FBT001
) -> Select[int, str, str]:
    """Return the statement of the changes of one kind after the cursor."""
    text_id, after = cast(row_id, String), bindparam("after", type_=Integer)
    is_after: ColumnElement[bool] = revision > after
    if within_revision:
        is_after = and_(revision >= after, or_(is_after, text_id > bindparam("row_id", type_=String)))
    columns = (revision.label("revision"), text_id.label("id"), literal(kind).label("kind"))
    return select(*columns).where(scope, is_after).order_by(revision, text_id)


_COUNTER: Final = PreparedStatement(
    select(_USERS.c.revision, _USERS.c.forgotten_revision, CURRENT_EPOCH.label("epoch")).where(
        _USERS.c.id == bindparam(OWNER)
    )
)
