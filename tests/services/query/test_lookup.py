"""Rows of any kind by their ids: each caller is given their own, whoever asks at the same time."""

import asyncio
from types import SimpleNamespace as Node
from typing import Any, Final

from sqlmodel.ext.asyncio.session import AsyncSession

from core.database import Database
from core.ids import new_id
from core.settings import Settings
from models import Conversation, Message, Task
from services.accounts.caller import Caller
from services.query.lookup import ColumnsByModel, find_node
from tests.databases import counted
from tests.factories import SignedIn, make_conversation, make_message, make_task, sign_in

WANTED: Final[ColumnsByModel] = (
    (Task, frozenset({"title", "tags", "priority"})),
    (Conversation, frozenset({"title"})),
    (Message, frozenset({"id"})),
)


async def made_by(database: Database, caller: Caller) -> dict[str, Any]:
    """Make a row of each kind, and return how they must be found."""
    task = await make_task(database, caller)
    conversation = await make_conversation(database, caller)
    message = await make_message(database, caller, conversation.id)
    return {
        task.id: Node(type_name="Task", id=task.id, title=task.title, priority=task.priority, tags=task.tags),
        conversation.id: Node(type_name="Conversation", id=conversation.id, title=conversation.title),
        message.id: Node(type_name="Message", id=message.id),
    }


async def test_each_caller_finds_their_own_node_by_one_statement(database: Database, settings: Settings) -> None:
    users = [await sign_in(database, settings) for _ in range(4)]
    own = {user.user.id: await made_by(database, user.caller) for user in users}
    every_id = [row_id for rows in own.values() for row_id in rows]
    asked = [(user, row_id) for user in users for row_id in every_id]
    with counted() as count:
        finding = (find_node(database.batch_loader, user.caller, WANTED, key) for user, key in asked)
        found = await asyncio.gather(*finding)
    for (user, row_id), row in zip(asked, found, strict=True):
        assert row == own[user.user.id].get(row_id)
    assert len(count) == 1


async def test_node_of_what_is_no_id_is_none(database: Database, user: SignedIn) -> None:
    (task_id, row), *_ = (await made_by(database, user.caller)).items()
    ids = [task_id.upper(), task_id, new_id(), "", "x", "\0", "é" * 36, f"{task_id[:-1]}\n", '",{}\\"']
    found = [await find_node(database.batch_loader, user.caller, WANTED, given) for given in ids]
    assert found == [row, row, *[None] * 7]


async def test_node_of_another_model_is_none(database: Database, user: SignedIn) -> None:
    rows = await made_by(database, user.caller)
    wanted = ((Message, frozenset[str]()),)
    found = [await find_node(database.batch_loader, user.caller, wanted, row_id) for row_id in rows]
    assert [row and row.type_name for row in found] == [None, None, "Message"]


async def test_changed_node_is_read_again(database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    before = await find_node(database.batch_loader, user.caller, WANTED, task.id)

    async def rename(session: AsyncSession) -> None:
        (await session.get_one(Task, (user.user.id, task.id))).title = "Changed"

    await database.write(rename)
    after = await find_node(database.batch_loader, user.caller, WANTED, task.id)
    assert (before.title, after.title) == (task.title, "Changed")


async def test_node_of_owner_whose_id_needs_quotes_is_none(database: Database, user: SignedIn) -> None:
    strange = [
        Caller(f"{quoted}{user.user.id}", None, False, user.caller.expires_at) for quoted in ('"', "\\", "{,}", "é ")
    ]
    task = await make_task(database, user.caller)
    callers = [*strange, user.caller]
    found = await asyncio.gather(*(find_node(database.batch_loader, caller, WANTED, task.id) for caller in callers))
    assert [row and row.id for row in found] == [None, None, None, None, task.id]
