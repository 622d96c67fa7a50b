"""What the model's input tells: the message to answer, the calls made for it, and what was shown before."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from assistant.offline.calls import Outcome, Task, read_outcome, text_of
from assistant.offline.wording import title_of

WRITES: Final = frozenset({"add_task", "update_task", "complete_task", "reopen_task"})
_LINE: Final = re.compile(r"^(\d{1,3})\. (.+)$", re.MULTILINE)
_SEEN_AT_MOST: Final = 2_000


@dataclass(frozen=True, slots=True)
class Past:
    """The input, as far as it matters; `shown` are the tasks of the last list, `touched` what "it" may mean."""

    message: str
    key: str
    done: tuple[tuple[str, Outcome], ...]
    shown: dict[int, Task]
    touched: tuple[Task, ...]
    is_touched: bool


def read_past(given: str | Sequence[Any]) -> Past:
    """Return what the items tell."""
    items: Sequence[Any] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    last = max((index for index, item in enumerate(items) if _role(item) == "user"), default=-1)
    message = text_of(items[last].get("content")) if last >= 0 else ""
    shown, touched, is_touched = _seen(items[: max(last, 0)])
    key = hashlib.sha256(f"{last} {message}".encode(errors="replace")).hexdigest()[:12]
    calls = tuple((name, outcome) for name, outcome in _calls(items[last + 1 :]) if outcome is not None)
    return Past(message, key, calls, shown, touched, is_touched)


def _role(item: Any) -> str:
    return str(item.get("role", "")) if isinstance(item, dict) else ""


def _calls(items: Sequence[Any]) -> list[tuple[str, Outcome | None]]:
    outputs = {
        str(item.get("call_id")): read_outcome(item.get("output"))
        for item in items
        if isinstance(item, dict) and item.get("type") == "function_call_output"
    }
    return [
        (str(item.get("name")), outputs.get(str(item.get("call_id"))))
        for item in items
        if isinstance(item, dict) and item.get("type") == "function_call"
    ]


def _seen(items: Sequence[Any]) -> tuple[dict[int, Task], tuple[Task, ...], bool]:
    """Return the tasks of the last list by their numbers, those last touched or shown, and whether touched."""
    shown: dict[int, Task] = {}
    touched: tuple[Task, ...] = ()
    is_touched = False
    known: dict[str, Task] = {}
    start = 0
    for index, item in enumerate(items):
        if _role(item) == "user":
            start = index
        if _role(item) != "assistant":
            continue
        calls = _calls(items[start:index])
        for _, outcome in calls:
            known.update({task["id"]: task for task in _tasks(outcome)})
        written = tuple(
            task for name, outcome in calls if name in WRITES and outcome and (task := outcome.task) is not None
        )
        listed = _listed(text_of(item.get("content")), known)
        shown = listed or shown
        if written:
            touched, is_touched = written, True
        elif listed:
            touched, is_touched = tuple(listed.values()), False
        start = index
    return shown, touched, is_touched


def _tasks(outcome: Outcome | None) -> list[Task]:
    if outcome is None:
        return []
    return [*outcome.tasks, *([outcome.task] if outcome.task else [])]


def _listed(text: str, known: dict[str, Task]) -> dict[int, Task]:
    """Return the tasks of a numbered list, by what is known of them; one that is not known has no id."""
    by_title: dict[str, list[Task]] = {}
    for task in list(known.values())[-_SEEN_AT_MOST:]:
        by_title.setdefault(title_of(task), []).append(task)
    listed: dict[int, Task] = {}
    for number, line in _LINE.findall(text):
        title = line.split(" \u00b7 ")[0]
        twins = by_title.get(title, [])
        listed[int(number)] = (twins.pop(0) if len(twins) > 1 else twins[0]) if twins else {"id": "", "title": title}
    return listed
