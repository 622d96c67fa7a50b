"""Rows of any kind by their ids: each caller is given their own, whoever asks at the same time."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace as Node
from typing import Any, Final

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


async def test_node_of_another_id_model_or_owner_is_none(database: Database, user: SignedIn) -> None:
    rows = await made_by(database, user.caller)
    (task_id, row), *_ = rows.items()
    ids = [task_id.upper(), task_id, new_id(), "", "x", "\0", "é" * 36, f"{task_id[:-1]}\n", '",{}\\"']
    found = [await find_node(database.batch_loader, user.caller, WANTED, given) for given in ids]
    assert found == [row, row, *[None] * 7]
    wanted = ((Message, frozenset[str]()),)
    found = [await find_node(database.batch_loader, user.caller, wanted, row_id) for row_id in rows]
    assert [row and row.type_name for row in found] == [None, None, "Message"]
    strange = [replace(user.caller, user_id=f"{quoted}{user.user.id}") for quoted in ('"', "\\", "{,}", "é ")]
    finding = (find_node(database.batch_loader, caller, WANTED, task_id) for caller in (*strange, user.caller))
    assert await asyncio.gather(*finding) == [None, None, None, None, row]
