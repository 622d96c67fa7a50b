"""A reply's text from any place on, while it is written and after."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Executable, Integer, and_, bindparam, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import BadUserInputError
from core.ids import parse_id
from models import Message, MessageStatus, Run, RunStatus
from services.accounts.caller import OWNER, Caller, owned
from services.query.lookup import not_found
from services.query.sql import execute, table_of

_MESSAGES: Final = table_of(Message)
_RUNS: Final = table_of(Run)
# No message is longer, and what is beyond it PostgreSQL would not take for a place in a text.
_FARTHEST: Final = 100_000


@dataclass(frozen=True, slots=True)
class Reply:
    """The text of a message from an offset on, or from its end where that comes first; code points are counted."""

    text: str
    offset: int
    length: int
    status: MessageStatus
    # Nothing more is written until the person has decided on a tool call.
    is_paused: bool = False

    @property
    def has_ended(self) -> bool:
        """Return whether nothing more will be written."""
        return self.status is not MessageStatus.STREAMING


def check_offset(offset: int, name: str) -> int:
    """Return a place in a text, or refuse what can be none."""
    if offset < 0:
        raise BadUserInputError(f"{name} counts from 0; it is {offset}.", path=(name,))
    return offset


async def read_reply(session: AsyncSession, caller: Caller, message_id: str, offset: int) -> Reply:
    """Return what the caller's message says from the offset on, by one statement."""
    place = {"start": min(offset, _FARTHEST) + 1, OWNER: caller.user_id, "message_id": parse_id(message_id)}
    row = (await execute(session, _statement(), place)).one_or_none()
    if row is None:
        raise not_found(Message, ("messageId",))
    is_paused = row.run_status is RunStatus.AWAITING_APPROVAL
    return Reply(row.text, min(offset, row.length), row.length, row.status, is_paused)


@lru_cache(maxsize=1)
def _statement() -> Executable:
    """Build the statement once: it runs several times a second for everyone who follows a reply."""
    content = _MESSAGES.c.content
    wrote = and_(_RUNS.c.user_id == _MESSAGES.c.user_id, _RUNS.c.reply_id == _MESSAGES.c.id)
    return (
        select(
            func.substr(content, bindparam("start", type_=Integer)).label("text"),
            func.length(content).label("length"),
            _MESSAGES.c.status,
            _RUNS.c.status.label("run_status"),
        )
        .select_from(_MESSAGES.outerjoin(_RUNS, wrote))
        .where(owned(_MESSAGES))
        .where(_MESSAGES.c.id == bindparam("message_id", type_=_MESSAGES.c.id.type))
    )
