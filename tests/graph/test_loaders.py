"""Loaders: values in the order of the keys, None for what is not the caller's, and nothing old after a mutation."""

from typing import Any, Final

import pytest
from sqlmodel import SQLModel

from core.database import Database
from core.ids import new_id
from graph.context import Batch
from models import Conversation, Message, Task
from services.accounts.users import users_by_id
from services.query.lookup import rows_by_id
from tests.factories import SignedIn, make_task
from tests.graph.conftest import House
from tests.graph.operations import run
from tests.servers import RunningServer

COLUMNS: Final = frozenset({"created_at"})


async def load(database: Database, batch: Batch, keys: list[str]) -> list[Any]:
    async with database.read() as session:
        return await batch.load(session, keys)


@pytest.mark.parametrize(
    ("model", "kind"), [(Task, "task_ids"), (Conversation, "conversation_ids"), (Message, "message_ids")]
)
async def test_rows_come_in_the_order_of_the_ids(
    database: Database, fifty_of_each: House, one_of_each: House, model: type[SQLModel], kind: str
) -> None:
    own, foreign = getattr(fifty_of_each, kind), getattr(one_of_each, kind)
    keys = [own[2], foreign[0], own[0], new_id(), own[1].upper(), "", "x" * 36, "\0", own[0][:-1], f"{own[0]}\n"]
    rows = await load(database, Batch(rows_by_id, fifty_of_each.owner.caller, COLUMNS, model), keys)
    assert [row and row.id for row in rows] == [own[2], None, own[0], None, own[1], None, None, None, None, None]
    assert {tuple(row._fields) for row in rows if row} == {("id", "created_at")}
    assert await load(database, Batch(rows_by_id, fifty_of_each.owner.caller, COLUMNS, model), foreign) == [None]


async def test_users_come_in_the_order_of_the_ids(database: Database, fifty_of_each: House, user: SignedIn) -> None:
    admin, keys = fifty_of_each.owner, [user.user.id, new_id(), fifty_of_each.owner.user.id, ""]
    rows = await load(database, Batch(users_by_id, admin.caller, frozenset({"name"})), keys)
    assert [row and row.id for row in rows] == [user.user.id, None, admin.user.id, None]
    rows = await load(database, Batch(users_by_id, user.caller, frozenset({"name"})), keys)
    assert [row and row.id for row in rows] == [user.user.id, None, None, None]


async def test_mutation_reads_the_changes_of_the_one_before(
    server: RunningServer, database: Database, user: SignedIn
) -> None:
    parent = await make_task(database, user.caller)
    add = 'createTask(input: {title: "part", parentId: $id}) { task { ...Family } }'
    rename = 'updateTask(input: {id: $id, title: "%s"}) { task { ...Family } }'
    query = f"""mutation ($id: ID!) {{ a: {add} b: {rename % "new"} c: {add} d: {rename % "newer"} }}
        fragment Family on Task {{ title subtasks {{ totalCount }} parent {{ title subtasks {{ totalCount }} }} }}"""
    done = (await run(server, user, query, {"id": parent.id})).data
    assert done["a"]["task"]["parent"] == {"title": "Water the plants", "subtasks": {"totalCount": 1}}
    assert done["b"]["task"] == {"title": "new", "subtasks": {"totalCount": 1}, "parent": None}
    assert done["c"]["task"]["parent"] == {"title": "new", "subtasks": {"totalCount": 2}}
    assert done["d"]["task"] == {"title": "newer", "subtasks": {"totalCount": 2}, "parent": None}
