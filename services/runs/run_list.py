"""The runs that wrote messages, and the tool calls of runs."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Select, select

from core.prepared_statement import cached_statement
from models import Run, ToolCall
from services.accounts.caller import OWNER, Caller, owned
from services.query.filters import IsAnyOf, id_list_param
from services.query.sql import Source, columns_of, read, table_of

_RUNS: Final = table_of(Run)
_TOOL_CALLS: Final = table_of(ToolCall)


async def runs_by_reply(source: Source, caller: Caller, ids: Sequence[str], columns: Iterable[str]) -> list[Any]:
    """Return the run that wrote each of the messages, in their order; None where none did."""
    values = {OWNER: caller.user_id, "ids": ids}
    found = {row.reply_id: row for row in await read(source, _runs_by_reply(frozenset(columns)), values)}
    return [found.get(reply_id) for reply_id in ids]


@cached_statement
def _runs_by_reply(columns: frozenset[str]) -> Select[Any]:
    selected = columns_of(_RUNS, columns | {"reply_id"})
    return select(*selected).where(owned(_RUNS), IsAnyOf(_RUNS.c.reply_id, id_list_param("ids")))


async def tool_calls_by_run(
    source: Source, caller: Caller, ids: Sequence[str], columns: Iterable[str]
) -> list[list[Any]]:
    """Return the tool calls of each of the runs, as they came."""
    values = {OWNER: caller.user_id, "ids": ids}
    calls: dict[str, list[Any]] = {run_id: [] for run_id in ids}
    for row in await read(source, _tool_calls_by_run(frozenset(columns)), values):
        calls[row.run_id].append(row)
    return [calls[run_id] for run_id in ids]


@cached_statement
def _tool_calls_by_run(columns: frozenset[str]) -> Select[Any]:
    selected = columns_of(_TOOL_CALLS, columns | {"run_id"})
    statement = select(*selected).where(owned(_TOOL_CALLS), IsAnyOf(_TOOL_CALLS.c.run_id, id_list_param("ids")))
    return statement.order_by(_TOOL_CALLS.c.run_id, _TOOL_CALLS.c.position)
