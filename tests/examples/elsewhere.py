"""The same person at another device, which no cut concerns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from core.ids import new_id
from tests.waiting import until_so

_AT_ONCE = 50


@dataclass
class Elsewhere:
    """Sends operations straight to the server."""

    http: httpx2.AsyncClient
    email: str = field(default_factory=lambda: f"{new_id()}@example.com")
    password: str = "correct horse battery staple"

    async def sign_up(self) -> None:
        given = {"email": self.email, "password": self.password, "name": "Ada"}
        await self._obtain("signUp", "SignUpInput", given)

    async def sign_in(self) -> None:
        await self._obtain("signIn", "SignInInput", {"email": self.email, "password": self.password})

    async def create_conversation(self, title: str = "Plans") -> str:
        query = "mutation ($title: String) { made: createConversation(input: {title: $title}) { conversation { id } } }"
        conversation_id: str = (await self._ask(query, title=title))["made"]["conversation"]["id"]
        return conversation_id

    async def create_task(self, title: str) -> None:
        query = "mutation ($title: String!) { made: createTask(input: {title: $title}) { errors { message } } }"
        assert await self._ask(query, title=title) == {"made": {"errors": []}}

    async def task_titles(self) -> list[str]:
        answer = await self._ask("{ tasks { nodes { title } } }")
        return [task["title"] for task in answer["tasks"]["nodes"]]

    async def until_last_message(self, content: str) -> None:
        """Return once this is what was said last; replies count while they are written."""

        async def is_last() -> bool:
            return await self.last_message() == content

        await until_so(is_last)

    async def last_message(self) -> str:
        answer = await self._ask("{ conversations(first: 1) { nodes { lastMessage { content } } } }")
        (conversation,) = answer["conversations"]["nodes"]
        content: str = conversation["lastMessage"]["content"]
        return content

    async def write(self, conversation_id: str, contents: Sequence[str]) -> None:
        """Add messages, in this order."""
        for start in range(0, len(contents), _AT_ONCE):
            some = {f"m{i}": content for i, content in enumerate(contents[start : start + _AT_ONCE])}
            given = "conversationId: $id, content: $"
            fields = (f"{name}: addMessage(input: {{{given}{name}}}) {{ errors {{ message }} }}" for name in some)
            names = ", ".join(f"${name}: String!" for name in some)
            query = f"mutation ($id: ID!, {names}) {{ {' '.join(fields)} }}"
            answer = await self._ask(query, id=conversation_id, **some)
            assert answer == {name: {"errors": []} for name in some}

    async def _obtain(self, mutation: str, input_type: str, given: dict[str, str]) -> None:
        # An old token that came along would be refused.
        self.http.headers.pop("Authorization", None)
        query = f"mutation ($given: {input_type}!) {{ tokens: {mutation}(input: $given) {{ accessToken }} }}"
        answer = await self._ask(query, given=given)
        self.http.headers["Authorization"] = f"Bearer {answer['tokens']['accessToken']}"

    async def _ask(self, query: str, **variables: object) -> dict[str, Any]:
        response = await self.http.post("/graphql", json={"query": query, "variables": variables})
        answer: dict[str, Any] = response.json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data
