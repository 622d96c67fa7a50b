"""The tools of the agent, ours and those of a further MCP server: each call is executed once, and recorded."""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson
from agents import FunctionTool, RunContextWrapper
from agents.tool_context import ToolContext
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.prompt import fence
from assistant.tools import TOOLS, TOOLS_BY_NAME, Tool, read_arguments, read_object
from core.database import Database
from core.errors import BadUserInputError, TasktalkError, UnavailableError
from core.settings import EVERY_TOOL, Settings
from core.text import is_storable
from models import ToolCall, ToolCallStatus
from services.accounts.caller import Actor, Caller
from services.runs.history import find_earlier_result
from services.runs.progress import RunEndedError
from services.runs.tool_call import ENDED_CALLS, ToolRequest, close_call, open_call

if TYPE_CHECKING:
    import mcp

_MAX_CALL_ID_LENGTH: Final = 200
_MAX_UNREADABLE_LENGTH: Final = 1_000
_REMOTE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_REMOTE_TOOLS: Final = 50
_MAX_RESULT_LENGTH: Final = 20_000
_REMOTE_TIMEOUT_S: Final = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool of another MCP server."""

    name: str
    description: str
    schema: dict[str, Any]
    needs_approval: bool
    adds: bool
    client: "mcp.Client"

    async def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call the tool; a failure is a result too."""
        import mcp  # noqa: PLC0415 - loaded where a server is set up

        try:
            result = await self.client.call_tool(self.name, arguments)
        except mcp.MCPError as error:
            return {"error": str(error)[:_MAX_RESULT_LENGTH]}
        text = "\n".join(part.text for part in result.content if part.type == "text")[:_MAX_RESULT_LENGTH]
        return {"error" if result.is_error else "result": text}


@asynccontextmanager
async def remote_tools(settings: Settings, taken: Collection[str]) -> AsyncIterator[Sequence[RemoteTool]]:
    """Connect to the MCP server and give its tools; none without a server, or where it does not answer."""
    url, safe = settings.mcp_server_url, settings.mcp_safe_tools
    if url is None:
        yield []
        return
    import mcp  # noqa: PLC0415 - as above

    failure: Exception | None = None
    async with AsyncExitStack() as stack:
        tools: list[RemoteTool] = []
        try:
            client = await stack.enter_async_context(mcp.Client(url, read_timeout_seconds=_REMOTE_TIMEOUT_S))
            tools = [_remote_tool(client, tool, safe) for tool in (await client.list_tools()).tools]
        except Exception as error:  # noqa: BLE001 - the assistant can do without
            _log.warning("The MCP server of MCP_SERVER_URL is not used: %s", error)
        try:
            usable = [tool for tool in tools if _REMOTE_NAME.fullmatch(tool.name) and tool.name not in taken]
            yield usable[:_MAX_REMOTE_TOOLS]
        except Exception as error:  # noqa: BLE001 - raised again below, for the client would put it in a group
            failure = error
    if failure is not None:
        raise failure


