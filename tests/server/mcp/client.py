"""Clients of the MCP endpoint: the official one, and messages over plain HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

from httpx2 import AsyncClient, Response
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CLIENT_CAPABILITIES_META_KEY,
    PROTOCOL_VERSION_META_KEY,
    CallToolResult,
    ReadResourceResult,
    TextContent,
    TextResourceContents,
)

from tests.waiting import PATIENCE_S

Mode = Literal["auto", "legacy"]
VERSION: Final = "2026-07-28"
OLDER_VERSION: Final = "2025-11-25"


@asynccontextmanager
async def connected(url: str, token: str, mode: Mode = "auto") -> AsyncIterator[Client]:
    async with (
        AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def json_text_of(result: ReadResourceResult) -> str:
    (content,) = result.contents
    assert isinstance(content, TextResourceContents)
    assert content.mime_type == "application/json"
    return content.text


def message(method: str, **params: Any) -> dict[str, Any]:
    meta = {PROTOCOL_VERSION_META_KEY: VERSION, CLIENT_CAPABILITIES_META_KEY: {}}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}


def older_message(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def headers_of(token: str | None, sent: dict[str, Any] | None = None) -> dict[str, str]:
    """Return the headers of a message; without one, those of a client before today's."""
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if sent is not None and "_meta" in sent["params"]:
        headers |= {"MCP-Protocol-Version": VERSION, "Mcp-Method": sent["method"]}
        if (name := sent["params"].get("name", sent["params"].get("uri"))) is not None:
            headers["Mcp-Name"] = name
    return headers


async def post(
    http: AsyncClient, token: str | None, sent: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    return await http.post("/mcp", json=sent, headers=headers_of(token, sent) | (headers or {}))


def refusal(response: Response) -> tuple[int, str, str]:
    """Return the status, our own code and the message of a request that was not served."""
    answer = response.json()
    assert answer.keys() == {"jsonrpc", "id", "error"}
    return response.status_code, answer["error"]["data"]["code"], answer["error"]["message"]
