"""Carries commands out: a generator of tool calls, which is sent their outcomes and returns the reply's parts."""

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from assistant.offline import replies
from assistant.offline.dates import END_OF_DAY, MAX_DAY, Calendar, Due, is_end_of_day
from assistant.offline.parser import Command, Target
from assistant.offline.replies import Task, moment_of, names, quoted

MAX_COMMANDS: Final = 6
MAX_TASKS: Final = 50
# What list_tasks and search return at most.
_PAGE: Final = 50
# The agent calls its model 20 times for a message; the last of these writes the reply.
_MAX_STEPS: Final = 19
_STEPS_PER_COMMAND: Final = 2
# In what the toolbox and the SDK say of a call that the person did not approve.
_REFUSED: Final = "not approve"
_TOOLS: Final = {"complete": "complete_task", "reopen": "reopen_task", "delete": "delete_task"}
_FIELDS: Final = {"rename": "title", "prioritise": "priority", "move": "due_at"}
_SMALL_WORDS: Final = frozenset({"a", "an", "and", "at", "for", "in", "my", "of", "on", "the", "this", "to", "with"})


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `deletes` is the task that is named before the person is asked."""

    name: str
    arguments: dict[str, Any]
    deletes: Task | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool returned, or why it did nothing."""

    data: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def tasks(self) -> list[Task]:
        """Return the tasks that the tool listed or changed."""
        return [self.data["task"]] if "task" in self.data else self.data.get("tasks", [])


@dataclass(slots=True)
class Context:
    """The calendar, the last list by number, the tasks that were changed or shown last, and the steps made."""

    calendar: Calendar
    listed: dict[int, Task] = field(default_factory=dict)
    recent: Sequence[Task] = ()
    steps: int = 0
    remaining_commands: int = 0
    lines: int = 0

    def listing(self, heading: str, tasks: Sequence[Task], total: int) -> str:
        """Return a list for the reply, and take it for the last one; the lists of a reply are numbered through."""
        text = replies.listing(heading, tasks, total, self.lines + 1, self.calendar.now)
        shown = tasks[: replies.MAX_LISTED]
        self.listed = (self.listed if self.lines else {}) | dict(enumerate(shown, self.lines + 1))
        self.lines += len(shown)
        return text


Steps = Generator[list[Call], list[Outcome], list[str]]


def carry_out(commands: Sequence[Command], context: Context) -> Steps:
    """Carry commands out one after another, or none where they are too many."""
    if not commands:
        return [replies.HELP]
    if len(commands) > MAX_COMMANDS:
        return [f"Those are {len(commands)} requests, and I carry out at most {MAX_COMMANDS} at once. I did nothing."]
    if (count := sum(len(command.tasks) + len(command.targets) for command in commands)) > MAX_TASKS:
        return [f"Those are {count} tasks, and I take at most {MAX_TASKS} at once. I did nothing."]
    parts: list[str] = []
    for number, command in enumerate(commands, 1):
        context.remaining_commands = len(commands) - number
        if command.verb in {"undo", "help"}:
            parts.append(replies.UNDO if command.verb == "undo" else replies.HELP)
        elif command.verb == "add":
            parts += yield from _add(command, context)
        elif command.verb in {"list", "find"}:
            parts += yield from _show(command, context)
        elif command.targets[0].kind == "every":
            parts += yield from _change_every(command, context)
        else:
            tasks, problems = yield from _resolve(command, context)
            parts += problems or (yield from _change(command, tasks, context))
    return parts


def _add(command: Command, context: Context) -> Steps:
    outcomes = yield [Call("add_task", task) for task in command.tasks]
    added = [task for outcome in outcomes for task in outcome.tasks]
    context.recent = added or context.recent
    pairs = zip(command.tasks, outcomes, strict=True)
    problems = [_failed("add", task, outcome) for task, outcome in pairs if outcome.error]
    if len(added) > 1:
        return [context.listing(f"Added {len(added)} tasks:", added, len(added)), *problems]
    return [*(f"Added {replies.described(task, context.calendar.now)}." for task in added), *problems]


def _show(command: Command, context: Context) -> Steps:
    is_search = command.verb == "find"
    (outcome,) = yield [_search(command.title) if is_search else _list(command.filter.arguments, replies.MAX_LISTED)]
    if outcome.error:
        return [replies.failed("read your tasks", outcome.error)]
    context.recent = outcome.tasks[: replies.MAX_LISTED] or context.recent
    total = outcome.data["total"]
    text = replies.counted(command.filter, total) + (f" about {quoted(command.title)}" if is_search else "")
    return [context.listing(f"You have {text}:", outcome.tasks, total) if total else f"You have {text}."]


def _failed(verb: str, task: Task, outcome: Outcome) -> str:
    return replies.failed(f"{verb} {quoted(task['title'])}", outcome.error)


def _list(arguments: dict[str, Any], limit: int) -> Call:
    return Call("list_tasks", {**arguments, "limit": limit})


def _search(title: str) -> Call:
    words = re.findall(r"\w+", title.casefold())
    query = " ".join([each for each in words if each not in _SMALL_WORDS] or words)
    return Call("search", {"query": query, "limit": _PAGE})


