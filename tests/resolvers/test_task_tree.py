"""Parents and subtasks: who may be whose, and what goes when one goes."""

from core.database import Database
from core.ids import new_id
from models import Task
from tests.factories import SignedIn, make_task
from tests.graph_client import GraphClient, refusal
from tests.state import state_of

NO_TASK = "There is no such task."
BELOW_ITSELF = "A task cannot be below itself; choose a parent outside its subtasks."


async def make_chain(database: Database, user: SignedIn, length: int) -> list[Task]:
    """Make tasks each of which is the parent of the next."""
    chain: list[Task] = []
    for depth in range(length):
        parent_id = chain[-1].id if chain else None
        chain.append(await make_task(database, user.caller, f"depth {depth}", parent_id=parent_id))
    return chain


async def test_moved_task_keeps_its_subtasks(client: GraphClient, database: Database, user: SignedIn) -> None:
    root, child, leaf = await make_chain(database, user, 3)
    other, _ = await make_chain(database, user, 2)
    for task, parent_id in ((child, other.id.upper()), (leaf, root.id), (root, leaf.id)):
        payload = await client.mutate("updateTask", {"id": task.id, "parentId": parent_id}, as_=user)
        if task is root:
            assert refusal(payload) == ("BAD_USER_INPUT", "input.parentId", BELOW_ITSELF)
        else:
            assert payload["errors"] == []
    rows = (await state_of(database, user.user.id)).rows
    assert [rows[task.id].parent_id for task in (root, child, leaf)] == [None, other.id, root.id]


async def test_deletion_takes_the_subtasks_along(client: GraphClient, database: Database, user: SignedIn) -> None:
    spared = await make_task(database, user.caller)
    root, child, leaf = await make_chain(database, user, 3)
    other_leaf = await make_task(database, user.caller, parent_id=child.id)
    payload = await client.mutate("deleteTask", {"id": child.id.upper(), "expectedRevision": 3}, as_=user)
    assert payload == {"deletedIds": [child.id, *sorted([leaf.id, other_leaf.id])], "errors": []}
    state = await state_of(database, user.user.id)
    assert set(state.rows) == {spared.id, root.id}
    assert {row.id: (row.kind, row.revision) for row in state.deletions.values()} == {
        task.id: ("TASK", 6) for task in (child, leaf, other_leaf)
    }
    assert state.revision == 6
    for task in (child, leaf):
        gone = await client.mutate("deleteTask", {"id": task.id}, as_=user)
        assert refusal(gone) == ("NOT_FOUND", "input.id", NO_TASK)
    assert await state_of(database, user.user.id) == state


async def test_id_of_a_deleted_task_can_be_used_again(client: GraphClient, database: Database, user: SignedIn) -> None:
    parent, child = await make_chain(database, user, 2)
    await client.mutate("deleteTask", {"id": parent.id}, as_=user)
    made = await client.mutate("createTask", {"title": "Again", "id": child.id}, as_=user)
    assert (made["errors"], made["task"]["revision"]) == ([], 4)
    state = await state_of(database, user.user.id)
    assert (set(state.rows), set(state.deletions)) == ({child.id}, {parent.id})
    as_conversation = await client.mutate("createConversation", {"id": parent.id}, as_=user)
    assert as_conversation["errors"] == []
    for name, row_id in (("deleteTask", child.id), ("deleteConversation", parent.id)):
        assert (await client.mutate(name, {"id": row_id}, as_=user))["deletedIds"] == [row_id]
    state = await state_of(database, user.user.id)
    assert {row.id: (row.kind, row.revision) for row in state.deletions.values()} == {
        child.id: ("TASK", 6),
        parent.id: ("CONVERSATION", 7),
    }


async def test_failed_creation_keeps_the_tombstone(client: GraphClient, database: Database, user: SignedIn) -> None:
    task = await make_task(database, user.caller)
    await client.mutate("deleteTask", {"id": task.id}, as_=user)
    before = await state_of(database, user.user.id)
    payload = await client.mutate("createTask", {"title": " ", "id": task.id}, as_=user)
    assert len(payload["errors"]) == 1
    assert await state_of(database, user.user.id) == before


async def test_chain_of_three_hundred_is_deleted_whole(client: GraphClient, database: Database, user: SignedIn) -> None:
    ids = [new_id() for _ in range(300)]
    for begin in range(0, 300, 100):
        batch = [
            {"title": str(index), "id": ids[index], "parentId": ids[index - 1] if index else None}
            for index in range(begin, begin + 100)
        ]
        assert (await client.mutate("createTasks", {"tasks": batch}, as_=user))["errors"] == []
    circle = await client.mutate("updateTask", {"id": ids[0], "parentId": ids[-1]}, as_=user)
    assert refusal(circle) == ("BAD_USER_INPUT", "input.parentId", BELOW_ITSELF)
    payload = await client.mutate("deleteTask", {"id": ids[0]}, as_=user)
    assert set(payload["deletedIds"]) == set(ids)
    state = await state_of(database, user.user.id)
    assert (state.rows, len(state.deletions)) == ({}, 300)
