"""The GraphQL API as one user sees it, and what the database holds of theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from core.database import Database
from models import Conversation, Message, Task
from services.accounts.caller import Caller
from tests.factories import SignedIn, make_conversation, make_message, make_task
from tests.graph_client import Answer, GraphClient, refusal
from tests.state import State, state_of


@dataclass(frozen=True, slots=True)
class UserApi:
    client: GraphClient
    database: Database
    user: SignedIn

    def as_(self, user: SignedIn) -> "UserApi":
        return replace(self, user=user)

    @property
    def caller(self) -> Caller:
        return self.user.caller

    @property
    def user_id(self) -> str:
        return self.user.user.id

    async def execute(self, document: str, /, **variables: Any) -> Answer:
        return await self.client.execute(document, variables, as_=self.user)

    async def query(self, document: str, /, **variables: Any) -> Any:
        """Return the data of an operation that must have no errors."""
        return (await self.execute(document, **variables)).require()

    async def mutate(self, name: str, /, **given: Any) -> dict[str, Any]:
        """Return the payload of a mutation, its errors included."""
        return await self.client.mutate(name, given, as_=self.user)

    async def ok(self, name: str, /, **given: Any) -> dict[str, Any]:
        """Return the payload of a mutation that must have no errors, without them."""
        payload = await self.mutate(name, **given)
        assert payload.pop("errors") == []
        return payload

    async def refused(self, name: str, /, **given: Any) -> tuple[str, str | None, str]:
        """Return the code, the path and the message of the one error of a mutation that gives nothing else."""
        return refusal(await self.mutate(name, **given))

    async def state(self) -> State:
        return await state_of(self.database, self.user_id)

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        before = await self.state()
        yield
        assert await self.state() == before

    async def task(self, title: str = "Water the plants", **values: Any) -> Task:
        return await make_task(self.database, self.caller, title, **values)

    async def conversation(self, title: str = "Plans") -> Conversation:
        return await make_conversation(self.database, self.caller, title)

    async def message(self, conversation_id: str, content: str = "Hello") -> Message:
        return await make_message(self.database, self.caller, conversation_id, content)
