"""What people read of a tool call: what it is asked for, and what came of it."""

from collections.abc import Mapping
from typing import Any, Final

from core.text import is_storable
from models import ToolCallStatus

_MAX_LENGTH: Final = 100
_MAX_ERROR_LENGTH: Final = 300
# With and without the title of the task, or the words that are looked for.
_TITLES: Final = {
    "list_tasks": ("List tasks", "List tasks"),
    "search": ("Search for {}", "Search"),
    "add_task": ("Create the task {}", "Create a task"),
    "update_task": ("Change the task {}", "Change a task"),
    "complete_task": ("Complete the task {}", "Complete a task"),
    "reopen_task": ("Reopen the task {}", "Reopen a task"),
    "delete_task": ("Delete the task {}", "Delete a task"),
}
_SUMMARIES: Final = {
    "list_tasks": "Found",
    "search": "Found",
    "add_task": "Created",
    "update_task": "Changed",
    "complete_task": "Completed",
    "reopen_task": "Reopened",
    "delete_task": "Deleted",
}
_STATUSES: Final = {
    ToolCallStatus.AWAITING_APPROVAL: "Waits for your approval",
    ToolCallStatus.RUNNING: "In progress",
    ToolCallStatus.COMPLETED: "Done",
    ToolCallStatus.REJECTED: "Rejected",
    ToolCallStatus.FAILED: "Failed",
}


def title_of(name: str, subject: str | None) -> str:
    """Return what a tool is asked for, with what it is about; the words of its name for one that is not ours."""
    if name not in _TITLES:
        return _shortened(name.replace("_", " ").replace("-", " ").strip().capitalize()) or "Use a tool"
    with_subject, without = _TITLES[name]
    return without if subject is None else with_subject.format(f"“{_shortened(subject)}”")


def subject_of(name: str, arguments: Any, result: Any) -> str | None:
    """Return what a call is about, as far as it says so: the title of its task, or the words to look for."""
    told, given = _get(_get(result, "task"), "title"), _get(arguments, "query" if name == "search" else "title")
    subject = given if name in ("search", "add_task") else told
    return subject if isinstance(subject, str) and subject.strip() and is_storable(subject) else None


def task_id_of(name: str, arguments: Any) -> str | None:
    """Return the id of the task that a tool of ours is asked to change."""
    task_id = _get(arguments, "task_id") if name in _TITLES else None
    return task_id if isinstance(task_id, str) else None


def summary_of(name: str, status: ToolCallStatus, result: Any) -> str:
    """Return what came of a call."""
    error = _get(result, "error")
    if status is ToolCallStatus.FAILED and name in _TITLES and isinstance(error, str):
        return _shortened(error, _MAX_ERROR_LENGTH) or _STATUSES[status]
    if status is not ToolCallStatus.COMPLETED or name not in _SUMMARIES:
        return _STATUSES[status]
    deleted, total = _get(result, "deleted_ids"), _get(result, "total")
    count = len(deleted) if isinstance(deleted, list) else total if isinstance(total, int) else 1
    return f"{_SUMMARIES[name]} {count:,} task{'' if count == 1 else 's'}"


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _shortened(text: str, max_length: int = _MAX_LENGTH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= max_length else f"{line[: max_length - 1]}…"
