"""Log of a user's changes: the rows changed and deleted after a cursor, each once with its latest state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Select,
    String,
    Table,
    and_,
    bindparam,
    cast,
    false,
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
from models.columns import DescribedEnum
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


class EntityKind(DescribedEnum):
    """What a change is about."""

    TASK = "TASK", "A task."
    CONVERSATION = "CONVERSATION", "A conversation."
    MESSAGE = "MESSAGE", "A message."
    RUN = "RUN", "A run of the assistant."
    TOOL_CALL = "TOOL_CALL", "A tool call of a run."
    USER = "USER", "The caller's own profile."


Kinds: TypeAlias = tuple[EntityKind, ...]
MODELS: Final[dict[EntityKind, type[SQLModel]]] = {
    **{EntityKind(model.entity_kind()): model for model in ENTITIES},
    EntityKind.USER: User,
}
ALL_KINDS: Final = tuple(MODELS)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in a user's changes: everything of its kinds up to it is known; deletions up to `base` do not matter.

    Within one revision rows stand in the order of their ids; without an id, the whole revision is known.
    """

    revision: int
    row_id: str | None = None
    base: int = 0
    epoch: str = ""
    kinds: Kinds = ALL_KINDS

    @property
    def known_up_to(self) -> int:
        """Return the newest revision of which everything is known."""
        return max(self.revision if self.row_id is None else self.revision - 1, self.base)

    def write(self) -> str:
        """Return the cursor as clients keep it."""
        kinds = [] if self.kinds == ALL_KINDS else [list(self.kinds)]
        return encode_cursor([_CURSOR_KIND, self.revision, self.row_id, self.base, *filter(None, [self.epoch]), *kinds])


@dataclass(frozen=True, slots=True)
class Change:
    """One row that changed, or is gone."""

    kind: EntityKind
    id: str
    revision: int
    is_deleted: bool = False


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
            kinds = _kinds_of(rest.pop()) if rest and isinstance(rest[-1], list) else ALL_KINDS
            if is_position and kinds and (epoch := epoch_of(rest)) is not None:
                return Cursor(revision, row_id, base, epoch, kinds)
    raise BadUserInputError(f"{name} is not a cursor of changes; pass one that changes returned.", path=(name,))


def _kinds_of(names: Sequence[Any]) -> Kinds:
    return tuple(kind for kind in ALL_KINDS if kind in names)


def check_kinds(wanted: Sequence[EntityKind] | None, since: Cursor | None) -> Kinds:
    """Return the kinds to read, in their order; raise BadUserInputError for those that the cursor knows nothing of."""
    kinds = ALL_KINDS if wanted is None else _kinds_of(wanted)
    if not kinds:
        raise BadUserInputError("types is empty; name at least one, or leave it out.", path=("types",))
    if since is not None and not set(kinds) <= set(since.kinds):
        known = ", ".join(since.kinds)
        message = f"since comes from changes of {known} alone; ask for no other types, or begin anew without a cursor."
        raise BadUserInputError(message, path=("since",))
    return kinds


async def read_counter(source: Source, caller: Caller) -> Counter:
    """Return the caller's counter."""
    rows = await read(source, _COUNTER, {OWNER: caller.user_id})
    if not rows:
        raise AccountGoneError
    return Counter(*rows[0])


def resume(since: Cursor | None, counter: Counter, kinds: Kinds = ALL_KINDS) -> Cursor:
    """Return the cursor to read on from; without one from the start, which needs no earlier deletions."""
    if since is None:
        return Cursor(_BEFORE_ALL, None, counter.revision, counter.epoch, kinds)
    if since.known_up_to < counter.forgotten:
        raise CursorExpiredError("This cursor is too old to tell what was deleted since; begin anew, without a cursor.")
    check_cursor(since.epoch, since.revision, counter.epoch, counter.revision)
    return replace(since, kinds=kinds)


