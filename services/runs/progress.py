"""Execution state of runs: progress, pauses, ends, leases and tokens; RunEndedError once a run has ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, TypeAlias

from sqlalchemy import Row, and_, exists, func, insert, select, tuple_, update
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.clock import utc_now
from core.errors import BadUserInputError, RateLimitedError, UnauthenticatedError
from core.transaction import leave_unchanged
from models import Conversation, Message, MessageStatus, Run, RunStatus, TokenUsage, ToolCall, ToolCallStatus, User
from services.accounts.caller import Caller
from services.entities.revision import next_revision
from services.query.sql import database_time, execute, fetch_all, table_of

_RUNS: Final = table_of(Run)
_MESSAGES: Final = table_of(Message)
_CONVERSATIONS: Final = table_of(Conversation)
_TOOL_CALLS: Final = table_of(ToolCall)
_USERS: Final = table_of(User)
_USAGE: Final = table_of(TokenUsage)
EXECUTED: Final = (RunStatus.QUEUED, RunStatus.RUNNING)
_REPLY_STATUS: Final = {
    RunStatus.COMPLETED: MessageStatus.COMPLETE,
    RunStatus.CANCELLED: MessageStatus.CANCELLED,
    RunStatus.FAILED: MessageStatus.FAILED,
}
_ENDS_OF_OPEN_CALLS: Final = {
    ToolCallStatus.AWAITING_APPROVAL: ToolCallStatus.REJECTED,
    ToolCallStatus.RUNNING: ToolCallStatus.FAILED,
}
_MAX_SWEPT: Final = 100
# In one run.
MAX_CALLS: Final = 100
# What the column holds.
MAX_TOKENS: Final = 2**31 - 1

# The owner and the id.
RunKey: TypeAlias = tuple[str, str]


class RunEndedError(Exception):
    """The run has ended in the meantime: cancelled, counted as dead, or deleted with its conversation."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the model has read and written."""

    read: int = 0
    written: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: its reply's text, and the tokens used since they were last counted."""

    text: str
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Pause:
    """What is needed to go on with a run, and the tool calls that wait for approval."""

    state: str
    calls: Sequence[ToolCall]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends; the error is a plain sentence."""

    status: RunStatus
    error: str | None = None


async def require_executed(session: AsyncSession, caller: Caller, run_id: str) -> Run:
    """Return the run; raise RunEndedError where it has ended. The owner's counter must be locked."""
    run = await session.get(Run, (caller.user_id, run_id))
    if run is None or run.status not in EXECUTED:
        raise RunEndedError
    return run


async def begin_running(session: AsyncSession, caller: Caller, run_id: str) -> Run:
    """Mark a run as running, which may have been queued."""
    revision = await next_revision(session, caller.user_id)
    run = await require_executed(session, caller, run_id)
    run.status, run.revision = RunStatus.RUNNING, revision
    return run


async def write_reply(session: AsyncSession, caller: Caller, reply_id: str, text: str) -> None:
    """Store the text so far; the owner's counter stays as it is until the reply is complete."""
    statement = (
        update(_MESSAGES)
        .where(caller.owns(_MESSAGES), _MESSAGES.c.id == reply_id, _MESSAGES.c.status == MessageStatus.STREAMING)
        .values(content=text)
    )
    if not (await execute(session, statement)).rowcount:
        raise RunEndedError


async def pause_run(session: AsyncSession, caller: Caller, run_id: str, progress: Progress, pause: Pause) -> None:
    """Pause a run until people have decided on tool calls."""
    run, revision = await _record_progress(session, caller, run_id, progress)
    run.status, run.state, run.lease_until, run.revision = RunStatus.AWAITING_APPROVAL, pause.state, None, revision
    first = await next_position(session, caller, run_id, count=len(pause.calls))
    for position, call in enumerate(pause.calls, first):
        call.position, call.revision = position, revision
        session.add(call)


async def finish_run(session: AsyncSession, caller: Caller, run_id: str, progress: Progress, outcome: Outcome) -> None:
    """End a run, and its reply with it."""
    run, revision = await _record_progress(session, caller, run_id, progress)
    await end_run(session, caller, run, outcome, revision)


async def _record_progress(session: AsyncSession, caller: Caller, run_id: str, progress: Progress) -> tuple[Run, int]:
    revision = await next_revision(session, caller.user_id)
    run = await require_executed(session, caller, run_id)
    await _add_tokens(session, caller, run, progress.tokens)
    await write_reply(session, caller, run.reply_id, progress.text)
    return run, revision


async def count_tokens(session: AsyncSession, caller: Caller, run_id: str, tokens: Tokens) -> None:
    """Count what a run has used that ended in the meantime."""
    revision = await next_revision(session, caller.user_id)
    run = await session.get(Run, (caller.user_id, run_id))
    if run is None:
        await _add_to_day(session, caller, tokens)
        return
    await _add_tokens(session, caller, run, tokens)
    run.revision = revision


