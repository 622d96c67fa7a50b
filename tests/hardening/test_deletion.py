"""Deletion of what is very large: gone at once for everybody, then removed by batches, over crashes."""

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

import pytest
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.ids import new_id, new_ids
from core.settings import Settings
from models import Message, RunStatus, Task
from services.query.sql import insert_rows
from services.sync import removal
from services.sync.removal import remove_deleted
from tests.databases import run_sql
from tests.factories import SignedIn, make_answered, make_conversation, make_user, message_row, sign_in, task_row
from tests.graph_client import GraphClient

MAX_AT_ONCE: Final = 100
COUNT: Final = 2 * MAX_AT_ONCE + 1
NODES: Final = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } conversations { totalCount } }"
CHANGES: Final = "query ($since: String) { changes(since: $since) { changed { id } deletedIds cursor hasMore } }"
OWNED: Final = [table.name for table in SQLModel.metadata.sorted_tables if "user_id" in table.c]


class CrashError(Exception):
    """The process ends here."""


@pytest.fixture(autouse=True)
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep the server from removing anything; note the batches that the test removes, the second of which crashes."""

    async def do_nothing(_database: Database) -> None: ...

    monkeypatch.setattr("server.lifecycle.remove_deleted", do_nothing)
    for module in ("services.sync.removal", "services.conversations.conversations"):
        monkeypatch.setattr(f"{module}.MAX_AT_ONCE", MAX_AT_ONCE)
    monkeypatch.setattr("services.sync.removal.SLOW_S", math.inf)
    noted: list[Any] = []
    for name in ("_remove_conversation", "_remove_account"):
        monkeypatch.setattr(removal, name, partial(noting, noted, getattr(removal, name)))
    return noted


async def noting(noted: list[Any], remove: Callable[..., Awaitable[Any]], session: AsyncSession, **given: Any) -> Any:
    position = await remove(session, **given)
    noted.append(given)
    if len(noted) == 2:
        raise CrashError
    return position


async def store_rows(database: Database, model: type[SQLModel], rows: Sequence[SQLModel]) -> None:
    await database.transaction(lambda writer: insert_rows(writer, model, [row.model_dump() for row in rows]))


async def count(database: Database, table: str, user_id: str) -> int:
    statement = f"SELECT count(*) FROM {table} WHERE user_id = :id"  # noqa: S608 - our own names
    async with database.read() as session:
        return int(await run_sql(session, statement, id=user_id))


async def read_changes(client: GraphClient, user: SignedIn, since: str | None = None) -> tuple[set[str], set[str], str]:
    """Return the ids of what changed and of what is gone since, and the cursor behind it."""
    changed, deleted, has_more = set[str](), set[str](), True
    while has_more:
        page = (await client.query(CHANGES, {"since": since}, as_=user))["changes"]
        changed |= {row["id"] for row in page["changed"]}
        deleted |= set(page["deletedIds"])
        since, has_more = page["cursor"], page["hasMore"]
    return changed, deleted, str(since)


async def test_large_conversation_is_gone_at_once_and_removed_by_batches(
    client: GraphClient, database: Database, user: SignedIn, batches: list[Any]
) -> None:
    talk = (await make_conversation(database, user.caller)).id
    ended = await make_answered(database, user, talk, 1)
    at_work = await make_answered(database, user, talk, 1, status=RunStatus.RUNNING)
    await store_rows(database, Message, [message_row(user, talk) for _ in range(COUNT - 4)])
    known, _, cursor = await read_changes(client, user)
    payload = await client.mutate("deleteConversation", {"id": talk}, as_=user)
    # The run that is at work ends with it.
    assert payload == {"deletedIds": [talk, *sorted([at_work.run.id, at_work.calls[0].id])], "errors": []}
    assert await count(database, "messages", user.user.id) == COUNT
    ids = [talk, ended.message.id, ended.reply.id, ended.run.id, ended.calls[0].id]
    nothing = {"nodes": [None] * len(ids), "conversations": {"totalCount": 0}}
    assert await client.query(NODES, {"ids": ids}, as_=user) == nothing
    for name, given in (
        ("deleteConversation", {"id": talk}),
        ("addMessage", {"conversationId": talk, "content": "Hello"}),
        ("regenerateReply", {"messageId": ended.message.id}),
        ("undoRun", {"id": ended.run.id}),
    ):
        (error,) = (await client.mutate(name, given, as_=user))["errors"]
        assert error["code"] == "NOT_FOUND", name
    assert (await read_changes(client, user))[0] == {user.user.id}
    with pytest.raises(CrashError):
        await remove_deleted(database)
    assert await count(database, "messages", user.user.id) == COUNT - MAX_AT_ONCE
    await remove_deleted(database)
    assert len(batches) == 2 + 3
    # Each goes on behind the one before, past nothing that is dead.
    assert [given["after"].key is None for given in batches] == [True, False, True, False, False]
    assert [await count(database, name, user.user.id) for name in ("messages", "runs", "conversations")] == [0] * 3
    changed, deleted, _ = await read_changes(client, user, cursor)
    assert (changed, deleted) == (set(), known - {user.user.id})


async def test_large_account_is_gone_at_once_and_removed_by_batches(
    client: GraphClient, database: Database, settings: Settings, batches: list[Any]
) -> None:
    signing_up = {"email": f"{new_id()}@example.com", "password": "correct horse battery", "name": "Ada"}
    signed_up = await client.mutate("signUp", signing_up)
    user_id, token = signed_up["user"]["id"], signed_up["accessToken"]
    ids = new_ids(COUNT)
    # Each a part of the one before, in pairs.
    parents = [ids[index - 1] if index % 2 else None for index in range(COUNT)]
    tasks = [task_row(user_id, id=row_id, parent_id=parent) for row_id, parent in zip(ids, parents, strict=True)]
    await store_rows(database, Task, tasks)
    given = {"password": signing_up["password"]}
    payload = await client.mutate("deleteAccount", given, as_=token)
    assert payload == {"deletedIds": [user_id], "errors": []}
    assert await count(database, "tasks", user_id) == COUNT
    assert (await client.execute("{ tasks { totalCount } }", as_=token)).codes == ["UNAUTHENTICATED"]
    again = await client.mutate("signUp", signing_up)
    assert again["user"]["id"] != user_id
    admin = await sign_in(database, settings, await make_user(database, is_admin=True))
    users = await client.query("query ($id: ID!) { node(id: $id) { id } }", {"id": user_id}, as_=admin)
    assert users == {"node": None}
    for name, refused in (("deleteUser", {"id": user_id}), ("setUserActive", {"id": user_id, "isActive": True})):
        (error,) = (await client.mutate(name, refused, as_=admin))["errors"]
        assert error["code"] == "NOT_FOUND", name
    with pytest.raises(CrashError):
        await remove_deleted(database)
    assert await count(database, "tasks", user_id) == COUNT - MAX_AT_ONCE
    await remove_deleted(database)
    # Those of tasks, one of which is done again, of the audit log, and the account.
    assert len(batches) == 2 + 4
    assert [await count(database, table, user_id) for table in OWNED] == [0] * len(OWNED)
    async with database.read() as session:
        assert await run_sql(session, "SELECT count(*) FROM users WHERE id = :id", id=user_id) == 0
