"""Adapters that give GraphQL and REST one interface to conversations and runs; MCP only reads them."""

from dataclasses import dataclass
from typing import Any, Final

from tests.factories import SignedIn
from tests.graph_client import GraphClient
from tests.parity.task_apis import RefusedError, execute, mutate, send
from tests.server.rest.client import RestClient

_RUN: Final = "id status error reply { content } toolCalls { id name arguments result status }"
_MESSAGES: Final = "messages(first: 100) { nodes { role content status } }"


def _said(messages: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(each["role"], each["content"], each["status"]) for each in messages]


@dataclass(frozen=True, slots=True)
class GraphQLConversations:
    """Conversations over GraphQL."""

    client: GraphClient
    user: SignedIn

    async def make(self, **given: Any) -> Any:
        return (await self._mutate("createConversation", "id title", **given))["conversation"]

    async def rename(self, conversation_id: str, title: str) -> Any:
        return (await self._mutate("updateConversation", "id title", id=conversation_id, title=title))["conversation"]

    async def read(self, conversation_id: str) -> Any:
        return await self._find("conversation", conversation_id, "id title")

    async def titles(self) -> list[str]:
        found = await execute(self.client, self.user, "{ conversations { nodes { title } } }", {})
        return [node["title"] for node in found["conversations"]["nodes"]]

    async def messages(self, conversation_id: str) -> Any:
        return _said((await self._find("conversation", conversation_id, _MESSAGES))["messages"]["nodes"])

    async def delete(self, conversation_id: str) -> Any:
        return (await self._mutate("deleteConversation", id=conversation_id))["deletedIds"]

    async def ask(self, message: str, key: str | None = None, **given: Any) -> dict[str, Any]:
        answer = await self._mutate("sendMessage", "id", content=message, idempotency_key=key, **given)
        ids = {f"{name}_id": answer[name]["id"] for name in ("conversation", "message", "reply", "run")}
        return ids | await self.run(ids["run_id"])

    async def run(self, run_id: str) -> dict[str, Any]:
        run = await self._find("node", run_id, f"... on Run {{ {_RUN} }}")
        shown = {"response": run["reply"]["content"], "tool_calls": run["toolCalls"]}
        return {"status": run["status"], "error": run["error"]} | shown

    async def resolve(self, tool_call_id: str, *, approve: bool) -> Any:
        return (await self._mutate("resolveToolCall", id=tool_call_id, approve=approve))["run"]["status"]

    async def cancel(self, run_id: str) -> Any:
        return (await self._mutate("cancelRun", id=run_id))["run"]["status"]

    async def _find(self, field: str, row_id: str, selected: str) -> Any:
        query = f"query ($id: ID!) {{ {field}(id: $id) {{ {selected} }} }}"
        if (found := (await execute(self.client, self.user, query, {"id": row_id}))[field]) is None:
            raise RefusedError("NOT_FOUND", f"There is no such {field}.")
        return found

    async def _mutate(self, name: str, fields: str | None = None, **given: Any) -> Any:
        return await mutate(self.client, self.user, name, fields, **given)


@dataclass(frozen=True, slots=True)
class RestConversations:
    """Conversations over REST."""

    client: RestClient

    async def make(self, **given: Any) -> Any:
        return await self._named("POST", "/conversations", given)

    async def rename(self, conversation_id: str, title: str) -> Any:
        return await self._named("PATCH", f"/conversations/{conversation_id}", {"title": title})

    async def read(self, conversation_id: str) -> Any:
        return await self._named("GET", f"/conversations/{conversation_id}")

    async def titles(self) -> list[str]:
        return [item["title"] for item in (await send(self.client, "GET", "/conversations"))["items"]]

    async def messages(self, conversation_id: str) -> Any:
        return _said((await send(self.client, "GET", f"/conversations/{conversation_id}/messages", limit=100))["items"])

    async def delete(self, conversation_id: str) -> Any:
        return (await send(self.client, "DELETE", f"/conversations/{conversation_id}"))["deleted_ids"]

    async def ask(self, message: str, key: str | None = None, **given: Any) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        return await send(self.client, "POST", "/chat", {"message": message, **given}, headers=headers)

    async def run(self, run_id: str) -> dict[str, Any]:
        answer = await send(self.client, "GET", f"/runs/{run_id}")
        return {name: answer[name] for name in ("status", "error", "response", "tool_calls")}

    async def resolve(self, tool_call_id: str, *, approve: bool) -> Any:
        return (await send(self.client, "POST", f"/tool-calls/{tool_call_id}/resolve", {"approve": approve}))["status"]

    async def cancel(self, run_id: str) -> Any:
        return (await send(self.client, "POST", f"/runs/{run_id}/cancel"))["status"]

    async def _named(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = await send(self.client, method, path, body)
        return {"id": answer["id"], "title": answer["title"]}


ConversationAPI = GraphQLConversations | RestConversations
