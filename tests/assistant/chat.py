"""A person's talk with the assistant, over GraphQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from core.settings import Settings
from tests.factories import SignedIn
from tests.graph_client import GraphClient, mutation
from tests.servers import serve_with
from tests.waiting import SHORT_LIVED, START_PATIENCE_S, until_so

RUN: Final = """id status error model inputTokens outputTokens finishedAt
    reply { id content status } toolCalls { id name arguments result status }"""
_ANSWER: Final = f"""
    conversation {{ id title }} message {{ id content role status }} reply {{ id content status run {{ id }} }}
    run {{ {RUN} }} errors {{ code message path retryAt }}
"""
_RUN: Final = f"query ($id: ID!) {{ node(id: $id) {{ ... on Run {{ {RUN} }} }} }}"
_TASKS: Final = "{ tasks(first: 100) { nodes { id title completed priority dueAt tags } } }"
_MESSAGES: Final = """
    query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { id role content status } } } }
"""


@dataclass(frozen=True, slots=True)
class Chat:
    client: GraphClient
    user: SignedIn

    async def send(self, content: str, **given: Any) -> dict[str, Any]:
        document = f"mutation ($input: SendMessageInput!) {{ sendMessage(input: $input) {{ {_ANSWER} }} }}"
        return await self._mutate("sendMessage", document, content=content, **given)

    async def ask_again(self, message_id: str, **given: Any) -> dict[str, Any]:
        document = f"mutation ($input: RegenerateReplyInput!) {{ regenerateReply(input: $input) {{ {_ANSWER} }} }}"
        return await self._mutate("regenerateReply", document, messageId=message_id, **given)

    async def cancel(self, run_id: str) -> dict[str, Any]:
        return await self._mutate("cancelRun", mutation("cancelRun", RUN), id=run_id)

    async def resolve(self, tool_call_id: str, *, approve: bool) -> dict[str, Any]:
        document = mutation("resolveToolCall", RUN)
        return await self._mutate("resolveToolCall", document, id=tool_call_id, approve=approve)

    async def run(self, run_id: str) -> Any:
        return (await self.client.query(_RUN, {"id": run_id}, as_=self.user))["node"]

    async def until(self, run_id: str, *statuses: str) -> Any:
        async with asyncio.timeout(START_PATIENCE_S):
            while (run := await self.run(run_id))["status"] not in statuses:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.02)
        return run

    async def ended(self, run_id: str) -> Any:
        """Return a run once it is completed or has failed."""
        return await self.until(run_id, "COMPLETED", "FAILED")

    async def until_written(self, run_id: str, content: str) -> None:
        async def is_written() -> bool:
            return bool((await self.run(run_id))["reply"]["content"] == content)

        await until_so(is_written, START_PATIENCE_S)

    async def tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.client.query(_TASKS, as_=self.user))["tasks"]["nodes"]
        return found

    async def titles(self) -> list[str]:
        return [task["title"] for task in await self.tasks()]

    async def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        data = await self.client.query(_MESSAGES, {"id": conversation_id}, as_=self.user)
        nodes: list[dict[str, Any]] = data["conversation"]["messages"]["nodes"]
        return nodes

    async def _mutate(self, name: str, document: str, **given: Any) -> dict[str, Any]:
        payload: dict[str, Any] = (await self.client.query(document, {"input": given}, as_=self.user))[name]
        return payload


@asynccontextmanager
async def chatting_at(url: str, user: SignedIn) -> AsyncIterator[Chat]:
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=SHORT_LIVED) as http:
        yield Chat(GraphClient(http), user)


@asynccontextmanager
async def chatting(settings: Settings, user: SignedIn, **overrides: Any) -> AsyncIterator[Chat]:
    """Give a user's talk with a server of its own."""
    async with serve_with(settings, **overrides) as server, chatting_at(server.url, user) as chat:
        yield chat


def codes(answer: dict[str, Any]) -> list[str]:
    return [error["code"] for error in answer["errors"]]


def refusals(answer: dict[str, Any]) -> list[tuple[str, str]]:
    return [(error["code"], error["message"]) for error in answer["errors"]]