async def read_changes(source: Source, caller: Caller, after: Cursor, first: int) -> Changes:
    """Return the caller's changes after the cursor, of its kinds; raise CursorExpiredError where it has expired."""
    values = {OWNER: caller.user_id, "after": after.revision, "row_id": after.row_id, "base": after.base}
    values |= {"known": after.known_up_to, "epoch": after.epoch, "size": first + 1}
    found = await read(source, _log_of(after.kinds, after.row_id is not None), values)
    if not found:
        resume(after, await read_counter(source, caller))
        return Changes((), after, has_more=False)
    # A revision is committed as a whole, so where there is no more all is known that the counter has counted.
    cursor = replace(after, revision=found[0].counter, row_id=None)
    # The outer join gives a user without such changes one row of nulls.
    found = [row for row in found if row.id is not None]
    entries = tuple(Change(EntityKind(row.kind), row.id, row.revision, bool(row.is_deleted)) for row in found[:first])
    if has_more := len(found) > first:
        cursor = replace(after, revision=entries[-1].revision, row_id=entries[-1].id)
    return Changes(entries, cursor, has_more)


def check_size(first: int | None) -> int:
    """Return the size of a page; raise BadUserInputError where it is out of bounds."""
    if first is None:
        return MAX_PAGE_SIZE
    if not 1 <= first <= MAX_CHANGES:
        raise BadUserInputError(f"first must be 1 to {MAX_CHANGES:,}; it is {first}.", path=("first",))
    return first


@cached_statement
def _log_of(kinds: Kinds, within_revision: bool) -> Executable:  # noqa: FBT001 - part of a cache's key
    """Return the statement of the changes behind a cursor, which stands within its revision or at its end."""
    own_row = _USERS.c.id == bindparam(OWNER)
    logs = []
    for kind in kinds:
        table = table_of(MODELS[kind])
        scope = own_row if table is _USERS else owned(table)
        logs.append(_log(table, literal(kind.value), scope, within_revision))
    is_relevant = and_(owned(_DELETIONS), _DELETIONS.c.revision > bindparam("base", type_=Integer))
    if kinds != ALL_KINDS:
        is_relevant = and_(is_relevant, or_(*(_DELETIONS.c.kind == kind.value for kind in kinds)))
    logs.append(_log(_DELETIONS, _DELETIONS.c.kind, is_relevant, within_revision))
    # Each is limited by itself, so that an index serves it; a subquery, for SQLite takes no limit within a union.
    size = bindparam("size", type_=Integer)
    merged = union_all(*(select(*log.limit(size).subquery().c) for log in logs)).subquery("merged")
    found = select(*merged.c).order_by(merged.c.revision, merged.c.id).limit(size).subquery("found")
    is_valid = (
        _USERS.c.revision >= bindparam("after"),
        _USERS.c.forgotten_revision <= bindparam("known", type_=Integer),
        bindparam("epoch") == CURRENT_EPOCH,
    )
    statement = (
        select(*found.c, _USERS.c.revision.label("counter"))
        .select_from(_USERS.outerjoin(found, true()))
        .where(own_row, *is_valid)
    )
    return statement.order_by(found.c.revision, found.c.id)


def _log(
    table: Table,
    kind: ColumnElement[str],
    scope: ColumnElement[bool],
    within_revision: bool,  # noqa: FBT001
) -> Select[Any]:
    """Return the statement of the changes in one table after the cursor."""
    revision = table.c.profile_revision if table is _USERS else table.c.revision
    text_id, after = cast(table.c.id, String), bindparam("after", type_=Integer)
    is_after: ColumnElement[bool] = revision > after
    if within_revision:
        is_after = and_(revision >= after, or_(is_after, text_id > bindparam("row_id", type_=String)))
    is_deleted = true() if table is _DELETIONS else false()
    columns = (revision.label("revision"), text_id.label("id"), kind.label("kind"), is_deleted.label("is_deleted"))
    return select(*columns).where(scope, is_after).order_by(revision, text_id)


_COUNTER: Final = PreparedStatement(
    select(_USERS.c.revision, _USERS.c.forgotten_revision, CURRENT_EPOCH.label("epoch")).where(
        _USERS.c.id == bindparam(OWNER)
    )
)
