"""The tools by the official client over HTTP, of today and of before."""

import json
from typing import Any, Literal

import httpx2
import pytest
from mcp import MCPError

from assistant.tools import TOOLS
from core.database import Database
from models import AccessScope
from tests.access_tokens import make_access_token
from tests.factories import NOBODYS_ID, SignedIn, make_task
from tests.server.mcp.client import connected, message, older_message, post, refusal, text_of
from tests.servers import RunningServer
from tests.state import state_of

every_age = pytest.mark.parametrize("mode", ["auto", "legacy"])


# tests/parity has what each tool does.
@every_age
async def test_result_of_a_tool_is_structured_and_text(
    server: RunningServer, token: str, mode: Literal["auto", "legacy"]
) -> None:
    async with connected(server.url, token, mode) as client:
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.title) == ("tasktalk", "Tasktalk")
        assert [tool.name for tool in (await client.list_tools()).tools] == [tool.name for tool in TOOLS]
        added = await client.call_tool("add_task", {"title": "Buy milk", "priority": "HIGH", "tags": ["shop"]})
        task = added.structured_content["task"]
        assert json.loads(text_of(added)) == added.structured_content
        assert (task["title"], task["priority"], task["tags"]) == ("Buy milk", "HIGH", ["shop"])
        assert (await client.call_tool("list_tasks")).structured_content == {"tasks": [task], "total": 1}


async def test_tools_have_annotations_and_schemas(server: RunningServer, token: str) -> None:
    async with connected(server.url, token) as client:
        tools = (await client.list_tools()).tools
    hints = {tool.name: tool.annotations for tool in tools}
    assert [name for name, hint in hints.items() if hint and hint.read_only_hint] == ["list_tasks", "search"]
    assert [name for name, hint in hints.items() if hint and hint.destructive_hint] == ["update_task", "delete_task"]
    assert [name for name, hint in hints.items() if hint and not hint.idempotent_hint] == ["add_task"]
    assert [tool.input_schema for tool in tools] == [tool.schema for tool in TOOLS]


@every_age
async def test_read_only_token_lists_and_calls_reading_tools(
    server: RunningServer, database: Database, user: SignedIn, mode: Literal["auto", "legacy"]
) -> None:
    read_only = (await make_access_token(database, user.caller, [AccessScope.TASKS_READ])).text
    async with connected(server.url, read_only, mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_tasks", "search"]
        assert (await client.call_tool("list_tasks")).structured_content["total"] == 0


async def test_writing_tool_is_refused_to_a_read_only_token(
    http: httpx2.AsyncClient, server: RunningServer, database: Database, user: SignedIn
) -> None:
    task = await make_task(database, user.caller)
    before = await state_of(database, user.user.id)
    read_only = (await make_access_token(database, user.caller, [AccessScope.TASKS_READ])).text
    metadata = f"{server.url}/.well-known/oauth-protected-resource/mcp"
    challenge = f'Bearer error="insufficient_scope", scope="tasks:write", resource_metadata="{metadata}"'
    for name in [tool.name for tool in TOOLS if tool.writes]:
        for make in (message, older_message):
            response = await post(http, read_only, make("tools/call", name=name, arguments={"task_id": task.id}))
            assert refusal(response) == (403, "FORBIDDEN", "The access token lacks the scope tasks:write.")
            assert response.headers["www-authenticate"] == challenge
    assert await state_of(database, user.user.id) == before


async def test_write_only_token_reads_nothing(server: RunningServer, database: Database, user: SignedIn) -> None:
    token = (await make_access_token(database, user.caller, [AccessScope.TASKS_WRITE])).text
    async with connected(server.url, token) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [tool.name for tool in TOOLS if tool.writes]
        assert (await client.call_tool("add_task", {"title": "Buy milk"})).is_error is False
        for reading in (
            client.call_tool("list_tasks"),
            client.call_tool("search", {"query": "milk"}),
            client.read_resource("tasktalk://tasks/open"),
            client.get_prompt("plan_my_day"),
        ):
            with pytest.raises(MCPError, match=r"The access token lacks the scope tasks:read\."):
                await reading
        assert (await client.list_resources()).resources == []
        assert (await client.list_resource_templates()).resource_templates == []
        assert (await client.list_prompts()).prompts == []


@every_age
async def test_invalid_arguments_and_unknown_tools_are_refused(
    server: RunningServer, token: str, mode: Literal["auto", "legacy"]
) -> None:
    # tests/parity has the rules of the values.
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("add_task", {"title": " "}, "title must be 1 to 500 characters long; it has 0."),
        ("add_task", {}, "add_task needs the argument title."),
        ("list_tasks", {"limit": 51}, "limit is wrong: Input should be less than or equal to 50."),
        ("complete_task", {"task_id": NOBODYS_ID}, "There is no such task."),
    ]
    async with connected(server.url, token, mode) as client:
        for name, given, told in cases:
            result = await client.call_tool(name, given)
            assert (result.is_error, text_of(result)) == (True, told)
        with pytest.raises(MCPError, match="There is no tool 'drop_tasks'; there are list_tasks, "):
            await client.call_tool("drop_tasks", {})
