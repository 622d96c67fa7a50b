"""Whatever runs and people do to tasks, in any order: an undo restores what it can, and what others wrote stands."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st

from core.database import Database
from core.errors import TasktalkError
from core.ids import new_ids
from core.settings import Settings
from models import Task
from models.columns import recorded_columns
from tests.factories import sign_in, task_row
from tests.histories import Hand, assisted, history_of, tasks_of

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
    for step in before:
        await step.take(Hand(database, user.caller), ids)
    states, runs = [], []
    for done in (first, second):
        states.append(await tasks_of(database, user.caller))
        runs.append(await assisted(database, user))
        for step in done:
            await step.take(runs[-1], ids)
    for run, state in zip(reversed(runs), reversed(states), strict=True):
        assert (await run.undo()).kept == []
        assert await tasks_of(database, user.caller) == state


@given(before=steps, turns=turns)
async def test_what_others_wrote_last_stands(
    database: Database, settings: Settings, before: list[Step], turns: list[tuple[str, list[Step]]]
) -> None:
    user, ids = await sign_in(database, settings), new_ids(SLOTS)
    run = await assisted(database, user)
    hands = {"run": run, "another run": await assisted(database, user), "person": Hand(database, user.caller)}
    for name, done in [("person", before), *turns]:
        for step in done:
            await step.take(hands[name], ids)
    then, history = await tasks_of(database, user.caller), await history_of(database, user.caller)
    undone = await run.undo()
    now = await tasks_of(database, user.caller)
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
