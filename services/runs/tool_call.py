"""Records of tool calls: each call is executed once, in one transaction with what it changes."""

from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import BadUserInputError
from core.transaction import keep_changes
from models import Run, ToolCall, ToolCallStatus
from services.accounts.caller import Caller
from services.entities.revision import next_revision
from services.query.sql import fetch_all, table_of
from services.runs.progress import next_position, require_executed

_TOOL_CALLS: Final = table_of(ToolCall)
_ENDED: Final = (ToolCallStatus.COMPLETED, ToolCallStatus.FAILED, ToolCallStatus.REJECTED)


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call of a tool as the model requests it."""

    run_id: str
    call_id: str
    name: str
    arguments: dict[str, Any] = field(repr=False)


async def open_call(
    session: AsyncSession, caller: Caller, call: ToolRequest, *, needs_approval: bool = False
) -> ToolCall:
    """Return the record of a call, a new one if there is none; refuse it once the run has ended.

    A call that needs approval is allowed only as the person has seen and approved it.
    """
    revision = await next_revision(session, caller.user_id)
    await require_executed(session, caller, call.run_id)
    row = await _find(session, caller, call)
    if needs_approval:
        _require_approved(row, call)
    if row is None:
        row = ToolCall(
            user_id=caller.user_id,
            run_id=call.run_id,
            call_id=call.call_id,
            position=await next_position(session, caller, call.run_id),
            name=call.name,
            arguments=call.arguments,
            status=ToolCallStatus.RUNNING,
            revision=revision,
        )
        session.add(row)
        await session.flush()
    return row


def _require_approved(row: ToolCall | None, call: ToolRequest) -> None:
    if row is None or row.status is ToolCallStatus.AWAITING_APPROVAL:
        raise BadUserInputError(f"{call.name} needs the person's approval.")
    if (row.name, row.arguments) != (call.name, call.arguments):
        raise BadUserInputError(f"The person has approved something else than this use of {call.name}.")


def has_ended(row: ToolCall) -> bool:
    """Return whether a call was executed before, or never will be."""
    return row.status in _ENDED


async def close_call(
    session: AsyncSession, caller: Caller, row: ToolCall, result: Any, status: ToolCallStatus = ToolCallStatus.COMPLETED
) -> None:
    """Record the result of a call, in the transaction that also holds what it changed."""
    row.revision = await next_revision(session, caller.user_id)
    row.result, row.status = result, status
    # A tool that found nothing to change has still been called.
    keep_changes(session)
    await session.flush()


async def decisions_of(session: AsyncSession, caller: Caller, run_id: str) -> dict[str, bool]:
    """Return for each of a run's calls, by the model's id of it, whether it is approved."""
    calls = select(_TOOL_CALLS.c.call_id, _TOOL_CALLS.c.status)
    rows = await fetch_all(session, calls.where(caller.owns(_TOOL_CALLS), _TOOL_CALLS.c.run_id == run_id))
    return {row.call_id: row.status is not ToolCallStatus.REJECTED for row in rows}


async def calls_of_replies(session: AsyncSession, caller: Caller, reply_ids: list[str]) -> dict[str, list[Any]]:
    """Return the calls that were executed while each of the replies was written, in their order."""
    runs = table_of(Run)
    statement = (
        select(
            runs.c.reply_id,
            _TOOL_CALLS.c.call_id,
            _TOOL_CALLS.c.name,
            _TOOL_CALLS.c.arguments,
            _TOOL_CALLS.c.result,
            _TOOL_CALLS.c.status,
        )
        .join_from(_TOOL_CALLS, runs, (runs.c.user_id == _TOOL_CALLS.c.user_id) & (runs.c.id == _TOOL_CALLS.c.run_id))
        .where(caller.owns(_TOOL_CALLS), runs.c.reply_id.in_(reply_ids), _TOOL_CALLS.c.status.in_(_ENDED))
        .order_by(_TOOL_CALLS.c.position)
    )
    calls: dict[str, list[Any]] = {reply_id: [] for reply_id in reply_ids}
    for row in await fetch_all(session, statement):
        calls[row.reply_id].append(row)
    return calls


async def _find(session: AsyncSession, caller: Caller, call: ToolRequest) -> ToolCall | None:
    known = select(_TOOL_CALLS.c.id).where(
        caller.owns(_TOOL_CALLS), _TOOL_CALLS.c.run_id == call.run_id, _TOOL_CALLS.c.call_id == call.call_id
    )
    rows = await fetch_all(session, known)
    return await session.get(ToolCall, (caller.user_id, rows[0].id)) if rows else None
