"""Tools of a further MCP server that the assistant may use; what is not declared to be harmless asks first."""

import logging
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import mcp

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_TOOLS: Final = 50
_MOST_RESULT_LENGTH: Final = 20_000
_TIMEOUT_S: Final = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteTool:
    """A tool of the other server."""

    name: str
    description: str
    schema: dict[str, Any]
    needs_approval: bool
    client: mcp.Client

    async def call(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call it; what fails there is a result too."""
        try:
            result = await self.client.call_tool(self.name, arguments)
        except mcp.MCPError as error:
            return {"error": str(error)[:_MOST_RESULT_LENGTH]}
        text = "\n".join(part.text for part in result.content if part.type == "text")[:_MOST_RESULT_LENGTH]
        return {"error" if result.is_error else "result": text}


@asynccontextmanager
async def remote_tools(url: str | None, taken: Collection[str]) -> AsyncIterator[Sequence[RemoteTool]]:
    """Give the server's tools while a run goes on; none where there is no server, or it does not answer."""
    failure: Exception | None = None
    async with AsyncExitStack() as stack:
        tools: list[RemoteTool] = []
        if url is not None:
            try:
                client = await stack.enter_async_context(mcp.Client(url, read_timeout_seconds=_TIMEOUT_S))
                tools = [_tool(client, tool) for tool in (await client.list_tools()).tools]
            except Exception as error:  # noqa: BLE001 - the assistant can do without
                _log.warning("The MCP server of MCP_SERVER_URL is not used: %s", error)
        try:
            yield [tool for tool in tools if _NAME.fullmatch(tool.name) and tool.name not in taken][:_MOST_TOOLS]
        except Exception as error:  # noqa: BLE001 - raised again below, for the client would put it in a group
            failure = error
    if failure is not None:
        raise failure


def _tool(client: mcp.Client, tool: Any) -> RemoteTool:
    is_harmless = bool(tool.annotations and tool.annotations.read_only_hint)
    return RemoteTool(tool.name, tool.description or "", tool.input_schema, not is_harmless, client)
