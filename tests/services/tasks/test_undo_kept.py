"""What is not taken back of a run, since something else has changed it or needs it, stays and is named."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from core.clock import utc_now
from core.database import Database
from core.errors import TasktalkError
from core.ids import new_ids
from core.settings import Settings
from models import Task
from models.columns import recorded_columns
from services.conversations.conversations import conversations
from services.entities.service import NewRow
from services.query.sql import execute
from services.tasks.undo import KeptChange
from services.tasks.undo_plan import CHANGED, CHANGED_SINCE_MADE, CIRCLE, DELETED, HAS_SUBTASKS, ID_TAKEN, NO_PARENT
from tests.factories import SignedIn, sign_in, task_row
from tests.histories import CHANGES, Assisted, Hand, assisted, task_ids

NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)


def kept(*changes: tuple[Task, str | None, str]) -> set[KeptChange]:
    return {KeptChange(task.id, field, reason) for task, field, reason in changes}


async def test_field_that_somebody_changed_since_stays(person: Hand, run: Assisted) -> None:
    changed, done, between = await person.make("first", due_at=NOON), await person.make(), await person.make("first")
    await run.change(changed, title="second", due_at=None, completed=True)
    await person.change(changed, title="third", tags=["mine"])
    await run.change(done, completed=True)
    await person.change(done, completed=False)
    again = await person.change(done, completed=True)
    await run.change(between, title="second")
    await person.change(between, title="third")
    await run.change(between, title="fourth")
    undone = await run.undo()
    expected = kept((changed, "title", CHANGED), (done, "completed", CHANGED), (between, "title", CHANGED))
    assert set(undone.kept) == expected
    assert set(task_ids(undone)) == {changed.id, between.id}
    tasks = await person.tasks()
    now = tasks[changed.id]
    assert (now["title"], now["due_at"], now["completed"], now["tags"]) == ("third", NOON, False, ["mine"])
    assert (await person.history(changed))[-1].after.keys() == {"due_at", "completed", "completed_at"}
    assert tasks[done.id]["completed_at"] == again.completed_at
    # It goes back to what somebody wrote in between.
    assert tasks[between.id]["title"] == "third"


@pytest.mark.parametrize("is_changed_since", [False, True])
async def test_undo_of_another_run_is_no_change_whatever_the_clock_says(
    user: SignedIn, person: Hand, run: Assisted, monkeypatch: pytest.MonkeyPatch, is_changed_since: bool
) -> None:
    task = await person.make("first")
    await run.change(task, title="second")
    other = await assisted(person.database, user)
    await other.change(task, title="third")
    # The moments above are then those of another clock, such as the database's.
    for module in ("services.entities.service", "services.tasks.undo"):
        monkeypatch.setattr(f"{module}.utc_now", lambda: utc_now() - timedelta(hours=1))
    assert (await other.undo()).kept == []
    if is_changed_since:
        await person.change(task, title="fourth")
    assert set((await run.undo()).kept) == (kept((task, "title", CHANGED)) if is_changed_since else set())
    title = (await person.tasks())[task.id]["title"]
    assert title == ("fourth" if is_changed_since else "first")
    moments = [entry.created_at for entry in await person.history(task)]
    assert moments == sorted(moments)


async def test_task_that_somebody_deleted_or_changed_since_it_was_made_stays_so(person: Hand, run: Assisted) -> None:
    deleted, made_and_deleted, changed, back = await person.make(), *[await run.make() for _ in range(3)]
    await run.change(deleted, title="x")
    await run.change(deleted, completed=True)
    await run.change(made_and_deleted, title="x")
    await run.change(changed, title="better")
    for each in (deleted, made_and_deleted):
        await person.delete(each)
    await person.change(changed, completed=True)
    await person.change(back, title="mine")
    before = await person.tasks()
    await run.delete(back)
    undone = await run.undo()
    # Of what the run had made and the person deleted, nothing is left to take back.
    since = CHANGED_SINCE_MADE
    assert set(undone.kept) == kept((deleted, None, DELETED), (changed, None, since), (back, None, since))
    assert (task_ids(undone), undone.deleted_ids) == ([back.id], [])
    assert await person.tasks() == before


async def test_subtask_of_somebody_keeps_all_above_it(person: Hand, run: Assisted) -> None:
    root = await run.make("root")
    child = await run.make("child", parent_id=root.id)
    alone = await run.make("alone", parent_id=root.id)
    mine = await person.make("mine", parent_id=child.id)
    undone = await run.undo()
    assert undone.deleted_ids == [alone.id]
    assert set(undone.kept) == kept((root, None, HAS_SUBTASKS), (child, None, HAS_SUBTASKS))
    assert (await person.tasks()).keys() == {root.id, child.id, mine.id}


async def test_parent_that_is_gone_or_would_make_a_circle_is_not_restored(person: Hand, run: Assisted) -> None:
    parent, new_parent, outer = [await person.make() for _ in range(3)]
    moved, deleted = [await person.make(title, parent_id=parent.id) for title in ("moved", "deleted")]
    inner = await person.make("inner", parent_id=outer.id)
    await run.change(inner, parent_id=None, title="x")
    await person.change(outer, parent_id=inner.id)
    await run.change(moved, title="x", parent_id=new_parent.id)
    await run.delete(deleted)
    await person.delete(parent)
    undone = await run.undo()
    assert task_ids(undone) == [deleted.id, moved.id, inner.id]
    gone = (moved, "parent_id", NO_PARENT), (deleted, "parent_id", NO_PARENT)
    assert set(undone.kept) == kept(*gone, (inner, "parent_id", CIRCLE))
    tasks = await person.tasks()
    for task, title, parent_id in ((deleted, "deleted", None), (moved, "moved", new_parent.id), (inner, "inner", None)):
        assert (tasks[task.id]["title"], tasks[task.id]["parent_id"]) == (title, parent_id)
    assert tasks[outer.id]["parent_id"] == inner.id


async def test_task_whose_id_is_taken_does_not_come_back(database: Database, person: Hand, run: Assisted) -> None:
    task, again = await person.make(), await person.make("again")
    child = await person.make("child", parent_id=task.id)
    for each in (task, again):
        await run.delete(each)
    new = NewRow({"title": "Mine"}, task.id)
    await database.write(lambda session: conversations.create(session, person.caller, new))
    mine = await person.make("mine", id=again.id)
    undone = await run.undo()
    assert task_ids(undone) == [child.id]
    expected = kept((task, None, ID_TAKEN), (child, "parent_id", NO_PARENT), (again, None, CHANGED))
    assert set(undone.kept) == expected
    tasks = await person.tasks()
    assert tasks.keys() == {child.id, mine.id}
    assert tasks[mine.id]["title"] == "mine"


async def test_change_whose_history_is_gone_is_not_taken_back(database: Database, person: Hand, run: Assisted) -> None:
    task, gone = await person.make("first"), await person.make("gone")
    await run.change(task, title="second")
    await run.delete(gone)
    forget = delete(CHANGES).where(CHANGES.c.row_id == gone.id)
    await database.write(lambda session: execute(session, forget))
    undone = await run.undo()
    assert (task_ids(undone), undone.deleted_ids, undone.kept) == ([task.id], [], [])


# Whatever runs and people do to tasks, in any order, an undo restores what it can, and what others wrote stands.
SLOTS: Final = 6


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done to the tasks of two slots, where they are there."""

    kind: str
    slot: int
    other: int

    async def take(self, hand: Hand, ids: list[str]) -> None:
        task, other = task_row(hand.caller.user_id, id=ids[self.slot]), ids[self.other]
        with suppress(TasktalkError):
            await KINDS[self.kind](self, hand, task, other)