def _remote_tool(client: "mcp.Client", tool: Any, safe: Collection[str]) -> RemoteTool:
    """Return a tool; what its server says of itself does not spare it the approval."""
    needs_approval = EVERY_TOOL not in safe and tool.name not in safe
    adds = not (tool.annotations and tool.annotations.read_only_hint)
    return RemoteTool(tool.name, tool.description or "", tool.input_schema, needs_approval, adds, client)


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The caller's tools within one run; calls `on_end` where the run has ended elsewhere."""

    database: Database
    caller: Caller
    run_id: str
    on_end: Callable[[], None]
    remote: Sequence[RemoteTool] = ()

    def tools(self) -> list[FunctionTool]:
        """Return the tools for the agent."""
        own = [self._function_tool(tool, self._call, _approval_of(tool)) for tool in TOOLS]
        return own + [self._function_tool(tool, self._call_remote, tool.needs_approval) for tool in self.remote]

    def _function_tool(
        self, tool: Any, call: Callable[[Any, ToolRequest, str], Awaitable[Any]], needs_approval: Any
    ) -> FunctionTool:
        async def invoke(context: ToolContext[Any], raw: str) -> str:
            request = ToolRequest(
                self.run_id, storable_call_id(context.tool_call_id), tool.name, recorded_arguments(raw)
            )
            try:
                result = await call(tool, request, raw)
            except RunEndedError:
                self.on_end()
                raise
            return fence(orjson.dumps(result).decode())

        return FunctionTool(
            name=tool.name,
            description=tool.description,
            params_json_schema=tool.schema,
            on_invoke_tool=invoke,
            strict_json_schema=False,
            needs_approval=needs_approval,
        )

    async def _call(self, tool: Tool, call: ToolRequest, raw: str) -> Any:
        try:
            arguments = read_arguments(tool, raw)
            if tool.writes:
                return await self.database.write(partial(self._write, tool=tool, call=call, arguments=arguments))
            async with self.database.read() as session:
                result = await tool.run(session, self.caller, arguments)
        except UnavailableError:
            raise
        except TasktalkError as error:
            return await self._record(call, {"error": error.message}, ToolCallStatus.FAILED)
        return await self._record(call, result, ToolCallStatus.COMPLETED)

    async def _write(self, session: AsyncSession, tool: Tool, call: ToolRequest, arguments: Any) -> Any:
        """Execute the call in one transaction with its record; one that was executed before stays as it is."""
        row = await self._open(session, tool, call)
        if row.status in ENDED_CALLS:
            return row.result
        result = await tool.run(session, replace(self.caller, actor=Actor(self.run_id, row.id)), arguments)
        await close_call(session, self.caller, row, result)
        return result

    async def _call_remote(self, tool: RemoteTool, call: ToolRequest, raw: str) -> Any:
        """Call another server's tool; its start is recorded first, for no transaction takes it back."""
        try:
            arguments = dict(read_object(raw))
            row = await self.database.write(partial(self._open, tool=tool, call=call))
        except BadUserInputError as error:
            return await self._record(call, {"error": error.message}, ToolCallStatus.FAILED)
        if row.status in ENDED_CALLS:
            return row.result
        result = await tool.call(arguments)
        status = ToolCallStatus.FAILED if "error" in result else ToolCallStatus.COMPLETED
        return await self._record(call, result, status)

    async def _open(self, session: AsyncSession, tool: Tool | RemoteTool, call: ToolRequest) -> ToolCall:
        """Record the start of a call, or its end where a run that broke off has made it."""
        row = await open_call(session, self.caller, call, needs_approval=tool.needs_approval)
        if tool.adds and row.status not in ENDED_CALLS:
            result = await find_earlier_result(session, self.caller, row)
            if result is not None:
                await close_call(session, self.caller, row, result)
        return row

    async def _record(self, call: ToolRequest, result: Any, status: ToolCallStatus) -> Any:
        async def work(session: AsyncSession) -> Any:
            row = await open_call(session, self.caller, call)
            if row.status in ENDED_CALLS:
                return row.result
            await close_call(session, self.caller, row, result, status)
            return result

        return await self.database.write(work)


def may_have_changed(call: Any) -> bool:
    """Tell whether an ended call may have changed something; one of another server's may have, even if it failed."""
    if (tool := TOOLS_BY_NAME.get(call.name)) is not None:
        return tool.writes and call.status is ToolCallStatus.COMPLETED
    return call.status is not ToolCallStatus.REJECTED


def storable_call_id(call_id: str) -> str:
    """Return the model's id of a call as it is recorded: a hash where it cannot be stored."""
    if len(call_id) <= _MAX_CALL_ID_LENGTH and is_storable(call_id):
        return call_id
    return sha256(call_id.encode(errors="surrogatepass")).hexdigest()


def recorded_arguments(raw: str) -> dict[str, Any]:
    """Return a call's arguments as they are shown to people, whatever the model has written."""
    try:
        return dict(read_object(raw))
    except BadUserInputError:
        return {"unreadable": raw[:_MAX_UNREADABLE_LENGTH].encode(errors="replace").decode()}


def _approval_of(tool: Tool) -> Any:
    """Return whether the SDK asks for approval before a call; never for one that cannot be executed anyway."""
    if not tool.needs_approval:
        return False

    async def is_readable(_context: RunContextWrapper[Any], arguments: dict[str, Any], _call_id: str) -> bool:
        try:
            read_arguments(tool, arguments)
        except BadUserInputError:
            return False
        return True

    return is_readable


def awaited_calls(caller: Caller, run_id: str, interruptions: Sequence[Any]) -> list[ToolCall]:
    """Return the records of the calls that a run has paused at."""
    return [
        ToolCall(
            user_id=caller.user_id,
            run_id=run_id,
            call_id=storable_call_id(item.call_id),
            position=0,
            name=item.tool_name,
            arguments=recorded_arguments(item.arguments),
            status=ToolCallStatus.AWAITING_APPROVAL,
            revision=0,
        )
        for item in interruptions
    ]
