"""The same person at another device, which no cut concerns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.ids import new_id
from tests.graph_client import GraphClient
from tests.waiting import until_so


@dataclass
class Elsewhere:
    """Sends operations straight to the server."""

    client: GraphClient
    email: str = field(default_factory=lambda: f"{new_id()}@example.com")
    password: str = "correct horse battery staple"
    token: str | None = None

    async def sign_up(self) -> None:
        answer = await self._mutate("signUp", email=self.email, password=self.password, name="Ada")
        self.token = answer["accessToken"]

    async def sign_in(self) -> None:
        # An old token that came along would be refused.
        self.token = None
        self.token = (await self._mutate("signIn", email=self.email, password=self.password))["accessToken"]

    async def create_conversation(self, title: str = "Plans") -> str:
        conversation_id: str = (await self._mutate("createConversation", title=title))["conversation"]["id"]
        return conversation_id

    async def create_task(self, title: str) -> None:
        await self._mutate("createTask", title=title)

    async def task_titles(self) -> list[str]:
        answer = await self.client.query("{ tasks { nodes { title } } }", as_=self.token)
        return [task["title"] for task in answer["tasks"]["nodes"]]

    async def until_last_message(self, content: str) -> None:
        """Return once this is what was said last; replies count while they are written."""

        async def is_last() -> bool:
            return await self.last_message() == content

        await until_so(is_last)

    async def last_message(self) -> str:
        query = "{ conversations(first: 1) { nodes { lastMessage { content } } } }"
        (conversation,) = (await self.client.query(query, as_=self.token))["conversations"]["nodes"]
        content: str = conversation["lastMessage"]["content"]
        return content

    async def write(self, conversation_id: str, contents: Sequence[str]) -> None:
        for content in contents:
            await self._mutate("addMessage", conversationId=conversation_id, content=content)

    async def _mutate(self, name: str, /, **given: str) -> dict[str, Any]:
        payload = await self.client.mutate(name, given, as_=self.token)
        assert payload["errors"] == []
        return payload
