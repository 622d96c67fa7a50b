"""The epoch of the database: one that was restored to an earlier state begins a new one, and refuses older cursors."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ScalarSelect, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import CursorExpiredError
from core.ids import new_id
from core.prepared_statement import PreparedStatement
from models import DatabaseEpoch, User
from models.database_epoch import ONLY_ID
from services.query.sql import Source, execute, read, table_of

_EPOCHS: Final = table_of(DatabaseEpoch)
_USERS: Final = table_of(User)
_SELECT: Final = select(_EPOCHS.c.epoch).where(_EPOCHS.c.id == ONLY_ID)
_READ: Final = PreparedStatement(_SELECT)
# More than an account changes between a backup and its restore.
_SKIPPED_REVISIONS: Final = 1 << 20

# The present epoch, within a statement.
CURRENT_EPOCH: Final[ScalarSelect[str]] = _SELECT.scalar_subquery()


async def read_epoch(source: Source) -> str:
    """Return the present epoch."""
    ((epoch,),) = await read(source, _READ, {})
    return str(epoch)


async def begin_epoch(session: AsyncSession) -> None:
    """Begin a new epoch, and let no revision be given again that the lost rows had."""
    await execute(session, update(_EPOCHS).values(epoch=new_id()))
    await execute(session, update(_USERS).values(revision=_USERS.c.revision + _SKIPPED_REVISIONS))


def epoch_of(values: Sequence[Any]) -> str | None:
    """Return the epoch of a cursor's last values, which has none before the first restore; None where it is wrong."""
    match values:
        case []:
            return ""
        case [str() as epoch]:
            return epoch
    return None


def check_cursor(epoch: str, revision: int, current_epoch: str, current_revision: int) -> None:
    """Raise CursorExpiredError for a cursor of another epoch, or one that is ahead of the user's revision."""
    if epoch != current_epoch:
        raise CursorExpiredError("The database was restored since this cursor was made; begin anew, without a cursor.")
    if revision > current_revision:
        raise CursorExpiredError("This cursor is ahead of what the account holds; begin anew, without a cursor.")
