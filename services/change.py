"""Changing a user's rows: ids for new ones, expected revisions, tombstones for those that go."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import CompoundSelect, Select, delete, insert, literal, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import BadUserInputError, ConflictError
from core.ids import new_ids, parse_id
from models import Deletion
from models.base import Owned
from models.types import UtcDateTime
from services.accounts.caller import Caller
from services.query.filters import IsAnyOf, id_list
from services.query.lookup import kinds_by_id
from services.query.sql import execute, fetch_all, table_of

_DELETIONS: Final = table_of(Deletion)

Path = tuple[str, ...]
INPUT: Final[Path] = ("input",)


async def claim_ids(session: AsyncSession, caller: Caller, given: Sequence[tuple[str | None, Path]]) -> list[str]:
    """Return ids for new rows: those that the client made, where they are free, else ours in ascending order."""
    claimed: dict[str, Path] = {}
    for text, path in given:
        if text is None:
            continue
        if (row_id := parse_id(text)) is None:
            raise BadUserInputError("id must be a UUID, such as 0190f0c8-7b5e-7cc1-9d6f-2f6b8a5c4d3e.", path=path)
        if row_id in claimed:
            raise ConflictError("This id is given twice.", path=path)
        claimed[row_id] = path
    if claimed:
        await _require_free(session, caller, claimed)
    ours = iter(new_ids(len(given)))
    return [next(ours) if text is None else text.lower() for text, _ in given]


async def _require_free(session: AsyncSession, caller: Caller, claimed: dict[str, Path]) -> None:
    # A user's own row is a node of theirs too.
    own = [caller.user_id] if caller.user_id in claimed else []
    for taken in (*own, *await kinds_by_id(session, caller, list(claimed))):
        raise ConflictError("This id is already in use; make a new one.", path=claimed[taken])
    await unbury(session, caller, list(claimed))


async def unbury(session: AsyncSession, caller: Caller, ids: Sequence[str]) -> None:
    """Take away the tombstones of rows that come back."""
    await execute(session, delete(_DELETIONS).where(caller.owns(_DELETIONS), IsAnyOf(_DELETIONS.c.id, id_list(ids))))


def check_revision(row: Owned, expected: int | None) -> None:
    """Refuse to change a row that is no longer the one that the client has seen."""
    if expected is not None and row.revision != expected:
        raise ConflictError(
            f"It has changed since: its revision is {row.revision}, not {expected}. Read it again, then retry.",
            path=("input", "expectedRevision"),
            current=row,
        )


async def bury(
    session: AsyncSession, caller: Caller, doomed: Select[tuple[str, str]] | CompoundSelect[Any], revision: int
) -> list[str]:
    """Leave tombstones for the rows that a statement names by id and kind; return their ids."""
    rows = doomed.subquery("doomed")
    columns = [literal(caller.user_id), rows.c.id, rows.c.kind, literal(revision), literal(utc_now(), UtcDateTime())]
    statement = insert(_DELETIONS).from_select(["user_id", "id", "kind", "revision", "deleted_at"], select(*columns))
    return [row.id for row in await fetch_all(session, statement.returning(_DELETIONS.c.id))]