KINDS: Final[dict[str, Callable[[Step, Hand, Task, str], Awaitable[Any]]]] = {
    "make": lambda step, hand, task, _: hand.make(f"made {step.other}", id=task.id),
    "make below": lambda _, hand, task, other: hand.make("made below", id=task.id, parent_id=other),
    "rename": lambda step, hand, task, _: hand.change(task, title=f"title {step.other}"),
    "complete": lambda step, hand, task, _: hand.change(task, completed=step.other % 2 == 0),
    "move": lambda _, hand, task, other: hand.change(task, parent_id=other),
    "move out": lambda _, hand, task, _other: hand.change(task, parent_id=None),
    "delete": lambda _, hand, task, _other: hand.delete(task),
}
slots = st.integers(0, SLOTS - 1)
steps = st.lists(st.builds(Step, st.sampled_from(list(KINDS)), slots, slots), max_size=8)
turns = st.lists(st.tuples(st.sampled_from(["run", "another run", "person"]), steps), max_size=5)


@given(before=steps, first=steps, second=steps)
async def test_runs_alone_are_taken_back_without_a_trace(
    database: Database, settings: Settings, before: list[Step], first: list[Step], second: list[Step]
) -> None:
    user, ids = await sign_in(database, settings), new_ids(SLOTS)
    person = Hand(database, user.caller)
    for step in before:
        await step.take(person, ids)
    states, runs = [], []
    for done in (first, second):
        states.append(await person.tasks())
        runs.append(await assisted(database, user))
        for step in done:
            await step.take(runs[-1], ids)
    for run, state in zip(reversed(runs), reversed(states), strict=True):
        assert (await run.undo()).kept == []
        assert await person.tasks() == state


@given(before=steps, turns=turns)
async def test_what_others_wrote_last_stands(
    database: Database, settings: Settings, before: list[Step], turns: list[tuple[str, list[Step]]]
) -> None:
    user, ids = await sign_in(database, settings), new_ids(SLOTS)
    run = await assisted(database, user)
    person = Hand(database, user.caller)
    hands = {"run": run, "another run": await assisted(database, user), "person": person}
    for name, done in [("person", before), *turns]:
        for step in done:
            await step.take(hands[name], ids)
    then, history = await person.tasks(), await person.history()
    undone = await run.undo()
    now = await person.tasks()
    assert_no_circle(now)
    assert set(undone.deleted_ids) == then.keys() - now.keys()
    assert {task.id for task in undone.tasks} == {row_id for row_id in now if now[row_id] != then.get(row_id)}
    by_others = [change for change in history if change.run_id != run.run.id]
    for row_id in then:
        touched = [change for change in history if change.row_id == row_id]
        if touched[-1] in by_others:
            assert row_id in now
        for name in [column.name for column in recorded_columns(Task)]:
            of_field = [change for change in touched if name in change.after or name in change.before]
            if of_field[-1] in by_others and row_id in now:
                assert now[row_id][name] == then[row_id][name]
    assert {kept.task_id for kept in undone.kept} <= {each.row_id for each in history if each.run_id == run.run.id}


def assert_no_circle(tasks: dict[str, dict[str, Any]]) -> None:
    for row_id in tasks:
        above, passed = tasks[row_id]["parent_id"], {row_id}
        while above is not None:
            assert above not in passed
            passed.add(above)
            above = tasks[above]["parent_id"]
