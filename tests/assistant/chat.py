"""A person's talk with the assistant, over GraphQL."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.waiting import START_PATIENCE_S, until_so

RUN: Final = """
    id status error model inputTokens outputTokens finishedAt
    reply { id content status }
    toolCalls { id name arguments result status }
"""
_ANSWER: Final = f"""
    conversation {{ id title }} message {{ id content role status }} reply {{ id content status run {{ id }} }}
    run {{ {RUN} }} errors {{ code message path retryAt }}
"""
_SEND: Final = f"mutation ($input: SendMessageInput!) {{ sendMessage(input: $input) {{ {_ANSWER} }} }}"
_AGAIN: Final = f"mutation ($input: RegenerateReplyInput!) {{ regenerateReply(input: $input) {{ {_ANSWER} }} }}"
_CANCEL: Final = (
    f"mutation ($input: RunRefInput!) {{ cancelRun(input: $input) {{ run {{ {RUN} }} errors {{ code message }} }} }}"
)
_RESOLVE: Final = f"""
    mutation ($input: ResolveToolCallInput!) {{
        resolveToolCall(input: $input) {{ run {{ {RUN} }} errors {{ code message }} }}
    }}
"""
_RUN: Final = f"query ($id: ID!) {{ node(id: $id) {{ ... on Run {{ {RUN} }} }} }}"
_TASKS: Final = "{ tasks(first: 100) { nodes { id title completed priority dueAt tags } } }"
_MESSAGES: Final = """
    query ($id: ID!) { conversation(id: $id) { messages(first: 100) { nodes { id role content status } } } }
"""


@dataclass(frozen=True, slots=True)
class Chat:
    """What one user asks of the assistant."""

    client: GraphClient
    user: SignedIn

    async def send(self, content: str, **given: Any) -> dict[str, Any]:
        """Send a message and return what came of it."""
        return await self._mutate(_SEND, "sendMessage", {"content": content} | given)

    async def ask_again(self, message_id: str, **given: Any) -> dict[str, Any]:
        """Let a message be answered anew."""
        return await self._mutate(_AGAIN, "regenerateReply", {"messageId": message_id} | given)

    async def cancel(self, run_id: str) -> dict[str, Any]:
        """Cancel a run."""
        return await self._mutate(_CANCEL, "cancelRun", {"id": run_id})

    async def resolve(self, tool_call_id: str, *, approve: bool) -> dict[str, Any]:
        """Approve or reject a tool call."""
        return await self._mutate(_RESOLVE, "resolveToolCall", {"id": tool_call_id, "approve": approve})

    async def run(self, run_id: str) -> Any:
        """Return a run as it stands, or None."""
        return (await self.client.query(_RUN, {"id": run_id}, as_=self.user))["node"]

    async def until(self, run_id: str, *statuses: str) -> Any:
        """Return a run once it has come so far."""
        async with asyncio.timeout(START_PATIENCE_S):
            while (run := await self.run(run_id))["status"] not in statuses:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.02)
        return run

    async def until_written(self, run_id: str, content: str) -> None:
        """Return once so much of a run's reply is there."""

        async def is_written() -> bool:
            run = await self.run(run_id)
            return bool(run["reply"]["content"] == content)

        await until_so(is_written, START_PATIENCE_S)

    async def tasks(self) -> list[dict[str, Any]]:
        """Return the user's tasks."""
        found: list[dict[str, Any]] = (await self.client.query(_TASKS, as_=self.user))["tasks"]["nodes"]
        return found

    async def titles(self) -> list[str]:
        """Return the titles of the user's tasks."""
        return [task["title"] for task in await self.tasks()]

    async def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        """Return what was said."""
        data = await self.client.query(_MESSAGES, {"id": conversation_id}, as_=self.user)
        nodes: list[dict[str, Any]] = data["conversation"]["messages"]["nodes"]
        return nodes

    async def _mutate(self, document: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
        payload: dict[str, Any] = (await self.client.query(document, {"input": given}, as_=self.user))[name]
        return payload
