"""A user's conversation, written through any server; what subscribers must have received of it, and what woke them."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import httpx2
from sqlalchemy import select

from core.database import Database
from core.settings import Settings
from live.hub import WakeUp
from models import Message
from services.conversations.messages import MessageCursor
from services.query.sql import fetch_all, table_of
from services.sync.changes import Cursor
from tests.factories import SignedIn, make_conversation, make_message, sign_in
from tests.graph_client import GraphClient
from tests.live.following import CHANGES, MESSAGES, Follower, following
from tests.servers import RunningServer
from tests.waiting import PATIENCE_S, SHORT_LIVED, until, until_so

_MESSAGES: Final = table_of(Message)


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation of a user's own, and where their changes stood when it was made."""

    database: Database
    user: SignedIn
    conversation_id: str
    revision: int

    @classmethod
    async def begin(cls, database: Database, settings: Settings) -> "Talk":
        user = await sign_in(database, settings)
        conversation = await make_conversation(database, user.caller)
        return cls(database, user, conversation.id, conversation.revision)

    def messages(self, *urls: str) -> AbstractAsyncContextManager[Follower]:
        """Follow its messages from the first on."""
        variables = {"conversation": self.conversation_id, "cursor": MessageCursor(self.revision).write()}
        return following(urls, self.user, MESSAGES, variables)

    def changes(self, *urls: str) -> AbstractAsyncContextManager[Follower]:
        """Follow all that changes after it was made."""
        return following(urls, self.user, CHANGES, {"cursor": Cursor(self.revision).write()})

    async def say(self, content: str) -> None:
        """Add a message past every server, of which nothing tells them."""
        await make_message(self.database, self.user.caller, self.conversation_id, content)

    async def write(self, url: str, contents: Sequence[str], *, at_once: int = 1, a_request: int = 1) -> None:
        """Add messages through a server: over so many connections, so many a request, each its own commit."""
        rest = iter(contents)

        async def write_some(client: GraphClient) -> None:
            while some := list(islice(rest, a_request)):
                added = await client.query(*self.addition(some), as_=self.user)
                assert [payload["errors"] for payload in added.values()] == [[]] * len(some)

        async with httpx2.AsyncClient(base_url=url, timeout=60, limits=SHORT_LIVED) as http:
            await asyncio.gather(*(write_some(GraphClient(http)) for _ in range(at_once)))

    def addition(self, contents: Sequence[str]) -> tuple[str, dict[str, Any]]:
        """Return the mutations that add messages one after another, and their variables."""
        names = [f"m{index}" for index in range(len(contents))]
        fields = [f"{name}: addMessage(input: ${name}) {{ errors {{ message }} }}" for name in names]
        document = f"mutation ({', '.join(f'${name}: AddMessageInput!' for name in names)}) {{ {' '.join(fields)} }}"
        given = [{"conversationId": self.conversation_id, "content": content} for content in contents]
        return document, dict(zip(names, given, strict=True))

    async def contents(self) -> list[str]:
        statement = (
            select(_MESSAGES.c.content)
            .where(_MESSAGES.c.user_id == self.user.user.id)
            .order_by(_MESSAGES.c.revision, _MESSAGES.c.id)
        )
        async with self.database.read() as session:
            return [row.content for row in await fetch_all(session, statement)]


async def wake_ups(server: RunningServer) -> dict[WakeUp, int]:
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        metrics = (await client.get(f"{server.url}/metrics")).text
    found = re.findall(r'^tasktalk_wake_ups_total\{kind="(\w+)"\} (\d+)', metrics, re.MULTILINE)
    return dict.fromkeys(WakeUp, 0) | {WakeUp(kind): int(count) for kind, count in found}


async def until_told(server: RunningServer) -> None:
    """Wait until other processes' signals arrive at the server."""
    await until(lambda: server.runtime.live.is_told)


async def assert_notify_wakes(server: RunningServer, other: RunningServer, talk: Talk) -> None:
    """Check that each write at another server wakes a subscriber once, by NOTIFY, and no poll does."""
    await until_told(server)
    async with talk.messages(server.url) as messages:
        await until(lambda: talk.user.user.id in server.runtime.live.hub.users)
        before = await wake_ups(server)
        for count in (1, 2):
            await talk.write(other.url, [f"{count}"])
            await messages.until_count(count)

            # A message may be found by the first read, before its wake-up.
            async def is_notified(notified: int = before[WakeUp.NOTIFY] + count) -> bool:
                return (await wake_ups(server))[WakeUp.NOTIFY] >= notified

            await until_so(is_notified)
        assert await wake_ups(server) == before | {WakeUp.NOTIFY: before[WakeUp.NOTIFY] + 2}
