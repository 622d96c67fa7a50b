"""The history of a run: its conversation up to the message that it answers, with the tool calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sqlalchemy import Row, and_, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models import Message, MessageRole, Run, RunStatus, ToolCall, ToolCallStatus
from services.accounts.caller import Caller
from services.query.sql import fetch_all, table_of
from services.runs.tool_call import ENDED_CALLS

_MESSAGES: Final = table_of(Message)
_RUNS: Final = table_of(Run)
_TOOL_CALLS: Final = table_of(ToolCall)
_BROKEN_OFF: Final = (RunStatus.FAILED, RunStatus.CANCELLED)

Calls: TypeAlias = Sequence[Row[Any]]


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """One message with ended tool calls: of the run that wrote it, or so far for the question that is answered."""

    role: MessageRole
    content: str
    calls: Calls = ()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One run for a message, with its ended tool calls."""

    run: Row[Any]
    calls: list[Row[Any]] = field(default_factory=list)


async def read_history(
    session: AsyncSession, caller: Caller, run: Run, maximum: int, has_effect: Callable[[Any], bool]
) -> list[HistoryMessage]:
    """Return the last messages up to the one that a run answers, the oldest first; of several replies the newest.

    What runs that broke off before have done for the same message counts, up to the last call of each with an effect.
    """
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
    # Which calls stand with a message: those of the reply that it is, or that it is about to get.
    replies = {row.id: (row.id, row.answers) for row in kept if row.answers is not None}
    replies[run.message_id] = (run.reply_id, run.message_id)
    attempts = await _read_attempts(session, caller, answered, [reply_id for reply_id, _ in replies.values()])

    def calls_of(row: Row[Any]) -> Calls:
        reply_id, message_id = replies.get(row.id, ("", ""))
        return _calls_for_reply(attempts.get(message_id, []), reply_id, has_effect)

    return [HistoryMessage(row.role, row.content, calls_of(row)) for row in reversed(kept)]


async def find_earlier_result(session: AsyncSession, caller: Caller, call: ToolCall) -> Any:
    """Return what the same call has given in runs for the same message that broke off; each result once in a run."""
    run = await session.get_one(Run, (caller.user_id, call.run_id))
    attempts = (await _read_attempts(session, caller, {run.message_id}, [run.reply_id])).get(run.message_id, [])

    def results(calls: Calls) -> list[Any]:
        done = [each for each in calls if each.status is ToolCallStatus.COMPLETED]
        return [each.result for each in done if (each.name, each.arguments) == (call.name, call.arguments)]

    earlier = [result for attempt in _broken_off(attempts, run.reply_id) for result in results(attempt.calls)]
    taken = sum(len(results(attempt.calls)) for attempt in attempts if attempt.run.id == run.id)
    return earlier[taken] if taken < len(earlier) else None


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


async def _read_attempts(
    session: AsyncSession, caller: Caller, message_ids: set[str], reply_ids: Sequence[str]
) -> dict[str, list[_Attempt]]:
    """Return the runs for each message in their order, with the calls of those that broke off or wrote the replies."""
    calls = _TOOL_CALLS.c
    is_read = or_(_RUNS.c.status.in_(_BROKEN_OFF), _RUNS.c.reply_id.in_(reply_ids))
    is_of_run = and_(
        calls.user_id == _RUNS.c.user_id, calls.run_id == _RUNS.c.id, calls.status.in_(ENDED_CALLS), is_read
    )
    run = _RUNS.c.id, _RUNS.c.message_id, _RUNS.c.reply_id, _RUNS.c.status.label("run_status"), _RUNS.c.undone_at
    statement = (
        select(*run, calls.call_id, calls.name, calls.arguments, calls.result, calls.status)
        .select_from(_RUNS.outerjoin(_TOOL_CALLS, is_of_run))
        .where(caller.owns(_RUNS), _RUNS.c.message_id.in_(message_ids))
        .order_by(_RUNS.c.created_at, _RUNS.c.id, calls.position)
    )
    by_run: dict[str, _Attempt] = {}
    for row in await fetch_all(session, statement):
        attempt = by_run.setdefault(row.id, _Attempt(row))
        if row.call_id is not None:
            attempt.calls.append(row)
    by_message: dict[str, list[_Attempt]] = {}
    for attempt in by_run.values():
        by_message.setdefault(attempt.run.message_id, []).append(attempt)
    return by_message


def _broken_off(attempts: Sequence[_Attempt], reply_id: str) -> list[_Attempt]:
    """Return the runs besides a reply's own that broke off and were not undone, since the last that was completed."""
    found: list[_Attempt] = []
    for attempt in attempts:
        if attempt.run.reply_id == reply_id:
            continue
        if attempt.run.run_status is RunStatus.COMPLETED:
            found = []
        elif attempt.run.run_status in _BROKEN_OFF and attempt.run.undone_at is None:
            found.append(attempt)
    return found


def _calls_for_reply(attempts: Sequence[_Attempt], reply_id: str, has_effect: Callable[[Any], bool]) -> Calls:
    """Return the calls that led to a reply: what was only read before a run broke off has to be read again."""
    calls: list[Row[Any]] = []
    for attempt in _broken_off(attempts, reply_id):
        effects = [place for place, call in enumerate(attempt.calls, 1) if has_effect(call)]
        calls += attempt.calls[: effects[-1] if effects else 0]
    return calls + [call for attempt in attempts if attempt.run.reply_id == reply_id for call in attempt.calls]
