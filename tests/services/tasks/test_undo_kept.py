"""What is not taken back of a run, since something else has changed it or needs it, stays and is named."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from sqlalchemy import delete

from core.clock import utc_now
from core.database import Database
from services.conversations.conversations import conversations
from services.entities.service import NewRow
from services.query.sql import execute
from services.tasks.undo import KeptChange
from services.tasks.undo_plan import CHANGED, CHANGED_SINCE_MADE, CIRCLE, DELETED, HAS_SUBTASKS, ID_TAKEN, NO_PARENT
from tests.factories import SignedIn
from tests.histories import CHANGES, Assisted, Hand, assisted, history_of, task_ids, tasks_of

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def test_what_somebody_changed_since_stays(database: Database, person: Hand, run: Assisted) -> None:
    task = await person.make("first", due_at=NOON)
    await run.change(task, title="second", due_at=None, completed=True)
    await person.change(task, title="third", tags=["mine"])
    undone = await run.undo()
    assert task_ids(undone) == [task.id]
    assert undone.kept == [KeptChange(task.id, "title", CHANGED)]
    (now,) = (await tasks_of(database, person.caller)).values()
    assert (now["title"], now["due_at"], now["completed"], now["tags"]) == ("third", NOON, False, ["mine"])
    assert (await history_of(database, person.caller, task.id))[-1].after.keys() == {
        "due_at",
        "completed",
        "completed_at",
    }


async def test_a_task_stays_done_that_was_done_again(database: Database, person: Hand, run: Assisted) -> None:
    task = await person.make()
    await run.change(task, completed=True)
    await person.change(task, completed=False)
    again = await person.change(task, completed=True)
    undone = await run.undo()
    assert undone.kept == [KeptChange(task.id, "completed", CHANGED)]
    assert undone.tasks == []
    assert (await tasks_of(database, person.caller))[task.id]["completed_at"] == again.completed_at


async def test_back_to_what_somebody_wrote_in_between(database: Database, person: Hand, run: Assisted) -> None:
    task = await person.make("first")
    await run.change(task, title="second")
    await person.change(task, title="third")
    await run.change(task, title="fourth")
    undone = await run.undo()
    assert undone.kept == [KeptChange(task.id, "title", CHANGED)]
    assert (await tasks_of(database, person.caller))[task.id]["title"] == "third"


@pytest.mark.parametrize("is_changed_since", [False, True])
async def test_undoing_of_another_run_is_no_change_whatever_the_clock_says(
    database: Database,
    person: Hand,
    run: Assisted,
    user: SignedIn,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_changed_since: bool,
) -> None:
    task = await person.make("first")
    await run.change(task, title="second")
    other = await assisted(database, user)
    await other.change(task, title="third")
    # The moments above are then those of another clock, such as the database's.
    for module in ("services.entities.service", "services.tasks.undo"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: utc_now() - timedelta(hours=1))
    assert (await other.undo()).kept == []
    if is_changed_since:
        await person.change(task, title="fourth")
    kept = [KeptChange(task.id, "title", CHANGED)] if is_changed_since else []
    assert (await run.undo()).kept == kept
    title = (await tasks_of(database, person.caller))[task.id]["title"]
    assert title == ("fourth" if is_changed_since else "first")
    moments = [entry.created_at for entry in await history_of(database, person.caller, task.id)]
    assert moments == sorted(moments)


async def test_a_task_that_somebody_deleted(database: Database, person: Hand, run: Assisted) -> None:
    task, made = await person.make(), await run.make()
    await run.change(task, title="x")
    await run.change(task, completed=True)
    await run.change(made, title="x")
    for each in (task, made):
        await person.delete(each)
    undone = await run.undo()
    # Of what the run had made, nothing is left to take back.
    assert undone.kept == [KeptChange(task.id, None, DELETED)]
    assert (undone.tasks, undone.deleted_ids) == ([], [])
    assert await tasks_of(database, person.caller) == {}


async def test_a_task_that_somebody_changed_since_it_was_made(database: Database, person: Hand, run: Assisted) -> None:
    made = await run.make("made")
    await run.change(made, title="better")
    await person.change(made, completed=True)
    before = await tasks_of(database, person.caller)
    undone = await run.undo()
    assert undone.kept == [KeptChange(made.id, None, CHANGED_SINCE_MADE)]
    assert (undone.tasks, undone.deleted_ids) == ([], [])
    assert await tasks_of(database, person.caller) == before


async def test_made_and_changed_by_somebody_and_deleted_by_the_run(
    database: Database, person: Hand, run: Assisted
) -> None:
    made = await run.make("made")
    await person.change(made, title="mine")
    await run.delete(made)
    undone = await run.undo()
    assert (task_ids(undone), undone.kept) == ([made.id], [KeptChange(made.id, None, CHANGED_SINCE_MADE)])
    assert (await tasks_of(database, person.caller))[made.id]["title"] == "mine"


async def test_a_subtask_of_somebodys_keeps_all_above_it(database: Database, person: Hand, run: Assisted) -> None:
    root = await run.make("root")
    child = await run.make("child", parent_id=root.id)
    alone = await run.make("alone", parent_id=root.id)
    mine = await person.make("mine", parent_id=child.id)
    undone = await run.undo()
    assert undone.deleted_ids == [alone.id]
    assert set(undone.kept) == {KeptChange(each.id, None, HAS_SUBTASKS) for each in (root, child)}
    assert (await tasks_of(database, person.caller)).keys() == {root.id, child.id, mine.id}


async def test_a_parent_that_is_gone(database: Database, person: Hand, run: Assisted) -> None:
    parent, new_parent = await person.make(), await person.make()
    moved = await person.make("moved", parent_id=parent.id)
    deleted = await person.make("deleted", parent_id=parent.id)
    await run.change(moved, title="x", parent_id=new_parent.id)
    await run.delete(deleted)
    await person.delete(parent)
    undone = await run.undo()
    assert task_ids(undone) == [deleted.id, moved.id]
    assert set(undone.kept) == {KeptChange(each.id, "parent_id", NO_PARENT) for each in (moved, deleted)}
    tasks = await tasks_of(database, person.caller)
    assert (tasks[deleted.id]["parent_id"], tasks[deleted.id]["title"]) == (None, "deleted")
    assert (tasks[moved.id]["parent_id"], tasks[moved.id]["title"]) == (new_parent.id, "moved")


async def test_a_circle_that_taking_back_would_make(database: Database, person: Hand, run: Assisted) -> None:
    outer = await person.make("outer")
    inner = await person.make("inner", parent_id=outer.id)
    await run.change(inner, parent_id=None, title="x")
    await person.change(outer, parent_id=inner.id)
    undone = await run.undo()
    assert undone.kept == [KeptChange(inner.id, "parent_id", CIRCLE)]
    tasks = await tasks_of(database, person.caller)
    assert (tasks[inner.id]["title"], tasks[inner.id]["parent_id"]) == ("inner", None)
    assert tasks[outer.id]["parent_id"] == inner.id


async def test_an_id_that_is_taken(database: Database, person: Hand, run: Assisted) -> None:
    task = await person.make()
    child = await person.make("child", parent_id=task.id)
    again = await person.make("again")
    for each in (task, again):
        await run.delete(each)
    await database.write(
        lambda session: conversations.create(session, person.caller, NewRow({"title": "Mine"}, task.id))
    )
    mine = await person.make("mine", id=again.id)
    undone = await run.undo()
    assert task_ids(undone) == [child.id]
    assert set(undone.kept) == {
        KeptChange(task.id, None, ID_TAKEN),
        KeptChange(child.id, "parent_id", NO_PARENT),
        KeptChange(again.id, None, CHANGED),
    }
    tasks = await tasks_of(database, person.caller)
    assert tasks.keys() == {child.id, mine.id}
    assert tasks[mine.id]["title"] == "mine"


async def test_another_run_is_somebody_else(database: Database, user: SignedIn, person: Hand, run: Assisted) -> None:
    task, made = await person.make("first"), await run.make()
    other = await assisted(database, user)
    await run.change(task, title="second")
    await other.change(task, title="third")
    await other.change(made, completed=True)
    undone = await run.undo()
    assert set(undone.kept) == {
        KeptChange(task.id, "title", CHANGED),
        KeptChange(made.id, None, CHANGED_SINCE_MADE),
    }
    assert (await other.undo()).kept == []
    assert (await tasks_of(database, person.caller))[task.id]["title"] == "second"


async def test_runs_are_taken_back_one_after_the_other(
    database: Database, user: SignedIn, person: Hand, run: Assisted
) -> None:
    task, doomed = await person.make("first"), await person.make("doomed")
    before = await tasks_of(database, person.caller)
    made = await run.make()
    await run.change(task, title="second")
    other = await assisted(database, user)
    await other.change(task, title="third")
    await other.change(made, completed=True)
    await run.change(doomed, completed=True)
    await other.delete(doomed)
    assert (await other.undo()).kept == []
    undone = await run.undo()
    assert (undone.kept, undone.deleted_ids) == ([], [made.id])
    assert await tasks_of(database, person.caller) == before


async def test_history_that_has_been_cleared_away(database: Database, person: Hand, run: Assisted) -> None:
    task, gone = await person.make("first"), await person.make("gone")
    await run.change(task, title="second")
    await run.delete(gone)
    forget = delete(CHANGES).where(CHANGES.c.row_id == gone.id)
    await database.write(lambda session: execute(session, forget))
    undone = await run.undo()
    assert (task_ids(undone), undone.deleted_ids, undone.kept) == ([task.id], [], [])
