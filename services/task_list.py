"""Lists of tasks: what they can be ordered by, and which there are."""

import string
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import func

from models import Task, TaskPriority
from services.accounts.caller import Caller
from services.query.ordering import Key, OrderDirection, enum_key, moment_key, order_by, read_text
from services.query.pagination import Listing
from services.query.sql import table_of
from services.task_filter import TaskFilter, task_conditions

_TASKS: Final = table_of(Task)
_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class TaskOrderField(StrEnum):
    """What tasks can be ordered by."""

    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    DUE_AT = "DUE_AT"
    PRIORITY = "PRIORITY"
    TITLE = "TITLE"


@dataclass
class TaskOrder:
    """One thing to order tasks by."""

    field: TaskOrderField
    direction: OrderDirection = OrderDirection.ASC


_KEYS: Final = {
    TaskOrderField.CREATED_AT: moment_key("created_at"),
    TaskOrderField.UPDATED_AT: moment_key("updated_at"),
    TaskOrderField.DUE_AT: moment_key("due_at", nullable=True),
    TaskOrderField.PRIORITY: enum_key("priority", TaskPriority),
    # Both databases fold the case of ASCII alone here, and so does the cursor.
    TaskOrderField.TITLE: Key("title", read_text, lambda title: title.translate(_LOWER), func.lower),
}
_DEFAULT: Final = (TaskOrder(TaskOrderField.CREATED_AT),)


def task_listing(
    caller: Caller,
    columns: frozenset[str] = frozenset(),
    task_filter: TaskFilter | None = None,
    order: Sequence[TaskOrder] | None = None,
) -> Listing:
    """Return the list of the caller's tasks, in the order of their making where none is asked for."""
    return Listing(
        table=_TASKS,
        order=order_by(_TASKS, tuple((_KEYS[part.field], part.direction) for part in order or _DEFAULT)),
        caller=caller,
        conditions=task_conditions(task_filter),
        columns=columns,
    )