def _change_every(command: Command, context: Context) -> Steps:
    """Change all tasks of a filter, page by page; where that does not work, say how many are left, and why."""
    state = {} if command.verb == "delete" else {"completed": command.verb == "reopen"}
    wanted, parts, seen = state | command.filter.arguments, list[str](), set[str]()
    while True:
        (outcome,) = yield [_list(wanted, _PAGE)]
        if outcome.error:
            return [*parts, replies.failed("read your tasks", outcome.error)]
        if not outcome.tasks:
            return parts or ["There are no such tasks."]
        total, ids = outcome.data["total"], {task["id"] for task in outcome.tasks}
        if ids & seen:
            return [*parts, f"I stopped, since not all of these were changed: {total} such tasks are left."]
        if context.steps + _STEPS_PER_COMMAND * (context.remaining_commands + 1) > _MAX_STEPS:
            return [*parts, f"I stopped, since one message allows no more steps: {total} such tasks are left."]
        parts += yield from _change(command, outcome.tasks, context)
        if not (left := total - len(ids)):
            return parts
        if command.verb not in _TOOLS:
            return [*parts, f"I stopped, since a list has at most {_PAGE} tasks: {left} more are left as they are."]
        seen |= ids


def _change(command: Command, tasks: Sequence[Task], context: Context) -> Steps:
    outcomes = yield [_change_call(command, task, context.calendar) for task in tasks]
    # A subtask is deleted with its task, and its own call then finds nothing.
    gone = {task_id for outcome in outcomes for task_id in outcome.data.get("deleted_ids", [])}
    pairs, parts = list(zip(tasks, outcomes, strict=True)), list[str]()
    done = [(task, outcome) for task, outcome in pairs if not outcome.error or task["id"] in gone]
    failed = [(task, outcome) for task, outcome in pairs if outcome.error and task["id"] not in gone]
    if done:
        after = [outcome.tasks[0] if outcome.tasks else task for task, outcome in done]
        context.recent = [] if command.verb == "delete" else after
        parts.append(replies.changed(command, [task for task, _ in done], after, context.calendar.now))
    if refused := [task for task, outcome in failed if _REFUSED in outcome.error]:
        parts.append(f"I left {names(refused)} as {'it is' if len(refused) == 1 else 'they are'}.")
    errors = [pair for pair in failed if _REFUSED not in pair[1].error]
    return [*parts, *(_failed(command.verb, task, outcome) for task, outcome in errors)]


def _change_call(command: Command, task: Task, calendar: Calendar) -> Call:
    verb, value = command.verb, command.value
    if verb in _TOOLS:
        return Call(_TOOLS[verb], {"task_id": task["id"]}, deletes=task if verb == "delete" else None)
    if verb == "move":
        value = _moved(value, moment_of(task), calendar).isoformat()
    return Call("update_task", {"task_id": task["id"], _FIELDS[verb]: value})


def _moved(value: Due | timedelta, before: datetime | None, calendar: Calendar) -> datetime:
    """Return the new due date; what is moved to another day keeps its time."""
    local = (before or calendar.at(calendar.today, END_OF_DAY)).astimezone(calendar.now.tzinfo)
    if isinstance(value, Due) and (value.has_time or is_end_of_day(local)):
        return value.moment
    day = value.moment.date() if isinstance(value, Due) else min(local.date(), MAX_DAY) + value
    return calendar.at(day, local.time())


# Which tasks are meant


def _resolve(command: Command, context: Context) -> Generator[list[Call], list[Outcome], tuple[list[Task], list[str]]]:
    """Return the tasks that a command is about, or what to say where one of them is not clear: then none is changed."""
    remembered, problem = _remembered(command.targets, context)
    if problem:
        return [], [problem]
    titles = [target.title for target in command.targets if target.title]
    titles += [command.title] if len(titles) > 1 else []
    # What is remembered may have changed since; the list has most of it, and the search the rest.
    calls = [_search(title) for title in (*titles, *(str(task["title"]) for task in remembered))]
    outcomes = yield [*calls, *([_list({}, _PAGE)] if remembered else [])]
    pairs = zip(titles, outcomes, strict=False)
    found = {title: _matching(title, outcome.tasks, command.verb) for title, outcome in pairs}
    if len(titles) > 1 and (whole := found.pop(command.title)):
        found, remembered = {command.title: whole}, []
    fresh = {task["id"]: task for outcome in outcomes[len(titles) :] for task in outcome.tasks}
    problems = [f"I found no task like {quoted(title)}." for title, tasks in found.items() if not tasks]
    for title, tasks in found.items():
        if len(tasks) > 1:
            heading = f"{len(tasks)} tasks fit {quoted(title)}. Which one? Say \u201cthe first one\u201d, for example."
            problems.append(context.listing(heading, tasks, len(tasks)))
    if lost := [task for task in remembered if task["id"] not in fresh]:
        problems.append(f"{names(lost)} {'is' if len(lost) == 1 else 'are'} not there any more.")
    if problems and len(command.targets) > 1:
        problems.append("I changed nothing.")
    meant = {task["id"]: task for tasks in found.values() for task in tasks}
    meant |= {task["id"]: fresh.get(task["id"], task) for task in remembered}
    return list(meant.values()), problems


def _remembered(targets: Sequence[Target], context: Context) -> tuple[list[Task], str]:
    """Return the tasks that numbers, "it" and "them" mean, as they were last seen, or why there are none."""
    tasks: list[Task] = []
    for target in targets:
        if target.kind == "place":
            place = max(context.listed, default=0) if target.place < 0 else target.place
            if place not in context.listed:
                return [], replies.NO_PLACE
            tasks.append(context.listed[place])
        elif target.kind in {"it", "them"}:
            if not context.recent or (target.kind == "it" and len(context.recent) > 1):
                return [], replies.WHICH
            tasks += context.recent
    return list({task["id"]: task for task in tasks}.values()), ""


def _matching(title: str, tasks: Sequence[Task], verb: str) -> list[Task]:
    """Return the tasks of this very title, else those with its words; of these those that the change is likely for."""
    exact = [task for task in tasks if str(task["title"]).casefold() == title.casefold()]
    likely = [task for task in exact or tasks if task["completed"] is (verb == "reopen")]
    return likely or exact or list(tasks)
