"""What people read: sentences, lists and dates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Final

from assistant.offline.calls import Task
from assistant.offline.intents import Topic, Wanted

MOST_LINES: Final = 20
_LONGEST_TITLE: Final = 100
_MOST_NAMES: Final = 5
_SHORT: Final = 60
_DOT: Final = " \u00b7 "
_QUOTES: Final = str.maketrans({"\u201c": '"', "\u201d": '"'})
_PRIORITIES: Final = {"HIGH": "high", "MEDIUM": "medium", "LOW": "low"}
_EXAMPLES: Final = (
    "\u201cadd buy milk for tomorrow and tell me what's still open\u201d",
    "\u201cwhat is due this week?\u201d",
    "\u201cmove buy milk to friday at 3pm\u201d",
    "\u201cI finished the report\u201d",
)
_ABILITIES: Final = "I can add, list, find, complete, reopen, rename, reschedule, prioritise, tag and delete tasks."
_HELLO: Final = "Hello! What can I do for your tasks?"
_NOTHING: Final = "All right, I did nothing."
_UNDO: Final = "I cannot take that back by myself. Ask for its contrary, for example: \u201creopen it\u201d."
_THANKS: Final = "Glad to help!"


@dataclass(frozen=True, slots=True)
class Listing:
    """Tasks to show as numbered lines below a heading."""

    heading: str
    tasks: Sequence[Task]
    total: int


Part = str | Listing


def compose(parts: Sequence[Part], now: datetime) -> str:
    """Return the whole answer; lines are numbered through, so that a number means one task."""
    number = 0
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        lines = [part.heading]
        for task in part.tasks[:MOST_LINES]:
            number += 1
            lines.append(f"{number}. {_line(task, now)}")
        if part.total > min(len(part.tasks), MOST_LINES):
            lines.append(f"and {part.total - min(len(part.tasks), MOST_LINES)} more")
        texts.append("\n".join(lines))
    has_list = any(isinstance(part, Listing) for part in parts)
    return ("\n\n" if has_list else "\n").join(texts)


def title_of(task: Task) -> str:
    """Return the title in one line, as it is shown."""
    title = " ".join(str(task["title"]).translate(_QUOTES).replace("\u00b7", "-").split())
    return title if len(title) <= _LONGEST_TITLE else f"{title[: _LONGEST_TITLE - 1]}\u2026"


def quoted(text: str) -> str:
    """Return a title as it stands in a sentence."""
    return f"\u201c{title_of({'title': text})}\u201d"


def names(tasks: Sequence[Task]) -> str:
    """Return the titles as they stand in a sentence."""
    titles = [quoted(str(task["title"])) for task in tasks[:_MOST_NAMES]]
    if len(tasks) > _MOST_NAMES:
        return f"{', '.join(titles)} and {len(tasks) - _MOST_NAMES} more"
    return " and ".join(filter(None, [", ".join(titles[:-1]), titles[-1]]))


def details(task: Task, now: datetime) -> list[str]:
    """Return what is worth saying of a task beside its title."""
    due = moment_of(task.get("due_at"))
    return [
        *(["done"] if task.get("completed") else []),
        *([f"due {shown_date(due, now)}"] if due else []),
        *([f"{_PRIORITIES[task['priority']]} priority"] if task.get("priority") in {"HIGH", "LOW"} else []),
        *(f"#{' '.join(str(tag).split())}" for tag in _tags(task)),
    ]


def _tags(task: Task) -> list[Any]:
    tags = task.get("tags")
    return tags if isinstance(tags, list) else []


def _line(task: Task, now: datetime) -> str:
    return _DOT.join([title_of(task), *details(task, now)])


def moment_of(value: Any) -> datetime | None:
    """Return the moment that a tool's output tells."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def shown_date(moment: datetime, now: datetime) -> str:
    """Return a date in the user's zone, with its time unless that is the end of the day."""
    try:
        local = moment.astimezone(now.tzinfo)
    except OverflowError:
        return moment.date().isoformat()
    day, today = local.date(), now.date()
    near = {today + timedelta(days=shift): word for shift, word in ((-1, "yesterday"), (0, "today"), (1, "tomorrow"))}
    words = near.get(day) or f"{local:%a} {day.day} {local:%b}" + ("" if day.year == today.year else f" {day.year}")
    return words if has_no_time(local) else f"{words} at {local:%H:%M}"


def has_no_time(local: datetime) -> bool:
    """Tell whether a due date stands for its whole day."""
    return local.time().replace(second=0, microsecond=0) in {time(23, 59), time(0)}


def kind(wanted: Wanted, count: int) -> str:
    """Return what is listed, such as `3 open tasks tagged #home, due this week`."""
    words = [
        {True: "done", False: "open", None: ""}[wanted.completed] if wanted.period != "overdue" else "overdue",
        f"{_PRIORITIES[wanted.priority]}-priority" if wanted.priority else "",
        "task" if count == 1 else "tasks",
        f"tagged {' '.join(f'#{tag}' for tag in wanted.tags)}" if wanted.tags else "",
        "without a due date" if wanted.has_due is False else "",
        f"due {wanted.period}" if wanted.period and wanted.period != "overdue" else "",
    ]
    return " ".join([str(count) if count else "no", *filter(None, words)])


def chat(topic: Topic) -> str:
    """Return the answer to a courtesy or a call for help."""
    answers = {Topic.HELLO: _HELLO, Topic.THANKS: _THANKS, Topic.NOTHING: _NOTHING, Topic.UNDO: _UNDO}
    return answers.get(topic) or abilities()


def abilities() -> str:
    """Return what can be asked for."""
    return "\n".join([f"{_ABILITIES} For example:", *(f"- {example}" for example in _EXAMPLES)])


def unclear(text: str, *, is_alone: bool) -> str:
    """Return that something was not understood, and what would be where nothing else was said."""
    said = f"I did not understand {quoted(text) if text else 'that'}."
    if not is_alone:
        return said
    hint = f" If it is a task, say {quoted('add ' + text)}." if 0 < len(text) <= _SHORT else ""
    return f"{said}{hint} {abilities()}"
