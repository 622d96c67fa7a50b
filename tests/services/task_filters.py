"""Filters of tasks as hypothesis draws them, and what plain Python says they let through."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from models import Task, TaskPriority
from models.columns import columns_of
from services.entities.lists import DateTimeFilter, StringFilter
from services.tasks.task_lists import TaskFilter
from services.tasks.words import words_of
from tests.services.task_rows import MOMENTS, NOON

_TITLES: Final = (
    "Water the plants",
    "water",
    "100%",
    "100",
    "a_b",
    "axb",
    'O\'Neill \\ "x"',
    "Straße",
    "É",
    "é",
    "\N{PARTY POPPER} party",
)
_PARTS: Final = ("", "w", "W", "a", "_", "%", "\\", "'", '"', "ß", "É", "\N{PARTY POPPER}", "0%", " ")
_TAGS: Final = ("home", "Home", "a b", "'", '"', "{", "},", "NULL", "\\", "ß", "\N{PARTY POPPER}")
_SEARCHES: Final = ("water", "WATER pl", "100", "o'neill", "b", "strasse", "é", "", "& |", "kitchen")

_moments: Final = st.none() | st.sampled_from([*MOMENTS, NOON - timedelta(days=1), NOON + timedelta(days=1)])
_flags: Final = st.none() | st.booleans()
_texts: Final = st.none() | st.sampled_from([*_PARTS, *_TITLES])
_moment_filters: Final = st.none() | st.builds(DateTimeFilter, _moments, _moments, _moments, _moments, _flags)
_text_filters: Final = st.none() | st.builds(StringFilter, _texts, _texts, _texts)

# Most parts are left out, so that filters of some size still let something through.
_LEAVES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "completed": _flags,
    "priority": st.none() | st.lists(st.sampled_from(TaskPriority), max_size=3),
    "tags": st.none() | st.lists(st.sampled_from([*_TAGS, "never"]), max_size=2),
    "title": _text_filters,
    "search": st.none() | st.sampled_from(_SEARCHES),
    **dict.fromkeys(("due_at", "created_at", "updated_at"), _moment_filters),
    "is_subtask": _flags,
}
# A column that becomes filterable is to be tried too.
assert {column.name for column in columns_of(Task).values() if column.is_filterable} <= _LEAVES.keys()
_leaves: Final = st.fixed_dictionaries({}, optional=_LEAVES)


def _combined(inner: st.SearchStrategy[TaskFilter]) -> st.SearchStrategy[TaskFilter]:
    lists = st.lists(inner, max_size=3)
    nested = st.fixed_dictionaries({}, optional={"and_": lists, "or_": lists, "not_": inner})
    return st.builds(lambda leaf, parts: TaskFilter(**leaf | parts), _leaves, nested)


task_filters: Final = st.recursive(_leaves.map(lambda values: TaskFilter(**values)), _combined, max_leaves=6)


def various_tasks(count: int) -> list[dict[str, Any]]:
    """Return the values of tasks with every kind of value among them, the same each time."""
    chance = random.Random(7)  # noqa: S311 - no secret
    return [
        {
            "title": chance.choice(_TITLES),
            "description": chance.choice((None, "", "in the kitchen", "WATER 100%")),
            "completed": chance.random() < 0.5,
            "priority": chance.choice(list(TaskPriority)),
            "due_at": chance.choice((None, *MOMENTS)),
            "tags": chance.sample(_TAGS, chance.randrange(4)),
            "created_at": chance.choice(MOMENTS),
            "updated_at": chance.choice(MOMENTS),
        }
        for _ in range(count)
    ]


def lets_through(wanted: TaskFilter, task: Task) -> bool:
    return all(_answers(wanted, task))


def _answers(wanted: Any, task: Task) -> Iterator[bool]:
    yield wanted.completed in {None, task.completed}
    yield wanted.priority is None or task.priority in wanted.priority
    yield set(wanted.tags or ()) <= set(task.tags)
    yield wanted.title is None or _fits_text(wanted.title, task.title)
    own_words = words_of(task.title, task.description)
    yield all(any(own.startswith(word) for own in own_words) for word in words_of(wanted.search))
    for name in ("due_at", "created_at", "updated_at"):
        yield getattr(wanted, name) is None or _fits_moment(getattr(wanted, name), getattr(task, name))
    yield wanted.is_subtask in {None, task.parent_id is not None}
    yield all(lets_through(part, task) for part in wanted.and_ or ())
    yield wanted.or_ is None or any(lets_through(part, task) for part in wanted.or_)
    yield wanted.not_ is None or not lets_through(wanted.not_, task)


def _fits_text(wanted: StringFilter, text: str) -> bool:
    return (
        wanted.eq in {None, text}
        and (wanted.contains is None or wanted.contains in text)
        and (wanted.starts_with is None or text.startswith(wanted.starts_with))
    )


def _fits_moment(wanted: DateTimeFilter, moment: datetime | None) -> bool:
    if moment is None:
        bounds = (wanted.gt, wanted.gte, wanted.lt, wanted.lte)
        return all(bound is None for bound in bounds) and wanted.is_null is not False
    return (
        (wanted.gt is None or moment > wanted.gt)
        and (wanted.gte is None or moment >= wanted.gte)
        and (wanted.lt is None or moment < wanted.lt)
        and (wanted.lte is None or moment <= wanted.lte)
        and wanted.is_null is not True
    )