async def next_position(session: AsyncSession, caller: Caller, run_id: str, *, count: int = 1) -> int:
    """Return the position of a run's next tool call; raise BadUserInputError for too many."""
    is_of_run = caller.owns(_TOOL_CALLS), _TOOL_CALLS.c.run_id == run_id
    count_calls = select(func.count()).select_from(_TOOL_CALLS).where(*is_of_run)
    position: int = (await execute(session, count_calls)).scalar_one()
    if position + count > MAX_CALLS:
        raise BadUserInputError("The assistant wanted to do too much at once. Ask for less.")
    return position


async def renew_leases(session: AsyncSession, runs: Sequence[RunKey], lease: timedelta) -> set[RunKey]:
    """Renew the leases of runs, by owner and id; return those that have not ended or lost their owner."""
    is_active = exists().where(_USERS.c.id == _RUNS.c.user_id, _USERS.c.is_active)
    statement = (
        update(_RUNS)
        .where(tuple_(_RUNS.c.user_id, _RUNS.c.id).in_(runs), _RUNS.c.status.in_(EXECUTED), is_active)
        .values(lease_until=database_time(session) + lease)
        .returning(_RUNS.c.user_id, _RUNS.c.id)
    )
    return {(row.user_id, row.id) for row in await fetch_all(session, statement)}


async def expired_runs(session: AsyncSession) -> Sequence[Row[Any]]:
    """Return some of the runs, by owner and id, whose lease has expired."""
    statement = (
        select(_RUNS.c.user_id, _RUNS.c.id).where(_RUNS.c.lease_until < database_time(session)).limit(_MAX_SWEPT)
    )
    return await fetch_all(session, statement)


async def fail_expired(session: AsyncSession, caller: Caller, run_id: str, error: str) -> None:
    """End a run whose process has died, unless its lease was renewed after all."""
    try:
        revision = await next_revision(session, caller.user_id)
    except UnauthenticatedError:
        # Nobody follows the changes of a deactivated account.
        revision = 0
    is_expired = and_(caller.owns(_RUNS), _RUNS.c.id == run_id, _RUNS.c.lease_until < database_time(session))
    run = (await session.exec(select_model(Run).where(is_expired))).one_or_none()
    if run is None:
        leave_unchanged(session)
        return
    await end_run(session, caller, run, Outcome(RunStatus.FAILED, error), revision or run.revision)


async def _add_tokens(session: AsyncSession, caller: Caller, run: Run, tokens: Tokens) -> None:
    run.input_tokens = min(run.input_tokens + tokens.read, MAX_TOKENS)
    run.output_tokens = min(run.output_tokens + tokens.written, MAX_TOKENS)
    if tokens.read or tokens.written:
        await _add_to_day(session, caller, tokens)


async def end_run(session: AsyncSession, caller: Caller, run: Run, outcome: Outcome, revision: int) -> None:
    """End a run with its reply and its open tool calls."""
    run.status, run.error, run.finished_at = outcome.status, outcome.error, utc_now()
    run.lease_until, run.state, run.revision = None, None, revision
    reply = update(_MESSAGES).where(caller.owns(_MESSAGES), _MESSAGES.c.id == run.reply_id)
    await execute(session, reply.values(status=_REPLY_STATUS[outcome.status], revision=revision))
    # A conversation has the revision of its latest message.
    conversation = update(_CONVERSATIONS).where(caller.owns(_CONVERSATIONS), _CONVERSATIONS.c.id == run.conversation_id)
    older = conversation.where(_CONVERSATIONS.c.revision < revision)
    await execute(session, older.values(revision=revision, updated_at=run.finished_at))
    for before, after in _ENDS_OF_OPEN_CALLS.items():
        open_calls = caller.owns(_TOOL_CALLS), _TOOL_CALLS.c.run_id == run.id, _TOOL_CALLS.c.status == before
        await execute(session, update(_TOOL_CALLS).where(*open_calls).values(status=after, revision=revision))


async def require_tokens(session: AsyncSession, caller: Caller, limit: int) -> None:
    """Raise RateLimitedError where the user has used up the tokens of the day; 0 is no limit."""
    if not limit:
        return
    now = utc_now()
    columns = _USAGE.c.input_tokens + _USAGE.c.output_tokens
    statement = select(columns).where(caller.owns(_USAGE), _USAGE.c.day == now.date())
    used = (await execute(session, statement)).scalar() or 0
    if used >= limit:
        resets_at = datetime.combine(now.date() + timedelta(days=1), time(), UTC)
        text = f"You have used today's {limit:,} tokens of the assistant; it answers again at {resets_at.isoformat()}."
        raise RateLimitedError(text, retry_at=resets_at)


async def _add_to_day(session: AsyncSession, caller: Caller, tokens: Tokens) -> None:
    """Count tokens as used today; the lock on the owner's counter serialises concurrent runs."""
    day, used = utc_now().date(), {"input_tokens": tokens.read, "output_tokens": tokens.written}
    is_today = caller.owns(_USAGE), _USAGE.c.day == day
    more = update(_USAGE).where(*is_today).values({name: _USAGE.c[name] + count for name, count in used.items()})
    if not (await execute(session, more)).rowcount:
        await execute(session, insert(_USAGE), {"user_id": caller.user_id, "day": day} | used)
