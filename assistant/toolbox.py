"""The tools as the agent is given them: each call is carried out once, and recorded with what it changed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any, Final

import orjson
from agents import FunctionTool, RunContextWrapper
from agents.tool_context import ToolContext
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.arguments import read_object
from assistant.instructions import fence
from assistant.remote_tools import RemoteTool
from assistant.tools import TOOLS, Tool, read_arguments
from core.database import Database
from core.errors import BadUserInputError, TasktalkError, UnavailableError
from core.text import is_storable
from models import ToolCall, ToolCallStatus
from services.accounts.caller import Actor, Caller
from services.runs.progress import RunEndedError
from services.runs.tool_call import Call, close_call, has_ended, open_call

_MOST_CALL_ID_LENGTH: Final = 200
_MOST_SHOWN: Final = 1_000


class Toolbox:
    """The caller's tools within one run; calls `on_end` where the run has ended elsewhere."""

    def __init__(
        self,
        database: Database,
        caller: Caller,
        run_id: str,
        on_end: Callable[[], None],
        remote: Sequence[RemoteTool] = (),
    ) -> None:
        self._database = database
        self._caller = caller
        self._run_id = run_id
        self._on_end = on_end
        self._remote = remote

    def tools(self) -> list[FunctionTool]:
        """Return the tools for the agent."""
        return [*map(self._own_tool, TOOLS), *map(self._remote_tool, self._remote)]

    def _own_tool(self, tool: Tool) -> FunctionTool:
        async def asks(_context: RunContextWrapper[Any], arguments: dict[str, Any], _call_id: str) -> bool:
            return _reads(tool, arguments)

        return FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.schema,
            on_invoke_tool=self._invoking(partial(self._call, tool)),
            strict_json_schema=False,
            needs_approval=asks if tool.needs_approval else False,
        )

    def _remote_tool(self, tool: RemoteTool) -> FunctionTool:
        return FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.schema,
            on_invoke_tool=self._invoking(partial(self._call_remote, tool)),
            strict_json_schema=False,
            needs_approval=tool.needs_approval,
        )

    def _invoking(
        self, call: Callable[[str, str], Awaitable[Any]]
    ) -> Callable[[ToolContext[Any], str], Awaitable[str]]:
        async def invoke(context: ToolContext[Any], arguments: str) -> str:
            try:
                result = await call(known_id(context.tool_call_id), arguments)
            except RunEndedError:
                self._on_end()
                raise
            return fence(orjson.dumps(result).decode())

        return invoke

    async def _call(self, tool: Tool, call_id: str, raw: str) -> Any:
        call = Call(self._run_id, call_id, tool.name, recorded_arguments(raw))
        try:
            arguments = read_arguments(tool, raw)
            if tool.writes:
                return await self._database.write(lambda session: self._change(session, tool, call, arguments))
            async with self._database.read() as session:
                result = await tool.run(session, self._caller, arguments)
        except UnavailableError:
            raise
        except TasktalkError as error:
            result = {"error": error.message}
            return await self._record(call, result, ToolCallStatus.FAILED)
        return await self._record(call, result, ToolCallStatus.COMPLETED)

    async def _change(self, session: AsyncSession, tool: Tool, call: Call, arguments: Any) -> Any:
        """Carry the call out, in one transaction with its record; one that was carried out before stays as it is."""
        row = await open_call(session, self._caller, call, needs_approval=tool.needs_approval)
        if has_ended(row):
            return row.result
        acting = replace(self._caller, actor=Actor(self._run_id, row.id))
        result = await tool.run(session, acting, arguments)
        await close_call(session, self._caller, row, result)
        return result

    async def _call_remote(self, tool: RemoteTool, call_id: str, raw: str) -> Any:
        """Call another server's tool; that it was begun is recorded first, for no transaction takes it back."""
        call = Call(self._run_id, call_id, tool.name, recorded_arguments(raw))
        try:
            arguments = dict(read_object(raw))
            opening = partial(open_call, caller=self._caller, call=call, needs_approval=tool.needs_approval)
            row = await self._database.write(opening)
        except BadUserInputError as error:
            return await self._record(call, {"error": error.message}, ToolCallStatus.FAILED)
        if has_ended(row):
            return row.result
        result = await tool.call(arguments)
        status = ToolCallStatus.FAILED if "error" in result else ToolCallStatus.COMPLETED
        return await self._record(call, result, status)

    async def _record(self, call: Call, result: Any, status: ToolCallStatus) -> Any:
        async def work(session: AsyncSession) -> Any:
            row = await open_call(session, self._caller, call)
            if has_ended(row):
                return row.result
            await close_call(session, self._caller, row, result, status)
            return result

        return await self._database.write(work)


def known_id(call_id: str) -> str:
    """Return the model's name for a call as it is recorded: its own, unless that cannot be stored."""
    if len(call_id) <= _MOST_CALL_ID_LENGTH and is_storable(call_id):
        return call_id
    return sha256(call_id.encode(errors="surrogatepass")).hexdigest()


def recorded_arguments(raw: str) -> dict[str, Any]:
    """Return a call's arguments as they are shown to people, whatever the model has written."""
    try:
        return dict(read_object(raw))
    except BadUserInputError:
        return {"unreadable": raw[:_MOST_SHOWN].encode(errors="replace").decode()}


def _reads(tool: Tool, arguments: dict[str, Any]) -> bool:
    """Tell whether a call can be carried out at all: of one that cannot, nobody needs to be asked."""
    try:
        read_arguments(tool, arguments)
    except BadUserInputError:
        return False
    return True


def awaited_calls(caller: Caller, run_id: str, interruptions: Sequence[Any]) -> list[ToolCall]:
    """Return the records of the calls that a run stopped at."""
    return [
        ToolCall(
            user_id=caller.user_id,
            run_id=run_id,
            call_id=known_id(item.call_id),
            position=0,
            name=item.tool_name,
            arguments=recorded_arguments(item.arguments),
            status=ToolCallStatus.AWAITING_APPROVAL,
            revision=0,
        )
        for item in interruptions
    ]
