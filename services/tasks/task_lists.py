"""Filter and order of the lists of tasks."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam

from core.text import require_length
from models import Task
from services.accounts.caller import Caller
from services.entities.lists import AddParameter, Condition, EntityFilter, EntityOrder, entity_listing
from services.query.filters import HasWords, SearchWords
from services.query.pagination import Listing
from services.query.sql import table_of
from services.tasks.words import words_of

_TASKS: Final = table_of(Task).c
# PostgreSQL takes no query of words longer than a megabyte.
_MAX_SEARCH_LENGTH: Final = 1_000


class TaskFilter(EntityFilter, model=Task):
    """Which tasks; all that is given must hold."""

    search: str | None
    is_subtask: bool | None

    def own_conditions(self, add_parameter: AddParameter) -> Iterator[Condition]:
        """Return the conditions of the search by words and of being a subtask."""
        if self.is_subtask is not None:
            yield "", "is_subtask", self.is_subtask
        if self.search is not None:
            text = require_length(self.search, ("filter", "search"), min_length=0, max_length=_MAX_SEARCH_LENGTH)
            if words := words_of(text):
                yield "", "search", add_parameter(words)

    @classmethod
    def build_own(cls, name: str, operand: Any) -> ColumnElement[bool]:
        """Return one of these conditions as SQL."""
        if name == "search":
            return HasWords(_TASKS.words, bindparam(operand, type_=SearchWords()))
        return _TASKS.parent_id.is_not(None) if operand else _TASKS.parent_id.is_(None)


class TaskOrder(EntityOrder, model=Task):
    """One thing to order tasks by."""


_DEFAULT: Final = TaskOrder.by("created_at")


def task_listing(
    caller: Caller,
    columns: frozenset[str] = frozenset(),
    task_filter: TaskFilter | None = None,
    order: Sequence[TaskOrder] | None = None,
) -> Listing:
    """Return the list of the caller's tasks, by default in the order of their creation."""
    return entity_listing(caller, order, _DEFAULT, columns, task_filter)
