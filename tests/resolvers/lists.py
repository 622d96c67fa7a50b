"""Lists to read over HTTP: of one user, with the ids of each in its order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from core.database import Database
from core.ids import new_id, new_ids
from core.settings import Settings
from models import Conversation
from tests.factories import SignedIn, make_user, message_row, sign_in, store, task_row
from tests.graph_client import Answer, GraphClient
from tests.services.task_rows import NOON

COUNT: Final = 23
# Each list of the API, with the place of its arguments and selection.
FIELDS: Final = (
    "tasks %s",
    "viewer { tasks %s }",
    "conversations %s",
    "viewer { conversations %s }",
    'task(id: "PARENT") { subtasks %s }',
    'conversation(id: "CONVERSATION") { messages %s }',
)
_ARGUMENTS: Final = "(first: $first, after: $after, last: $last, before: $before)"
_VARIABLES: Final = "($first: Int, $after: String, $last: Int, $before: String)"
_PAGE: Final = """{ totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id } } nodes { id } }"""


@dataclass(frozen=True, slots=True)
class Lists:
    """A user who reads lists."""

    client: GraphClient
    user: SignedIn
    parent_id: str
    conversation_id: str

    async def send(self, field: str, **arguments: Any) -> Answer:
        """Ask for a page."""
        field = field.replace("PARENT", self.parent_id).replace("CONVERSATION", self.conversation_id)
        query = f"query {_VARIABLES} {{ {field % (_ARGUMENTS + _PAGE)} }}"
        return await self.client.execute(query, arguments, as_=self.user)

    async def read(self, field: str, **arguments: Any) -> dict[str, Any]:
        """Return a page."""
        page: dict[str, Any] = (await self.send(field, **arguments)).require()
        while "edges" not in page:
            (page,) = page.values()
        assert [edge["node"] for edge in page["edges"]] == page["nodes"]
        cursors = [edge["cursor"] for edge in page["edges"]] or [None]
        assert (page["pageInfo"]["startCursor"], page["pageInfo"]["endCursor"]) == (cursors[0], cursors[-1])
        return page

    async def walk(self, field: str, size: int, *, backwards: bool) -> AsyncIterator[dict[str, Any]]:
        """Read page after page."""
        arguments: dict[str, Any] = {"last" if backwards else "first": size}
        while True:
            page = await self.read(field, **arguments)
            yield page
            info = page["pageInfo"]
            if not info["hasPreviousPage" if backwards else "hasNextPage"]:
                return
            arguments |= {"before": info["startCursor"]} if backwards else {"after": info["endCursor"]}


async def fill_lists(database: Database, settings: Settings, client: GraphClient) -> tuple[Lists, dict[str, list[str]]]:
    """Return a user with rows in every list, half of them of one moment, and their ids in order."""
    user = await sign_in(database, settings, await make_user(database, is_admin=True))
    moments = [NOON + timedelta(seconds=max(index - 10, 0)) for index in range(COUNT)]
    tops, parts, talks, said = (new_ids(COUNT) for _ in range(4))
    talk: dict[str, Any] = {"user_id": user.user.id, "title": "t", "revision": 1}
    await store(
        database,
        *(task_row(user.user.id, id=new, created_at=moment) for new, moment in zip(tops, moments, strict=True)),
        *(Conversation(**talk, id=new, created_at=at, updated_at=at) for new, at in zip(talks, moments, strict=True)),
    )
    after = NOON + timedelta(days=1)
    await store(
        database,
        *(task_row(user.user.id, id=new, parent_id=tops[0], created_at=after) for new in parts),
        *(message_row(user, talks[0], id=new, created_at=at) for new, at in zip(said, moments, strict=True)),
    )
    in_order = [[*tops, *parts], [*tops, *parts], talks[::-1], talks[::-1], parts, said]
    return Lists(client, user, tops[0], talks[0]), dict(zip(FIELDS, in_order, strict=True))


async def empty_lists(database: Database, settings: Settings, client: GraphClient) -> Lists:
    """Return a user with nothing but a task without parts and a conversation without messages."""
    user = await sign_in(database, settings)
    task, talk = task_row(user.user.id, id=new_id()), Conversation(user_id=user.user.id, title="t", revision=1)
    await store(database, task, talk)
    return Lists(client, user, task.id, talk.id)
