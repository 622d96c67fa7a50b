"""The runs that wrote messages, and the tool calls of runs."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Row, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models import Run, ToolCall
from services.caller import Caller
from services.expressions import IsAnyOf, id_list
from services.sql import fetch_all, table_of

_RUNS: Final = table_of(Run)
_TOOL_CALLS: Final = table_of(ToolCall)


async def runs_by_reply(
    session: AsyncSession, caller: Caller, reply_ids: Sequence[str], columns: Iterable[str]
) -> list[Row[Any] | None]:
    """Return the run that wrote each of the messages, in their order; None where none did."""
    wanted = {"reply_id", *columns}
    statement = select(*(column for column in _RUNS.c if column.name in wanted)).where(
        caller.owns(_RUNS), IsAnyOf(_RUNS.c.reply_id, id_list(reply_ids))
    )
    found = {row.reply_id: row for row in await fetch_all(session, statement)}
    return [found.get(reply_id) for reply_id in reply_ids]


async def tool_calls_by_run(
    session: AsyncSession, caller: Caller, run_ids: Sequence[str], columns: Iterable[str]
) -> list[list[Row[Any]]]:
    """Return the tool calls of each of the runs, as they came."""
    wanted = {"run_id", *columns}
    statement = (
        select(*(column for column in _TOOL_CALLS.c if column.name in wanted))
        .where(caller.owns(_TOOL_CALLS), IsAnyOf(_TOOL_CALLS.c.run_id, id_list(run_ids)))
        .order_by(_TOOL_CALLS.c.run_id, _TOOL_CALLS.c.position)
    )
    calls: dict[str, list[Row[Any]]] = {run_id: [] for run_id in run_ids}
    for row in await fetch_all(session, statement):
        calls[row.run_id].append(row)
    return [calls[run_id] for run_id in run_ids]
