"""Parents and subtasks: who may be whose, and what goes when one goes."""

from core.ids import new_id
from models import Task
from tests.resolvers.user_api import UserApi

BELOW_ITSELF = (
    "BAD_USER_INPUT",
    "input.parentId",
    "A task cannot be below itself; choose a parent outside its subtasks.",
)


async def make_chain(api: UserApi, length: int) -> list[Task]:
    """Make tasks each of which is the parent of the next."""
    chain: list[Task] = []
    for depth in range(length):
        chain.append(await api.task(f"depth {depth}", parent_id=chain[-1].id if chain else None))
    return chain


async def test_moved_task_keeps_its_subtasks(api: UserApi) -> None:
    root, child, leaf = await make_chain(api, 3)
    other = await api.task()
    await api.ok("updateTask", id=child.id, parentId=other.id.upper())
    await api.ok("updateTask", id=leaf.id, parentId=root.id)
    assert await api.refused("updateTask", id=root.id, parentId=leaf.id) == BELOW_ITSELF
    rows = (await api.state()).rows
    assert [rows[task.id].parent_id for task in (root, child, leaf)] == [None, other.id, root.id]


async def test_deletion_takes_the_subtasks_along(api: UserApi) -> None:
    spared = await api.task()
    root, child, leaf = await make_chain(api, 3)
    other_leaf = await api.task(parent_id=child.id)
    deleted = await api.ok("deleteTask", id=child.id.upper(), expectedRevision=3)
    assert deleted == {"deletedIds": [child.id, *sorted([leaf.id, other_leaf.id])]}
    state = await api.state()
    assert (set(state.rows), state.revision) == ({spared.id, root.id}, 6)
    tombstones = {row.id: (row.kind, row.revision) for row in state.deletions.values()}
    assert tombstones == {task.id: ("TASK", 6) for task in (child, leaf, other_leaf)}
    async with api.unchanged():
        for task in (child, leaf):
            gone = await api.refused("deleteTask", id=task.id)
            assert gone == ("NOT_FOUND", "input.id", "There is no such task.")
        # A creation that fails keeps the tombstone.
        assert len((await api.mutate("createTask", title=" ", id=child.id))["errors"]) == 1


async def test_id_of_a_deleted_task_can_be_used_again(api: UserApi) -> None:
    parent, child = await make_chain(api, 2)
    await api.ok("deleteTask", id=parent.id)
    assert (await api.ok("createTask", title="Again", id=child.id))["task"]["revision"] == 4
    state = await api.state()
    assert (set(state.rows), set(state.deletions)) == ({child.id}, {parent.id})
    await api.ok("createConversation", id=parent.id)
    for name, row_id in (("deleteTask", child.id), ("deleteConversation", parent.id)):
        assert await api.ok(name, id=row_id) == {"deletedIds": [row_id]}
    tombstones = {row.id: (row.kind, row.revision) for row in (await api.state()).deletions.values()}
    assert tombstones == {child.id: ("TASK", 6), parent.id: ("CONVERSATION", 7)}


async def test_chain_of_three_hundred_is_deleted_whole(api: UserApi) -> None:
    ids = [new_id() for _ in range(300)]
    chain = [{"title": "x", "id": row_id, "parentId": up} for row_id, up in zip(ids, [None, *ids[:-1]], strict=True)]
    for begin in range(0, 300, 100):
        await api.ok("createTasks", tasks=chain[begin : begin + 100])
    assert await api.refused("updateTask", id=ids[0], parentId=ids[-1]) == BELOW_ITSELF
    assert set((await api.ok("deleteTask", id=ids[0]))["deletedIds"]) == set(ids)
    state = await api.state()
    assert (state.rows, len(state.deletions)) == ({}, 300)
