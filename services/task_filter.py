"""Filters of task lists, made into conditions."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, and_, bindparam, false, not_, or_, true

from core.errors import BadUserInputError
from core.text import require_length, require_storable
from models import Task, TaskPriority
from services.query.filters import (
    NO_CONDITIONS,
    Conditions,
    Contains,
    FilterTemplate,
    HasAll,
    HasWords,
    IsAnyOf,
    StartsWith,
    enum_list_param,
    text_list_param,
    words_param,
)
from services.query.sql import table_of
from services.words import words_of

_TASKS: Final = table_of(Task).c
_MOMENTS: Final = ("due_at", "created_at", "updated_at")
_Compare: TypeAlias = Callable[[Any, Any], ColumnElement[bool]]
_COMPARISONS: Final[dict[str, _Compare]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_MOST_PARTS: Final = 100
# SQLite's parser has room for a hundred open brackets and operators, of which each level takes up to seven.
_DEEPEST: Final = 10
# PostgreSQL takes no query of words beyond a megabyte, and nobody types one.
_LONGEST_SEARCH: Final = 1_000

# What is asked for, and the name of the value that it is asked with; or what is told apart without one.
_Condition: TypeAlias = tuple[str, Any]
_Shape: TypeAlias = tuple[_Condition, ...]


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


def task_conditions(task_filter: TaskFilter | None) -> Conditions:
    """Return the conditions of a filter."""
    if task_filter is None:
        return NO_CONDITIONS
    _check_size(task_filter)
    values: dict[str, Any] = {}
    return Conditions(FilterTemplate(tuple(_read(task_filter, values)), _build), values)


def _check_size(task_filter: TaskFilter) -> None:
    """Raise BadUserInputError where a filter has too many parts or levels."""
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


def _read(wanted: TaskFilter, values: dict[str, Any]) -> Iterator[_Condition]:
    """Return what a filter asks for without its values, which are put beside under the names of their parameters."""

    def named(value: Any) -> str:
        name = f"filter_{len(values)}"
        values[name] = value
        return name

    if wanted.completed is not None:
        yield "completed", wanted.completed
    if wanted.priority is not None:
        yield "priority", named(wanted.priority)
    if wanted.tags:
        yield "tags", named([require_storable(tag, ("filter", "tags")) for tag in wanted.tags])
    if wanted.is_subtask is not None:
        yield "is_subtask", wanted.is_subtask
    if wanted.title is not None:
        yield from _read_text("title", wanted.title, named)
    if wanted.search is not None and (words := words_of(_search(wanted.search))):
        yield "search", named(words)
    for column in _MOMENTS:
        yield from _read_moments(column, getattr(wanted, column), named)
    yield from _read_combinations(wanted, values)


def _read_text(column: str, wanted: StringFilter, named: Callable[[Any], str]) -> Iterator[_Condition]:
    for condition, name in (("eq", "eq"), ("contains", "contains"), ("starts_with", "startsWith")):
        if (text := getattr(wanted, condition)) is not None:
            yield f"{column} {condition}", named(require_storable(text, ("filter", name)))


def _search(text: str) -> str:
    return require_length(text, ("filter", "search"), least=0, most=_LONGEST_SEARCH)


def _read_moments(column: str, wanted: DateTimeFilter | None, named: Callable[[Any], str]) -> Iterator[_Condition]:
    if wanted is None:
        return
    for comparison in _COMPARISONS:
        if (moment := getattr(wanted, comparison)) is not None:
            yield f"{column} {comparison}", named(moment)
    if wanted.is_null is not None:
        yield f"{column} is_null", wanted.is_null


def _read_combinations(wanted: TaskFilter, values: dict[str, Any]) -> Iterator[_Condition]:
    for part in wanted.and_ or ():
        yield from _read(part, values)
    if wanted.or_ is not None:
        yield "or", tuple(tuple(_read(part, values)) for part in wanted.or_)
    if wanted.not_ is not None:
        yield "not", tuple(_read(wanted.not_, values))


def _build(shape: _Shape) -> tuple[ColumnElement[bool], ...]:
    return tuple(_BUILDERS[kind](what) for kind, what in shape)


def _whole(shape: _Shape) -> ColumnElement[bool]:
    return and_(true(), *_build(shape))


def _compare(compare: _Compare, column: str, name: str) -> ColumnElement[bool]:
    return compare(_TASKS[column], bindparam(name))


def _is_null(column: str, is_null: bool) -> ColumnElement[bool]:  # noqa: FBT001 - the one thing that is told of it
    return _TASKS[column].is_(None) if is_null else _TASKS[column].is_not(None)


_BUILDERS: Final[dict[str, Callable[[Any], ColumnElement[bool]]]] = {
    "completed": lambda is_completed: _TASKS.completed == is_completed,
    "priority": lambda name: IsAnyOf(_TASKS.priority, enum_list_param(name, TaskPriority)),
    "tags": lambda name: HasAll(_TASKS.tags, text_list_param(name)),
    "is_subtask": lambda is_one: _TASKS.parent_id.is_not(None) if is_one else _TASKS.parent_id.is_(None),
    "title eq": lambda name: _TASKS.title == bindparam(name),
    "title contains": lambda name: Contains(_TASKS.title, bindparam(name, type_=_TASKS.title.type)),
    "title starts_with": lambda name: StartsWith(_TASKS.title, bindparam(name, type_=_TASKS.title.type)),
    "search": lambda name: HasWords(_TASKS.words, words_param(name)),
    "or": lambda parts: or_(false(), *map(_whole, parts)),
    # A comparison with a missing value is unknown: it does not hold, so its contrary does.
    "not": lambda part: not_(_whole(part).is_(true())),
    **{
        f"{column} {comparison}": partial(_compare, compare, column)
        for column in _MOMENTS
        for comparison, compare in _COMPARISONS.items()
    },
    **{f"{column} is_null": partial(_is_null, column) for column in _MOMENTS},
}
