"""Loaders: values in the order of the keys, None for what is not the caller's, and nothing old after a mutation."""

from typing import Any, Final

import pytest
from sqlmodel import SQLModel

from core.database import Database
from core.ids import new_id
from graph.context import Batch
from models import Conversation, Message, Task
from services.accounts.users import users_by_id
from services.conversations.message import message_listing
from services.query.lookup import rows_by_id
from services.query.pagination import PageArguments, count_rows_of, fetch_pages, read_window
from services.tasks.task_lists import task_listing
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
async def test_rows_in_the_order_of_the_ids(
    database: Database, fifty_of_each: House, one_of_each: House, model: type[SQLModel], kind: str
) -> None:
    own, foreign = getattr(fifty_of_each, kind), getattr(one_of_each, kind)
    keys = [own[2], foreign[0], own[0], new_id(), own[1].upper(), "", "x" * 36, "\0", own[0][:-1], f"{own[0]}\n"]
    rows = await load(database, Batch(rows_by_id, fifty_of_each.owner.caller, COLUMNS, model), keys)
    assert [row and row.id for row in rows] == [own[2], None, own[0], None, own[1], None, None, None, None, None]
    assert {tuple(row._fields) for row in rows if row} == {("id", "created_at")}
    assert await load(database, Batch(rows_by_id, fifty_of_each.owner.caller, COLUMNS, model), foreign) == [None]


async def test_users_in_the_order_of_the_ids(database: Database, fifty_of_each: House, user: SignedIn) -> None:
    admin, keys = fifty_of_each.owner, [user.user.id, new_id(), fifty_of_each.owner.user.id, ""]
    rows = await load(database, Batch(users_by_id, admin.caller, frozenset({"name"})), keys)
    assert [row and row.id for row in rows] == [user.user.id, None, admin.user.id, None]
    rows = await load(database, Batch(users_by_id, user.caller, frozenset({"name"})), keys)
    assert [row and row.id for row in rows] == [user.user.id, None, None, None]


async def test_pages_in_the_order_of_the_parents(database: Database, fifty_of_each: House, one_of_each: House) -> None:
    caller = fifty_of_each.owner.caller
    tasks, messages = task_listing(caller, COLUMNS), message_listing(caller, COLUMNS)
    window = read_window(tasks.order, PageArguments(first=3))
    keys = [fifty_of_each.task_ids[30], one_of_each.task_ids[0], fifty_of_each.task_ids[0], new_id()]
    async with database.read() as session:
        pages = await fetch_pages(session, tasks, window, "parent_id", keys)
        assert [len(page.rows) for page in pages] == [1, 0, 3, 0]
        assert [page.has_next_page for page in pages] == [False, False, True, False]
        assert await count_rows_of(session, tasks, "parent_id", keys) == [1, 0, 25, 0]
        keys = [fifty_of_each.conversation_ids[7], one_of_each.conversation_ids[0], fifty_of_each.conversation_ids[3]]
        pages = await fetch_pages(session, messages, window, "conversation_id", keys)
        assert [len(page.rows) for page in pages] == [2, 0, 2]
        assert await count_rows_of(session, messages, "conversation_id", keys) == [2, 0, 2]


async def test_every_mutation_sees_what_the_one_before_it_did(
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


async def test_a_relation_leads_nowhere_beyond_the_caller(
    server: RunningServer, fifty_of_each: House, user: SignedIn
) -> None:
    ids = [*fifty_of_each.task_ids[:3], *fifty_of_each.message_ids[:3], fifty_of_each.owner.user.id]
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert (await run(server, user, query, {"ids": ids})).data == {"nodes": [None] * 7}
