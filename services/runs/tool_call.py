"""Records of tool calls: each call is executed once, in one transaction with what it changes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Select, select
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession

from core.errors import BadUserInputError
from core.prepared_statement import cached_statement
from core.transaction import keep_changes
from models import ToolCall, ToolCallStatus
from services.accounts.caller import OWNER, Caller, owned
from services.entities.revision import next_revision
from services.query.filters import IsAnyOf, id_list_param
from services.query.sql import Source, fetch_all, read, table_columns, table_of
from services.runs.progress import next_position, require_executed

_TOOL_CALLS: Final = table_of(ToolCall)
ENDED_CALLS: Final = (ToolCallStatus.COMPLETED, ToolCallStatus.FAILED, ToolCallStatus.REJECTED)


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
    """Return the record of a call, a new one if there is none; raise RunEndedError once the run has ended.

    A call that needs approval is allowed only as the person has seen and approved it.
    """
    revision = await next_revision(session, caller.user_id)
    await require_executed(session, caller, call.run_id)
    is_call = _TOOL_CALLS.c.run_id == call.run_id, _TOOL_CALLS.c.call_id == call.call_id
    row = (await session.exec(select_model(ToolCall).where(caller.owns(_TOOL_CALLS), *is_call))).one_or_none()
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


async def tool_calls_by_run(
    source: Source, caller: Caller, ids: Sequence[str], columns: Iterable[str]
) -> list[list[Any]]:
    """Return the tool calls of each of the runs, in their order."""
    values = {OWNER: caller.user_id, "ids": ids}
    calls: dict[str, list[Any]] = {run_id: [] for run_id in ids}
    for row in await read(source, _tool_calls_by_run(frozenset(columns)), values):
        calls[row.run_id].append(row)
    return [calls[run_id] for run_id in ids]


@cached_statement
def _tool_calls_by_run(columns: frozenset[str]) -> Select[Any]:
    selected = table_columns(_TOOL_CALLS, columns | {"run_id"})
    statement = select(*selected).where(owned(_TOOL_CALLS), IsAnyOf(_TOOL_CALLS.c.run_id, id_list_param("ids")))
    return statement.order_by(_TOOL_CALLS.c.run_id, _TOOL_CALLS.c.position)
