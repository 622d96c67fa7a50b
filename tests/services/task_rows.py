"""Tasks as hypothesis draws them, their lists as the services read them, and the order that plain Python gives."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import cycle
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Final

from hypothesis import strategies as st

from core.clock import utc_now
from core.database import Database
from models import Task, TaskPriority
from services.accounts.caller import Caller
from services.query.ordering import OrderDirection
from services.query.pagination import Page, PageArguments, fetch_page, read_window
from services.tasks.task_lists import TaskOrder, task_listing
from tests.core.rows_of_all_tables import FIRST, LAST
from tests.factories import make_user, store, task_row

ReadPage = Callable[..., Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class Steps:
    """The sizes of the pages of a walk, again and again, and its direction."""

    sizes: list[int]
    backwards: bool


NOON: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
MOMENTS: Final = (NOON, NOON + timedelta(microseconds=1), FIRST, LAST)
TITLES: Final = ("a", "A", "b", "B", "_", "é", "É", "a b", "\N{PARTY POPPER}", "\uffee")

# Few values, so that most draws have ties.
task_values: Final = st.fixed_dictionaries(
    {
        "id": st.uuids().map(str),
        "title": st.sampled_from(TITLES),
        "priority": st.sampled_from(TaskPriority),
        "due_at": st.none() | st.sampled_from(MOMENTS),
        **dict.fromkeys(("created_at", "updated_at"), st.sampled_from(MOMENTS)),
    }
)
task_lists: Final = st.lists(task_values, max_size=12, unique_by=lambda values: values["id"])
orders: Final = st.lists(
    st.builds(TaskOrder, st.sampled_from(TaskOrder.fields), st.sampled_from(OrderDirection)), max_size=4
)
steps: Final = st.builds(Steps, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans())

_LOWER: Final = str.maketrans(ascii_uppercase, ascii_lowercase)


def _sort_value(task: Task, field: StrEnum) -> Any:
    value = getattr(task, field.value.lower())
    if isinstance(value, TaskPriority):
        return list(TaskPriority).index(value)
    return value.translate(_LOWER) if isinstance(value, str) else value


def in_order(tasks: Sequence[Task], order: Sequence[TaskOrder]) -> list[str]:
    """Return the ids in order: what is missing last, equals by id, in the direction of the last key."""
    given = order or [TaskOrder.by("created_at")]
    parts = list({part.field: part for part in reversed(given)}.values())
    parts.sort(key=given.index)
    ordered = sorted(tasks, key=lambda task: task.id, reverse=_is_descending(parts[-1]))
    for part in reversed(parts):
        value = partial(_sort_value, field=part.field)
        present = [task for task in ordered if value(task) is not None]
        missing = [task for task in ordered if value(task) is None]
        ordered = sorted(present, key=value, reverse=_is_descending(part)) + missing
    return [task.id for task in ordered]


def _is_descending(part: TaskOrder) -> bool:
    return part.direction is OrderDirection.DESC


def caller_of(user_id: str) -> Caller:
    return Caller(user_id, None, is_admin=False, expires_at=utc_now() + timedelta(minutes=5))


async def make_tasks(database: Database, drawn: Sequence[dict[str, Any]]) -> tuple[Caller, list[Task]]:
    caller = caller_of((await make_user(database)).id)
    tasks = [task_row(caller.user_id, **values) for values in drawn]
    await store(database, *tasks)
    return caller, tasks


def task_pages(database: Database, caller: Caller, order: Sequence[TaskOrder]) -> ReadPage:
    async def read(**arguments: Any) -> Page:
        listing = task_listing(caller, order=order)
        return await fetch_page(database.reader, listing, read_window(listing.order, PageArguments(**arguments)))

    return read


async def walk(read: ReadPage, steps: Steps) -> AsyncIterator[Page]:
    """Read page after page to the end of the list, or to its beginning."""
    cursor = None
    for size in cycle(steps.sizes):
        page = await (read(last=size, before=cursor) if steps.backwards else read(first=size, after=cursor))
        yield page
        if not (page.has_previous_page if steps.backwards else page.has_next_page):
            return
        cursor = page.order.cursor(page.rows[0 if steps.backwards else -1])


def ids(page: Page) -> list[str]:
    return [row.id for row in page.rows]
