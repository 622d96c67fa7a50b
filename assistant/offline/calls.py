"""Tool calls and what came of them, as the input items tell."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from assistant.instructions import unfence

Task = dict[str, Any]

_REFUSED: Final = re.compile(r"\b(?:not (?:been )?approve|refused|rejected|declined|denied)", re.IGNORECASE)
_LONGEST_MESSAGE: Final = 300


class Fate(StrEnum):
    """How a call ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool and what it is given; `deletes` is the task that is asked about before it goes."""

    name: str
    arguments: dict[str, Any]
    deletes: Task | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call."""

    fate: Fate
    data: dict[str, Any] = field(default_factory=dict)
    message: str = ""

    @property
    def is_done(self) -> bool:
        """Tell whether the tool did what it was asked."""
        return self.fate is Fate.DONE

    @property
    def task(self) -> Task | None:
        """Return the one task that the tool returned."""
        task = self.data.get("task")
        return task if is_task(task) else None

    @property
    def tasks(self) -> list[Task]:
        """Return the tasks that the tool listed."""
        tasks = self.data.get("tasks")
        return [task for task in tasks if is_task(task)] if isinstance(tasks, list) else []

    @property
    def deleted_ids(self) -> list[str]:
        """Return the ids of the tasks that the tool deleted."""
        ids = self.data.get("deleted_ids")
        return [each for each in ids if isinstance(each, str)] if isinstance(ids, list) else []

    @property
    def total(self) -> int:
        """Return how many tasks there are, of which the first are listed."""
        total = self.data.get("total")
        return total if isinstance(total, int) else len(self.tasks)


def is_task(value: Any) -> bool:
    """Tell whether a tool's output names a task."""
    return isinstance(value, dict) and isinstance(value.get("id"), str) and isinstance(value.get("title"), str)


def read_outcome(output: Any) -> Outcome:
    """Return what a tool's output says."""
    text = unfence(text_of(output).strip())
    try:
        data = orjson.loads(text)
    except ValueError:
        data = {"error": text}
    if not isinstance(data, dict):
        return Outcome(Fate.FAILED, message="it returned something else than expected")
    if "error" not in data:
        return Outcome(Fate.DONE, data)
    error = data["error"]
    message = str(error.get("message", "")) if isinstance(error, dict) else str(error)
    fate = Fate.REFUSED if _REFUSED.search(message) else Fate.FAILED
    return Outcome(fate, message=message[:_LONGEST_MESSAGE])


def text_of(content: Any) -> str:
    """Return the text of an item's content, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(text for part in content if isinstance(part, dict) and isinstance(text := part.get("text"), str))
    return ""
