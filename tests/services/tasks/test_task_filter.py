"""Filters let through what plain Python would, on both databases."""

from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given

from core.database import Database
from core.errors import BadUserInputError
from models import Task, TaskPriority
from services.accounts.caller import Caller
from services.entities.lists import DateTimeFilter, StringFilter
from services.query.pagination import PageArguments, Window, count_rows, fetch_page, fetch_pages, read_window
from services.tasks.task_lists import TaskFilter, TaskOrder, task_listing
from tests.factories import make_user, store, task_row
from tests.services.task_filters import lets_through, task_filters, various_tasks
from tests.services.task_rows import MOMENTS, NOON, caller_of

NOBODY = caller_of("nobody")
ALL_OF_THEM = Window(size=1_000, backwards=False, after=None, before=None)


Shelf = tuple[Caller, list[Task]]


@pytest.fixture(scope="module")
async def shelf(database: Database) -> Shelf:
    """Give a user's tasks of every kind, every third one a part of the one before."""
    caller = caller_of((await make_user(database)).id)
    tasks = [task_row(caller.user_id, **values) for values in various_tasks(40)]
    subtasks = [
        task_row(caller.user_id, **values, parent_id=parent.id)
        for values, parent in zip(various_tasks(60)[40:], tasks, strict=False)
    ]
    await store(database, *tasks)
    await store(database, *subtasks)
    return caller, tasks + subtasks


async def found(database: Database, caller: Caller, wanted: TaskFilter) -> set[str]:
    listing = task_listing(caller, task_filter=wanted)
    page = await fetch_page(database.reader, listing, ALL_OF_THEM)
    assert await count_rows(database.reader, listing) == len(page.rows)
    return {row.id for row in page.rows}


@given(wanted=task_filters)
async def test_filter_equals_plain_python(database: Database, shelf: Shelf, wanted: TaskFilter) -> None:
    caller, tasks = shelf
    assert await found(database, caller, wanted) == {task.id for task in tasks if lets_through(wanted, task)}


EVERYTHING = TaskFilter(
    completed=True,
    priority=[TaskPriority.LOW],
    tags=["home"],
    title=StringFilter(eq="water", contains="at", starts_with="w"),
    search="water",
    due_at=DateTimeFilter(gt=NOON, is_null=False),
    is_subtask=False,
)
ALL, NONE, DUE_BEFORE = TaskFilter(), TaskFilter(priority=[]), TaskFilter(due_at=DateTimeFilter(lt=NOON))
DUE_LATER = TaskFilter(not_=DUE_BEFORE)


def _nested(depth: int) -> TaskFilter:
    wanted = TaskFilter(completed=False)
    for _ in range(depth):
        wanted = TaskFilter(not_=wanted)
    return wanted


def _densely_nested(depth: int) -> TaskFilter:
    wanted = EVERYTHING
    for _ in range(depth):
        wanted = replace(cast("Any", EVERYTHING), or_=[EVERYTHING, wanted], and_=[EVERYTHING], not_=EVERYTHING)
    return wanted


@pytest.mark.parametrize(
    "wanted",
    [
        *(TaskFilter(and_=[], tags=[], search=""), TaskFilter(title=StringFilter(contains="", starts_with=""))),
        TaskFilter(due_at=DateTimeFilter(), title=StringFilter()),
        *(TaskFilter(not_=NONE), TaskFilter(or_=[NONE, ALL]), TaskFilter(or_=[]), TaskFilter(not_=ALL)),
        *(TaskFilter(and_=[ALL, NONE]), TaskFilter(created_at=DateTimeFilter(is_null=True))),
        *(
            TaskFilter(not_=DUE_LATER),
            TaskFilter(or_=[DUE_BEFORE, DUE_LATER]),
            TaskFilter(and_=[DUE_BEFORE, DUE_LATER]),
        ),
        *(TaskFilter(priority=list(TaskPriority)), TaskFilter(priority=[TaskPriority.LOW] * 50_000)),
        TaskFilter(tags=["home"] * 50_000),
        *(TaskFilter(due_at=DateTimeFilter(gte=MOMENTS[2])), TaskFilter(due_at=DateTimeFilter(lte=MOMENTS[3]))),
        *(_nested(9), _densely_nested(9), TaskFilter(and_=[ALL] * 99), TaskFilter(or_=[DUE_BEFORE] * 99)),
    ],
)
async def test_empty_contradictory_and_large_filters(database: Database, shelf: Shelf, wanted: TaskFilter) -> None:
    caller, tasks = shelf
    assert await found(database, caller, wanted) == {task.id for task in tasks if lets_through(wanted, task)}
    listing = task_listing(caller, task_filter=wanted, order=[TaskOrder(field) for field in TaskOrder.fields])
    cursor = listing.order.cursor(tasks[0])
    window = read_window(listing.order, PageArguments(after=cursor, before=cursor))
    async with database.read() as session:
        (page,) = await fetch_pages(session, listing, window, "parent_id", [tasks[0].id])
    assert not page.rows


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfffb"])
def test_text_that_no_database_keeps_is_refused(text: str) -> None:
    for name, wanted in (
        ("tags", TaskFilter(tags=["home", text])),
        ("search", TaskFilter(search=text)),
        ("eq", TaskFilter(title=StringFilter(eq=text))),
        ("contains", TaskFilter(title=StringFilter(contains=text))),
        ("startsWith", TaskFilter(title=StringFilter(starts_with=text))),
    ):
        for each in (wanted, TaskFilter(not_=TaskFilter(or_=[wanted]))):
            with pytest.raises(BadUserInputError) as caught:
                task_listing(NOBODY, task_filter=each)
            path = caught.value.path or ("",)
            assert (path[0], path[-1]) == ("filter", name)


def test_larger_filter_is_refused() -> None:
    for wanted, message in (
        *((_nested(depth), "filter is nested more than 10 deep; ask for less.") for depth in (10, 5_000)),
        (TaskFilter(and_=[ALL] * 100), "filter has more than 100 parts; ask for less."),
        (TaskFilter(or_=[ALL] * 100_000), "filter has more than 100 parts; ask for less."),
    ):
        with pytest.raises(BadUserInputError) as caught:
            task_listing(NOBODY, task_filter=wanted)
        assert (caught.value.path, caught.value.message) == (("filter",), message)
