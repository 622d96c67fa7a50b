"""A run is taken back: once, as a whole, with everything that it did."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Final

import pytest

from core.database import Database
from core.errors import ConflictError, NotFoundError
from core.ids import new_id
from models import HistoryAction, Run, RunStatus, Task, TaskPriority
from services.sync.changes import Change, Cursor, EntityKind, read_changes
from services.tasks.tasks import tasks as task_service
from services.tasks.undo import KeptChange, Undone
from services.tasks.undo_plan import CHANGED_SINCE_MADE
from tests.databases import counted
from tests.factories import SignedIn, new_task, store, task_row
from tests.histories import Assisted, Hand, assisted, task_ids, tasks_of
from tests.state import state_of

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def test_all_that_a_run_did_is_taken_back(person: Hand, run: Assisted) -> None:
    changed = await person.make("changed", description="Twice", due_at=NOON, tags=["b"], priority=TaskPriority.HIGH)
    done = await person.change(await person.make("done"), completed=True)
    doomed = await person.make("doomed", due_at=NOON, tags=["x"])
    leaf = await person.change(await person.make("leaf", parent_id=doomed.id), completed=True)
    outer = await person.make("outer")
    inner = await person.make("inner", parent_id=outer.id)
    before_history = [task_row(person.caller.user_id) for _ in range(2)]
    await store(person.database, *before_history)
    before = await person.tasks()
    made = await run.make("made")
    tree = [await run.make("child", parent_id=made.id)]
    tree += [await run.make("leaf", parent_id=tree[0].id) for _ in range(2)]
    await run.change(changed, title="new", description=None, due_at=None, tags=[], priority=TaskPriority.LOW)
    await run.change(changed, title="newer", parent_id=made.id, completed=True)
    await run.change(done, completed=False)
    await run.delete(doomed)
    gone_again = await run.make()
    await run.delete(gone_again)
    # Turned round: the inner becomes the outer, within a task of the run's own.
    await run.change(inner, parent_id=made.id)
    await run.change(outer, parent_id=inner.id)
    await run.change(before_history[0], title="x")
    await run.delete(before_history[1])
    undone = await run.undo()
    assert await person.tasks() == before
    assert (undone.kept, set(undone.deleted_ids)) == ([], {task.id for task in (made, *tree)})
    assert set(task_ids(undone)) == {task.id for task in (changed, done, doomed, leaf, outer, inner, *before_history)}
    assert len(await person.history(gone_again)) == 2


async def test_undo_stamps_and_records_what_it_changes(database: Database, person: Hand, run: Assisted) -> None:
    changed, deleted = await person.make("changed"), await person.make("deleted")
    made = await run.make()
    await run.change(changed, title="x")
    await run.delete(deleted)
    before = await state_of(database, person.caller.user_id)
    undone = await run.undo()
    state = await state_of(database, person.caller.user_id)
    assert state.revision == before.revision + 1
    assert {state.rows[task.id].revision for task in (changed, deleted)} == {state.revision}
    assert state.rows[deleted.id].created_at == deleted.created_at
    assert state.rows[deleted.id].words == "deleted"
    assert {row.id: row.revision for row in state.deletions.values()} == {made.id: state.revision}
    assert (undone.run.revision, undone.run.undone_at) == (state.revision, state.rows[changed.id].updated_at)
    for task, kind in ((changed, "UPDATED"), (deleted, "CREATED"), (made, "DELETED")):
        last = (await person.history(task))[-1]
        assert (last.kind, last.run_id, last.tool_call_id) == (HistoryAction(kind), None, None)
        assert (last.revision, last.created_at) == (state.revision, undone.run.undone_at)
    async with database.read() as session:
        changes = await read_changes(session, person.caller, Cursor(before.revision), 100)
    expected = {Change(EntityKind.TASK, task.id, state.revision, task is made) for task in (changed, deleted, made)}
    assert set(changes.entries) == expected | {Change(EntityKind.RUN, run.run.id, state.revision)}


async def test_newest_change_is_taken_back_first_and_parents_before_subtasks(
    user: SignedIn, person: Hand, run: Assisted
) -> None:
    tasks = [await person.make() for _ in range(3)]
    for task in (tasks[1], tasks[0], tasks[2], tasks[0]):
        await run.change(task, completed=not task.completed, title=new_id())
    assert task_ids(await run.undo()) == [tasks[0].id, tasks[2].id, tasks[1].id]
    run = await assisted(person.database, user)
    chain = [await person.make("0")]
    for depth in range(1, 30):
        chain.append(await person.make(str(depth), parent_id=chain[-1].id))
    before = await person.tasks()
    for task in reversed(chain):
        await run.delete(task)
    assert task_ids(await run.undo()) == [task.id for task in chain]
    assert await person.tasks() == before


async def test_run_is_undone_once_even_if_it_changed_nothing(database: Database, person: Hand, run: Assisted) -> None:
    task = await person.make()
    undone = await run.undo()
    assert (undone.tasks, undone.deleted_ids, undone.kept) == ([], [], [])
    assert len(await person.history(task)) == 1
    undone_at = undone.run.undone_at
    await person.change(task, title="x")
    before = await state_of(database, person.caller.user_id), await person.history()
    with pytest.raises(ConflictError) as refused:
        await run.undo()
    assert undone_at is not None
    moment = undone_at.isoformat()
    assert refused.value.message == f"This run was undone already, at {moment}; it cannot be undone twice."
    assert isinstance(refused.value.current, Run)
    assert (await state_of(database, person.caller.user_id), await person.history()) == before


@pytest.mark.parametrize("status", RunStatus)
async def test_only_ended_runs_are_undone(database: Database, user: SignedIn, person: Hand, status: RunStatus) -> None:
    run = await assisted(database, user, status)
    task = await run.make()
    if status in (RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.FAILED):
        assert (await run.undo()).deleted_ids == [task.id]
        return
    before = await state_of(database, person.caller.user_id)
    with pytest.raises(ConflictError, match=r"cancel .* first\.$"):
        await run.undo()
    assert await state_of(database, person.caller.user_id) == before


async def test_undo_spares_tasks_of_others(database: Database, stranger: SignedIn, person: Hand, run: Assisted) -> None:
    theirs = Hand(database, stranger.caller)
    kept, doomed = new_id(), new_id()
    mine, _ = [await hand.make("first", id=doomed) for hand in (person, theirs)]
    await run.delete(mine)
    made = await run.make(id=kept)
    await theirs.make("theirs", id=kept, parent_id=doomed)
    before = await state_of(database, stranger.user.id)
    undone = await run.undo()
    assert (task_ids(undone), undone.deleted_ids, undone.kept) == ([doomed], [made.id], [])
    assert await state_of(database, stranger.user.id) == before


async def test_undo_of_a_hundred_tasks_takes_as_many_statements_as_one(database: Database, user: SignedIn) -> None:
    person = user.caller
    taken: list[int] = []
    for count in (1, 100):
        run = await assisted(database, user)
        new = [new_task(f"Task {number}") for number in range(count)]
        create = partial(task_service.create_many, new=new)
        changed, doomed = [await database.write(partial(create, caller=person)) for _ in range(2)]
        before = await tasks_of(database, person)
        await database.write(partial(create, caller=run.caller))
        done, gone = ([task.id for task in tasks] for tasks in (changed, doomed))
        complete = partial(task_service.update_many, row_ids=done, changes={"completed": True})
        await database.write(partial(complete, caller=run.caller))
        await database.write(partial(task_service.delete_many, caller=run.caller, row_ids=gone))
        with counted() as counting:
            undone = await run.undo()
        assert (len(undone.tasks), len(undone.deleted_ids), undone.kept) == (2 * count, count, [])
        assert await tasks_of(database, person) == before
        taken.append(len(counting))
    assert taken[0] == taken[1] <= 18


async def test_undo_keeps_what_somebody_writes_meanwhile(database: Database, user: SignedIn, person: Hand) -> None:
    for _ in range(10):
        run = await assisted(database, user)
        task, made = await person.make("first"), await run.make("made")
        await run.change(task, title="second", completed=True)
        at_once = run.undo(), person.change(task, title="third"), person.change(made, title="mine")
        undone, _, changed = await asyncio.gather(*at_once, return_exceptions=True)
        assert isinstance(undone, Undone)
        tasks = await person.tasks()
        # Whoever comes last, what the person wrote stands.
        assert (tasks[task.id]["title"], tasks[task.id]["completed"]) == ("third", False)
        came_first = isinstance(changed, Task)
        assert (made.id in tasks) == came_first == (KeptChange(made.id, None, CHANGED_SINCE_MADE) in undone.kept)
        assert isinstance(changed, NotFoundError) != came_first
        kinds = [each.kind for each in await person.history(made)]
        assert kinds == [HistoryAction.CREATED, HistoryAction.UPDATED if came_first else HistoryAction.DELETED]


async def test_concurrent_undos_succeed_once(person: Hand, run: Assisted) -> None:
    task = await person.make("first")
    await run.change(task, title="second")
    outcomes = await asyncio.gather(*(run.undo() for _ in range(5)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["ConflictError"] * 4 + ["Undone"]
    assert len(await person.history(task)) == 3
