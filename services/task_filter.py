"""Filters of task lists, made into conditions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, false, not_, or_, true

from core.errors import BadUserInputError
from core.text import require_length, require_storable
from models import Task, TaskPriority
from services.expressions import Contains, HasAll, HasWords, StartsWith, text_list, word_list
from services.sql import table_of
from services.words import words_of

_TASKS: Final = table_of(Task).c
_MOST_PARTS: Final = 100
# SQLite's parser has room for a hundred open brackets and operators, of which each level takes up to seven.
_DEEPEST: Final = 10
# PostgreSQL takes no query of words beyond a megabyte, and nobody types one.
_LONGEST_SEARCH: Final = 1_000


@dataclass
class DateTimeFilter:
    """Conditions on a moment; all that are given must hold."""

    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None
    is_null: bool | None = None


@dataclass
class StringFilter:
    """Conditions on a text, with regard to case; all that are given must hold."""

    eq: str | None = None
    contains: str | None = None
    starts_with: str | None = None


@dataclass
class TaskFilter:
    """Which tasks; all that is given must hold."""

    completed: bool | None = None
    priority: list[TaskPriority] | None = None
    tags: list[str] | None = None
    title: StringFilter | None = None
    search: str | None = None
    due_at: DateTimeFilter | None = None
    created_at: DateTimeFilter | None = None
    updated_at: DateTimeFilter | None = None
    is_subtask: bool | None = None
    and_: "list[TaskFilter] | None" = None
    or_: "list[TaskFilter] | None" = None
    not_: "TaskFilter | None" = None


def task_conditions(task_filter: TaskFilter | None) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a filter."""
    if task_filter is None:
        return ()
    _check_size(task_filter)
    return tuple(_conditions(task_filter))


def _check_size(task_filter: TaskFilter) -> None:
    level, depth, size = [task_filter], 0, 0
    while level:
        depth, size = depth + 1, size + len(level)
        if depth > _DEEPEST:
            raise BadUserInputError(f"filter is nested more than {_DEEPEST} deep; ask for less.", path=("filter",))
        if size > _MOST_PARTS:
            raise BadUserInputError(f"filter has more than {_MOST_PARTS} parts; ask for less.", path=("filter",))
        level = [part for each in level for part in _parts(each)]


def _parts(wanted: TaskFilter) -> list[TaskFilter]:
    return [*(wanted.and_ or ()), *(wanted.or_ or ()), *([wanted.not_] if wanted.not_ else ())]


def _conditions(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.completed is not None:
        yield _TASKS.completed == wanted.completed
    if wanted.priority is not None:
        yield _TASKS.priority.in_(sorted(set(wanted.priority)))
    if wanted.tags:
        tags = [require_storable(tag, ("filter", "tags")) for tag in wanted.tags]
        yield HasAll(_TASKS.tags, text_list(tags))
    if wanted.is_subtask is not None:
        yield _TASKS.parent_id.is_not(None) if wanted.is_subtask else _TASKS.parent_id.is_(None)
    if wanted.title is not None:
        yield from _text_conditions(_TASKS.title, wanted.title)
    if wanted.search is not None and (words := words_of(_search(wanted.search))):
        yield HasWords(_TASKS.words, word_list(words))
    for column, moments in (
        (_TASKS.due_at, wanted.due_at),
        (_TASKS.created_at, wanted.created_at),
        (_TASKS.updated_at, wanted.updated_at),
    ):
        if moments is not None:
            yield from _moment_conditions(column, moments)
    yield from _combinations(wanted)


def _search(text: str) -> str:
    return require_length(text, ("filter", "search"), least=0, most=_LONGEST_SEARCH)


def _combinations(wanted: TaskFilter) -> Iterator[ColumnElement[bool]]:
    for part in wanted.and_ or ():
        yield from _conditions(part)
    if wanted.or_ is not None:
        yield or_(false(), *(_whole(part) for part in wanted.or_))
    if wanted.not_ is not None:
        # A comparison with a missing value is unknown: it does not hold, so its contrary does.
        yield not_(_known(_whole(wanted.not_)))


def _whole(wanted: TaskFilter) -> ColumnElement[bool]:
    return and_(true(), *_conditions(wanted))


def _known(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    return condition.is_(true())


def _text_conditions(column: ColumnElement[Any], wanted: StringFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.eq is not None:
        yield column == require_storable(wanted.eq, ("filter", "eq"))
    if wanted.contains is not None:
        yield Contains(column, require_storable(wanted.contains, ("filter", "contains")))
    if wanted.starts_with is not None:
        yield StartsWith(column, require_storable(wanted.starts_with, ("filter", "startsWith")))


_COMPARISONS: Final[dict[str, Callable[[ColumnElement[Any], datetime], ColumnElement[bool]]]] = {
    "gt": lambda column, moment: column > moment,
    "gte": lambda column, moment: column >= moment,
    "lt": lambda column, moment: column < moment,
    "lte": lambda column, moment: column <= moment,
}


def _moment_conditions(column: ColumnElement[Any], wanted: DateTimeFilter) -> Iterator[ColumnElement[bool]]:
    for name, compare in _COMPARISONS.items():
        if (moment := getattr(wanted, name)) is not None:
            yield compare(column, moment)
    if wanted.is_null is not None:
        yield column.is_(None) if wanted.is_null else column.is_not(None)
