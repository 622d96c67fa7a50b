"""Pages: walked in any order, size and direction they give the list once, whatever comes and goes meanwhile."""

from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete

from core.database import Database
from core.errors import BadUserInputError
from core.ids import new_id
from models import Task
from services.query.filters import Conditions, FilterTemplate
from services.query.pagination import (
    Page,
    PageArguments,
    Window,
    count_rows,
    count_rows_of,
    fetch_page,
    fetch_pages,
    read_window,
)
from services.query.sql import execute, table_of
from services.tasks.task_lists import TaskOrder, task_listing
from tests.factories import store, task_row
from tests.services.task_rows import (
    Steps,
    caller_of,
    ids,
    in_order,
    make_tasks,
    orders,
    steps,
    task_lists,
    task_pages,
    task_values,
    walk,
)

Drawn = list[dict[str, Any]]

TASKS: Final = table_of(Task)
BY_CREATION: Final = task_listing(caller_of("nobody")).order


@given(drawn=task_lists, order=orders, walked=steps)
async def test_pages_give_all_in_order(database: Database, drawn: Drawn, order: list[TaskOrder], walked: Steps) -> None:
    caller, tasks = await make_tasks(database, drawn)
    pages = [page async for page in walk(task_pages(database, caller, order), walked)]
    in_sequence = pages[::-1] if walked.backwards else pages
    assert [row_id for page in in_sequence for row_id in ids(page)] == in_order(tasks, order)
    assert all(page.rows for page in pages) == bool(tasks)
    assert [page.has_next_page for page in in_sequence] == [True] * (len(pages) - 1) + [False]
    assert [page.has_previous_page for page in in_sequence] == [False] + [True] * (len(pages) - 1)


@given(
    drawn=task_lists,
    changes=st.lists(
        st.tuples(st.lists(task_values, max_size=2), st.lists(st.integers(0, 30), max_size=2)), max_size=4
    ),
    order=orders,
    walked=steps,
)
async def test_unchanged_row_appears_once_while_others_come_and_go(
    database: Database, drawn: Drawn, changes: list[tuple[Drawn, list[int]]], order: list[TaskOrder], walked: Steps
) -> None:
    caller, tasks = await make_tasks(database, drawn)
    ever, gone, seen = list(tasks), set[str](), list[str]()
    async for page in walk(task_pages(database, caller, order), walked):
        seen += ids(page)[::-1] if walked.backwards else ids(page)
        added, removed = changes.pop() if changes else ([], [])
        new = [task_row(caller.user_id, **values | {"id": new_id()}) for values in added]
        await store(database, *new)
        ever += new
        gone |= {ever[index % len(ever)].id for index in removed if ever}
        statement = delete(TASKS).where(caller.owns(TASKS), TASKS.c.id.in_(gone))
        await database.write(partial(execute, statement=statement))
    if walked.backwards:
        seen.reverse()
    assert seen == [row_id for row_id in in_order(ever, order) if row_id in seen]
    assert {task.id for task in tasks} - gone <= set(seen)


@given(drawn=task_lists, order=orders, data=st.data())
async def test_page_is_between_its_cursors(
    database: Database, drawn: Drawn, order: list[TaskOrder], data: st.DataObject
) -> None:
    caller, _ = await make_tasks(database, drawn)
    read = task_pages(database, caller, order)
    whole = await read(first=100)
    places = st.none() | st.sampled_from(range(len(drawn))) if drawn else st.none()
    after, before = data.draw(places), data.draw(places)
    size, backwards = data.draw(st.integers(0, 14)), data.draw(st.booleans())
    page = await read(
        after=None if after is None else whole.order.cursor(whole.rows[after]),
        before=None if before is None else whole.order.cursor(whole.rows[before]),
        **{"last" if backwards else "first": size},
    )
    between = ids(whole)[0 if after is None else after + 1 : before]
    assert ids(page) == (between[max(len(between) - size, 0) :] if backwards else between[:size])
    goes_on = size < len(between)
    assert page.has_next_page == (before is not None if backwards else goes_on)
    assert page.has_previous_page == (goes_on if backwards else after is not None)


@given(drawn=task_lists, order=orders, data=st.data())
async def test_pages_of_many_parents_equal_those_of_each_alone(
    database: Database, drawn: Drawn, order: list[TaskOrder], data: st.DataObject
) -> None:
    caller, parents = await make_tasks(database, [{}] * data.draw(st.integers(1, 4)))
    listing = task_listing(caller, frozenset({"parent_id", "title"}), order=order)
    parent = st.sampled_from([task.id for task in parents])
    children = [task_row(caller.user_id, **values, parent_id=data.draw(parent)) for values in drawn]
    await store(database, *children)
    cursors = st.none() | st.sampled_from(children).map(listing.order.cursor) if children else st.none()
    sizes: Any = {data.draw(st.sampled_from(["first", "last"])): data.draw(st.integers(0, 6))}
    arguments = PageArguments(after=data.draw(cursors), before=data.draw(cursors), **sizes)
    window = read_window(listing.order, arguments)
    parent_ids = [*(task.id for task in reversed(parents)), new_id()]
    source = database.reader
    together = await fetch_pages(source, listing, window, "parent_id", parent_ids)
    assert await fetch_pages(source, listing, window, "parent_id", [*parent_ids, *parent_ids]) == [*together, *together]
    counts = await count_rows_of(source, listing, "parent_id", parent_ids)
    for parent_id, page, count in zip(parent_ids, together, counts, strict=True):
        alone = replace(listing, conditions=_below(parent_id))
        assert _values(page) == _values(await fetch_page(source, alone, window))
        assert all(row.parent_id == parent_id for row in page.rows)
        assert count == await count_rows(source, alone)
    assert await fetch_pages(source, listing, window, "parent_id", []) == []
    assert await count_rows_of(source, listing, "parent_id", []) == []


def _below(parent_id: str) -> Conditions:
    return Conditions(FilterTemplate(parent_id, lambda shape: (TASKS.c.parent_id == shape,)), {})


def _values(page: Page) -> tuple[list[tuple[str, str]], bool, bool]:
    return [(row.id, row.title) for row in page.rows], page.has_next_page, page.has_previous_page


def test_page_size_is_what_was_asked_or_the_default() -> None:
    for arguments, size, backwards in (
        (PageArguments(), 20, False),
        *((PageArguments(first=size), size, False) for size in (0, 100)),
        *((PageArguments(last=size), size, True) for size in (0, 100)),
    ):
        assert read_window(BY_CREATION, arguments) == Window(size, backwards, after=None, before=None)


def test_page_size_out_of_bounds_is_refused() -> None:
    for arguments, path, message in (
        *((PageArguments(first=size), "first", f"first must be 0 to 100; it is {size}.") for size in (-1, 101)),
        *((PageArguments(last=size), "last", f"last must be 0 to 100; it is {size}.") for size in (-1, 101)),
        *((PageArguments(first=size, last=size), "last", "Pass first or last, not both.") for size in (0, 1)),
    ):
        with pytest.raises(BadUserInputError) as caught:
            read_window(BY_CREATION, arguments)
        assert (caught.value.path, caught.value.message) == ((path,), message)
