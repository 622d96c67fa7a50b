"""The history of a run: its conversation up to the message that it answers, with the tool calls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, and_, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models import Message, MessageRole, Run, ToolCall
from services.accounts.caller import Caller
from services.query.sql import fetch_all, table_of
from services.runs.tool_call import ENDED_CALLS

_MESSAGES: Final = table_of(Message)
_RUNS: Final = table_of(Run)
_TOOL_CALLS: Final = table_of(ToolCall)


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """One message, with the ended tool calls of the run that wrote it."""

    role: MessageRole
    content: str
    calls: Sequence[Row[Any]] = ()


async def read_history(session: AsyncSession, caller: Caller, run: Run, maximum: int) -> list[HistoryMessage]:
    """Return the last messages up to the one that a run answers, the oldest first; of several replies the newest."""
    rows = await _messages(session, caller, run, maximum)
    answered: set[str] = {run.message_id}
    kept: list[Row[Any]] = []
    for row in rows:
        # From the newest on: what another reply came after is superseded.
        if row.answers in answered:
            continue
        if row.answers is not None:
            answered.add(row.answers)
        kept.append(row)
    replies = [row.id for row in kept if row.answers is not None]
    calls = await _calls_by_reply(session, caller, replies) if replies else {}
    return [HistoryMessage(row.role, row.content, calls.get(row.id, ())) for row in reversed(kept)]


async def _messages(session: AsyncSession, caller: Caller, run: Run, maximum: int) -> Sequence[Row[Any]]:
    is_question = caller.owns(_MESSAGES), _MESSAGES.c.id == run.message_id
    place = select(_MESSAGES.c.created_at, _MESSAGES.c.id).where(*is_question).subquery("question")
    is_before = or_(
        _MESSAGES.c.created_at < place.c.created_at,
        and_(_MESSAGES.c.created_at == place.c.created_at, _MESSAGES.c.id <= place.c.id),
    )
    wrote = and_(_RUNS.c.user_id == _MESSAGES.c.user_id, _RUNS.c.reply_id == _MESSAGES.c.id)
    statement = (
        select(_MESSAGES.c.id, _MESSAGES.c.role, _MESSAGES.c.content, _RUNS.c.message_id.label("answers"))
        .select_from(_MESSAGES.join(place, is_before).outerjoin(_RUNS, wrote))
        .where(caller.owns(_MESSAGES), _MESSAGES.c.conversation_id == run.conversation_id)
        .order_by(_MESSAGES.c.created_at.desc(), _MESSAGES.c.id.desc())
        .limit(maximum)
    )
    return await fetch_all(session, statement)


async def _calls_by_reply(session: AsyncSession, caller: Caller, reply_ids: list[str]) -> dict[str, list[Any]]:
    """Return the ended calls of the run that wrote each reply, in their order."""
    calls, is_of_run = _TOOL_CALLS.c, and_(_RUNS.c.user_id == _TOOL_CALLS.c.user_id, _RUNS.c.id == _TOOL_CALLS.c.run_id)
    statement = (
        select(_RUNS.c.reply_id, calls.call_id, calls.name, calls.arguments, calls.result, calls.status)
        .join_from(_TOOL_CALLS, _RUNS, is_of_run)
        .where(caller.owns(_TOOL_CALLS), _RUNS.c.reply_id.in_(reply_ids), calls.status.in_(ENDED_CALLS))
        .order_by(calls.position)
    )
    by_reply: dict[str, list[Any]] = {reply_id: [] for reply_id in reply_ids}
    for row in await fetch_all(session, statement):
        by_reply[row.reply_id].append(row)
    return by_reply
