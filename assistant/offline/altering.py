"""Scripts that change tasks: find them, change them, and tell what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from assistant.offline.calls import Call, Fate, Outcome, Task
from assistant.offline.dates import Calendar
from assistant.offline.intents import (
    Action,
    Change,
    Complete,
    Delete,
    Due,
    Move,
    Prioritise,
    Rename,
    Reopen,
    Retag,
    Shift,
)
from assistant.offline.matching import is_already
from assistant.offline.resolving import MOST_AT_ONCE, resolve
from assistant.offline.script import WAIT, Desk, Script
from assistant.offline.wording import Part, has_no_time, moment_of, names, quoted, shown_date

_TOOLS: Final[dict[type[Any], str]] = {Complete: "complete_task", Reopen: "reopen_task", Delete: "delete_task"}
_VERBS: Final[dict[type[Any], str]] = {
    Complete: "complete",
    Reopen: "reopen",
    Delete: "delete",
    Rename: "rename",
    Move: "move",
    Shift: "move",
    Prioritise: "prioritise",
    Retag: "tag",
}


def alter(desk: Desk, intent: Change, place: int, *, waits: bool) -> Script:
    """Change the tasks that are meant; `waits` if they are not to be looked up before the wishes before this one."""
    if waits:
        yield WAIT
    action = intent.action
    found = yield from resolve(desk, intent.reference, action, place)
    if isinstance(action, Rename) and len(found.tasks) > 1:
        return ["I can rename one task at a time. Which one do you mean?"]
    yield WAIT
    tasks = [desk.latest(task) for task in found.tasks[:MOST_AT_ONCE]]
    idle = [task for task in tasks if is_already(task, action)]
    busy = [task for task in tasks if task not in idle]
    parts: list[Part] = [*found.problem]
    if idle:
        state = "done" if isinstance(action, Complete) else "open"
        parts.append(f"{names(idle)} {'is' if len(idle) == 1 else 'are'} already {state}.")
    if not busy:
        return parts
    outcomes = yield tuple(_call(task, action, desk.calendar) for task in busy)
    if not isinstance(action, Delete):
        for task, outcome in zip(busy, outcomes, strict=True):
            if outcome.is_done:
                desk.touch(place, outcome.task or task)
    parts += _tell(action, busy, outcomes, desk.calendar.now)
    if found.total > len(found.tasks):
        parts.append(f"That is as many as I change at once; {found.total - len(found.tasks)} more remain.")
    return parts


def _call(task: Task, action: Action, calendar: Calendar) -> Call:
    name = _TOOLS.get(type(action))
    if name:
        return Call(name, {"task_id": task["id"]}, deletes=task if isinstance(action, Delete) else None)
    return Call("update_task", {"task_id": task["id"], **_changes(task, action, calendar)})


def _changes(task: Task, action: Action, calendar: Calendar) -> dict[str, Any]:
    if isinstance(action, Rename):
        return {"title": action.title}
    if isinstance(action, Prioritise):
        return {"priority": action.priority}
    if isinstance(action, Retag):
        kept = [tag for tag in task.get("tags") or [] if not _is_removed(str(tag), action)]
        return {"tags": list(dict.fromkeys([*kept, *action.added]))}
    before = moment_of(task.get("due_at"))
    if isinstance(action, Shift):
        due = calendar.shift(before, action.span, is_earlier=action.is_earlier)
    else:
        due = action.due if isinstance(action, Move) else None
        due = _with_time_of(due, before, calendar)
    return {"due_at": due.moment.isoformat() if due else None}


def _is_removed(tag: str, action: Retag) -> bool:
    return action.removed is None or tag.casefold() in {name.casefold() for name in action.removed}


def _with_time_of(due: Due | None, before: datetime | None, calendar: Calendar) -> Due | None:
    """Let what is moved to another day keep its time."""
    if due is None or due.has_time or before is None:
        return due
    local = before.astimezone(calendar.now.tzinfo)
    if has_no_time(local):
        return due
    return Due(calendar.at(due.moment.date(), local.time()), has_time=True)


def _tell(action: Action, tasks: Sequence[Task], outcomes: Sequence[Outcome], now: datetime) -> list[Part]:
    gone = {task_id for outcome in outcomes for task_id in outcome.deleted_ids}
    done: list[tuple[Task, Task]] = []
    refused: list[Task] = []
    failed: list[Part] = []
    for task, outcome in zip(tasks, outcomes, strict=True):
        # A subtask goes with its task, and cannot be deleted once more.
        if outcome.is_done or task["id"] in gone:
            done.append((task, outcome.task or task))
        elif outcome.fate is Fate.REFUSED:
            refused.append(task)
        else:
            reason = outcome.message.rstrip(".") or "the tool failed"
            failed.append(f"I could not {_VERBS[type(action)]} {quoted(str(task['title']))}: {reason}.")
    parts: list[Part] = [_said(action, done, now)] if done else []
    if refused:
        parts.append(f"I left {names(refused)} as {'it is' if len(refused) == 1 else 'they are'}.")
    return [*parts, *failed]


def _said(action: Action, done: Sequence[tuple[Task, Task]], now: datetime) -> str:
    before, after = [pair[0] for pair in done], [pair[1] for pair in done]
    titles, is_one = names(before), len(done) == 1
    if isinstance(action, Rename):
        return f"Renamed {titles} to {quoted(str(after[0]['title']))}."
    if isinstance(action, Prioritise):
        return f"{titles} {'has' if is_one else 'have'} {action.priority.lower()} priority now."
    if isinstance(action, Retag):
        return _retagged(titles, after)
    if isinstance(action, Move | Shift):
        return _moved(titles, after, now)
    return f"{_PAST[type(action)]} {titles}."


_PAST: Final[dict[type[Any], str]] = {Complete: "Completed", Reopen: "Reopened", Delete: "Deleted"}


def _retagged(titles: str, after: Sequence[Task]) -> str:
    tags = {tuple(task.get("tags") or ()) for task in after}
    verb = "is" if len(after) == 1 else "are"
    if len(tags) > 1:
        return f"Changed the tags of {titles}."
    shown = " ".join(f"#{tag}" for tag in tags.pop())
    return f"{titles} {verb} tagged {shown} now." if shown else f"{titles} {verb} not tagged any more."


def _moved(titles: str, after: Sequence[Task], now: datetime) -> str:
    moments = {shown_date(moment, now) for task in after if (moment := moment_of(task.get("due_at")))}
    if not moments:
        return f"Removed the due date of {titles}."
    return f"Moved {titles} to {moments.pop()}." if len(moments) == 1 else f"Moved {titles}."
