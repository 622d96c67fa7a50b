"""Texts of the offline model's replies: sentences, numbered lists, dates."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from assistant.offline.dates import is_end_of_day
from assistant.offline.parser import Command

Task = dict[str, Any]

MAX_LISTED: Final = 20
DOT: Final = " \u00b7 "
HELP: Final = """I understand sentences such as these:
- \u201cadd buy milk tomorrow at 9 !high #shop and call the dentist\u201d
- \u201cwhat is open?\u201d, \u201clist overdue tasks\u201d, \u201cwhat is due this week?\u201d, \u201cfind milk\u201d
- \u201ccomplete buy milk\u201d, \u201creopen the second one\u201d, \u201cdelete all done tasks\u201d
- \u201crename buy milk to buy oat milk\u201d, \u201cmove it to friday at 3pm\u201d
- \u201cundo\u201d, \u201chelp\u201d"""
UNDO: Final = "Undo takes back all that one of my replies changed: choose it at that reply. I changed nothing now."
WHICH: Final = "Which task do you mean? Name it, for example: \u201ccomplete buy milk\u201d."
NO_PLACE: Final = "My last list has no such number. Ask me \u201cwhat is open?\u201d first, or name the task."
_MAX_TITLE_LENGTH: Final = 100
_MAX_NAMES: Final = 5
_QUOTES: Final = str.maketrans({"\u201c": '"', "\u201d": '"', "\u00b7": "-"})
_PAST: Final = {"complete": "Completed", "reopen": "Reopened", "delete": "Deleted", "move": "Moved"}


def listing(heading: str, tasks: Sequence[Task], total: int, now: datetime) -> str:
    """Return tasks as numbered lines below a heading, with how many more there are."""
    shown = tasks[:MAX_LISTED]
    lines = [f"{number}. {DOT.join([title_of(task), *_details(task, now)])}" for number, task in enumerate(shown, 1)]
    return "\n".join([heading, *lines, *([f"and {total - len(shown)} more"] if total > len(shown) else [])])


def not_understood(part: str) -> str:
    """Return the reply to a message of which a part is no sentence of the list."""
    return f"I did not understand {quoted(part) if part else 'that'}, so I did nothing. {HELP}"


def failed(verb: str, error: str, title: str = "") -> str:
    """Return that a tool has failed, and why."""
    return f"I could not {verb} {quoted(title) if title else 'your tasks'}: {error.rstrip('.')}."


def title_of(task: Task) -> str:
    """Return a title in one line, as it is shown."""
    title = " ".join(str(task["title"]).translate(_QUOTES).split())
    return title if len(title) <= _MAX_TITLE_LENGTH else f"{title[: _MAX_TITLE_LENGTH - 1]}\u2026"


def quoted(text: str) -> str:
    """Return a title as it stands in a sentence."""
    return f"\u201c{title_of({'title': text})}\u201d"


def names(tasks: Sequence[Task]) -> str:
    """Return titles as they stand in a sentence."""
    titles = [quoted(str(task["title"])) for task in tasks[:_MAX_NAMES]]
    if len(tasks) > _MAX_NAMES:
        return f"{', '.join(titles)} and {len(tasks) - _MAX_NAMES} more"
    return " and ".join(filter(None, [", ".join(titles[:-1]), titles[-1]]))


def described(task: Task, now: datetime) -> str:
    """Return a task's title with all that is said of it."""
    return ", ".join([quoted(str(task["title"])), *_details(task, now)])


def _details(task: Task, now: datetime) -> list[str]:
    due = moment_of(task)
    return [
        *(["done"] if task["completed"] else []),
        *([f"due {_shown_date(due, now)}"] if due else []),
        *([f"{task['priority'].lower()} priority"] if task["priority"] != "MEDIUM" else []),
        *(f"#{' '.join(str(tag).split())}" for tag in task["tags"]),
    ]


def moment_of(task: Task) -> datetime | None:
    """Return when a task is due."""
    return datetime.fromisoformat(task["due_at"]) if task["due_at"] else None


def _shown_date(moment: datetime, now: datetime) -> str:
    """Return a date in the person's zone, with its time unless that is the end of the day."""
    try:
        local = moment.astimezone(now.tzinfo)
    except OverflowError:
        return moment.date().isoformat()
    day, today = local.date(), now.date()
    near = {today + timedelta(days=days): word for days, word in ((-1, "yesterday"), (0, "today"), (1, "tomorrow"))}
    words = near.get(day) or f"{local:%a} {day.day} {local:%b}" + ("" if day.year == today.year else f" {day.year}")
    return words if is_end_of_day(local) else f"{words} at {local:%H:%M}"


def counted(command: Command, count: int) -> str:
    """Return what a list holds, such as "3 open tasks tagged #home due this week"."""
    wanted, is_overdue = command.filter, command.period == "overdue"
    state = {True: "done", False: "open", None: ""}[wanted.get("completed")]
    priority, tags = wanted.get("priority"), wanted.get("tags", [])
    words = [
        "overdue" if is_overdue else state,
        f"{priority.lower()}-priority" if priority else "",
        "task" if count == 1 else "tasks",
        " #".join(["tagged", *tags]) if tags else "",
        f"due {command.period}" if command.period and not is_overdue else "",
        f"about {quoted(command.value)}" if command.verb == "find" else "",
    ]
    return " ".join([str(count or "no"), *filter(None, words)])


def changed(command: Command, before: Sequence[Task], after: Sequence[Task], now: datetime) -> str:
    """Return what was done to tasks."""
    titles = names(before if command.verb in {"rename", "delete"} else after)
    if command.verb == "rename":
        return f"Renamed {titles} to {quoted(str(after[0]['title']))}."
    dates = {_shown_date(due, now) for task in after if command.verb == "move" and (due := moment_of(task))}
    return f"{_PAST[command.verb]} {titles}{f' to {dates.pop()}' if len(dates) == 1 else ''}."
