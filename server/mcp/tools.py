"""The assistant's tools as other programs find and call them."""

from typing import Any

import orjson
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as ListedTool
from sqlmodel.ext.asyncio.session import AsyncSession

from assistant.tools import TOOLS, TOOLS_BY_NAME, Tool, read_arguments
from core.errors import BadUserInputError, ForbiddenError, TasktalkError
from graph.context import Runtime
from server.mcp.grant import needed_scope
from services.accounts.access_tokens import Grant

_OVERWRITING = frozenset({"update_task", "delete_task"})
_ADDING = frozenset({"add_task"})


async def list_tools(_runtime: Runtime, grant: Grant, _given: PaginatedRequestParams | None) -> ListToolsResult:
    """Return the tools that the token allows: a model is not tempted by those that it may not call."""
    return ListToolsResult(tools=[_listed(tool) for tool in TOOLS if _allows(grant, tool)])


async def call_tool(runtime: Runtime, grant: Grant, given: CallToolRequestParams) -> CallToolResult:
    """Run a tool; what a model can mend is told to it as the tool's result."""
    tool = TOOLS_BY_NAME.get(given.name)
    if tool is None:
        raise BadUserInputError(f"There is no tool {given.name[:60]!r}; there are {', '.join(TOOLS_BY_NAME)}.")
    if not _allows(grant, tool):
        raise ForbiddenError(f"The access token does not allow {tool.name}.")
    try:
        result = await _run(runtime, grant, tool, given.arguments or {})
    except TasktalkError as error:
        return CallToolResult(content=[TextContent(text=error.message)], is_error=True)
    return CallToolResult(content=[TextContent(text=orjson.dumps(result).decode())], structured_content=result)


async def _run(runtime: Runtime, grant: Grant, tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    arguments = read_arguments(tool, given)

    async def work(session: AsyncSession) -> dict[str, Any]:
        return await tool.run(session, grant.caller, arguments)

    if tool.writes:
        return await runtime.database.write(work)
    async with runtime.database.read() as session:
        return await work(session)


def _allows(grant: Grant, tool: Tool) -> bool:
    return needed_scope("tools/call", {"name": tool.name}) in grant.scopes


def _listed(tool: Tool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        title=tool.name.replace("_", " ").capitalize(),
        description=tool.description,
        input_schema=tool.schema,
        annotations=ToolAnnotations(
            read_only_hint=not tool.writes,
            destructive_hint=tool.name in _OVERWRITING,
            idempotent_hint=tool.name not in _ADDING,
            open_world_hint=False,
        ),
    )
