"""Adapters that give GraphQL and REST one interface to conversations and runs; MCP only reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.parity.task_apis import RefusedError, camel_case, execute, mutate, send
from tests.server.rest.client import RestClient

Said = tuple[str, str, str]

_ERRORS: Final = "errors { code message retryAt }"
_RUN: Final = "id status error reply { content } toolCalls { id name arguments result status }"
_ANSWER: Final = f"conversation {{ id }} message {{ id }} reply {{ id }} run {{ {_RUN} }}"
_MESSAGES: Final = "messages(first: 100) { nodes { role content status } }"


@dataclass(frozen=True, slots=True)
class GraphQLConversations:
    """Conversations over GraphQL."""

    client: GraphClient
    user: SignedIn

    async def make(self, **given: Any) -> dict[str, Any]:
        return await self._conversation("createConversation", "CreateConversationInput", given)

    async def rename(self, conversation_id: str, title: str) -> dict[str, Any]:
        given = {"id": conversation_id, "title": title}
        return await self._conversation("updateConversation", "UpdateConversationInput", given)

    async def read(self, conversation_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self._find(conversation_id, "id title")
        return found

    async def titles(self) -> list[str]:
        found = await execute(self.client, self.user, "{ conversations { nodes { title } } }", {})
        return [node["title"] for node in found["conversations"]["nodes"]]

    async def messages(self, conversation_id: str) -> list[Said]:
        nodes = (await self._find(conversation_id, _MESSAGES))["messages"]["nodes"]
        return [(node["role"], node["content"], node["status"]) for node in nodes]

    async def delete(self, conversation_id: str) -> list[str]:
        payload = await self._mutate(
            "deleteConversation", "ConversationRefInput", {"id": conversation_id}, "deletedIds"
        )
        gone: list[str] = payload["deletedIds"]
        return gone

    async def ask(self, message: str, key: str | None = None, **given: Any) -> dict[str, Any]:
        asked = {"content": message, "idempotencyKey": key, **camel_case(given)}
        answer = await self._mutate("sendMessage", "SendMessageInput", asked, _ANSWER)
        ids = {f"{name}_id": answer[name]["id"] for name in ("conversation", "message", "reply", "run")}
        return ids | _shown(answer["run"])

    async def run(self, run_id: str) -> dict[str, Any]:
        query = f"query ($id: ID!) {{ node(id: $id) {{ ... on Run {{ {_RUN} }} }} }}"
        node = (await execute(self.client, self.user, query, {"id": run_id}))["node"]
        if not node:
            raise RefusedError("NOT_FOUND", "There is no such run.")
        return _shown(node)

    async def resolve(self, tool_call_id: str, *, approve: bool) -> str:
        given = {"id": tool_call_id, "approve": approve}
        return await self._status("resolveToolCall", "ResolveToolCallInput", given)

    async def cancel(self, run_id: str) -> str:
        return await self._status("cancelRun", "RunRefInput", {"id": run_id})

    async def _status(self, name: str, of: str, given: Mapping[str, Any]) -> str:
        status: str = (await self._mutate(name, of, given, "run { status }"))["run"]["status"]
        return status

    async def _conversation(self, name: str, of: str, given: Mapping[str, Any]) -> dict[str, Any]:
        conversation: dict[str, Any] = (await self._mutate(name, of, given, "conversation { id title }"))[
            "conversation"
        ]
        return conversation

    async def _find(self, conversation_id: str, fields: str) -> Any:
        query = f"query ($id: ID!) {{ conversation(id: $id) {{ {fields} }} }}"
        found = (await execute(self.client, self.user, query, {"id": conversation_id}))["conversation"]
        if found is None:
            raise RefusedError("NOT_FOUND", "There is no such conversation.")
        return found

    async def _mutate(self, name: str, of: str, given: Mapping[str, Any], fields: str) -> dict[str, Any]:
        document = f"mutation ($input: {of}!) {{ {name}(input: $input) {{ {fields} {_ERRORS} }} }}"
        return await mutate(self.client, self.user, name, document, given)


def _shown(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": run["status"],
        "error": run["error"],
        "response": run["reply"]["content"],
        "tool_calls": run["toolCalls"],
    }


@dataclass(frozen=True, slots=True)
class RestConversations:
    """Conversations over REST."""

    client: RestClient

    async def make(self, **given: Any) -> dict[str, Any]:
        return _named(await send(self.client, "POST", "/conversations", given))

    async def rename(self, conversation_id: str, title: str) -> dict[str, Any]:
        return _named(await send(self.client, "PATCH", f"/conversations/{conversation_id}", {"title": title}))

    async def read(self, conversation_id: str) -> dict[str, Any]:
        return _named(await send(self.client, "GET", f"/conversations/{conversation_id}"))

    async def titles(self) -> list[str]:
        return [item["title"] for item in (await send(self.client, "GET", "/conversations"))["items"]]

    async def messages(self, conversation_id: str) -> list[Said]:
        items = (await send(self.client, "GET", f"/conversations/{conversation_id}/messages", limit=100))["items"]
        return [(item["role"], item["content"], item["status"]) for item in items]

    async def delete(self, conversation_id: str) -> list[str]:
        gone: list[str] = (await send(self.client, "DELETE", f"/conversations/{conversation_id}"))["deleted_ids"]
        return gone

    async def ask(self, message: str, key: str | None = None, **given: Any) -> dict[str, Any]:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer: dict[str, Any] = await send(
            self.client, "POST", "/chat", {"message": message, **given}, headers=headers
        )
        return answer

    async def run(self, run_id: str) -> dict[str, Any]:
        answer = await send(self.client, "GET", f"/runs/{run_id}")
        return {name: answer[name] for name in ("status", "error", "response", "tool_calls")}

    async def resolve(self, tool_call_id: str, *, approve: bool) -> str:
        run = await send(self.client, "POST", f"/tool-calls/{tool_call_id}/resolve", {"approve": approve})
        status: str = run["status"]
        return status

    async def cancel(self, run_id: str) -> str:
        status: str = (await send(self.client, "POST", f"/runs/{run_id}/cancel"))["status"]
        return status


def _named(conversation: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": conversation["id"], "title": conversation["title"]}


ConversationAPI = GraphQLConversations | RestConversations
