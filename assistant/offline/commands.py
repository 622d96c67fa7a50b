"""Carries commands out: a generator of tool calls, which is sent their outcomes and returns the reply's parts."""

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from assistant.offline import replies
from assistant.offline.dates import Calendar, Due, is_end_of_day
from assistant.offline.parser import Command, Target
from assistant.offline.replies import Task, moment_of, names, quoted

_MAX_COMMANDS: Final = 6
# What list_tasks and search return at most, and so what one message changes.
_PAGE: Final = 50
# In what the toolbox and the SDK say of a call that the person did not approve.
_REFUSED: Final = "not approve"
_TOOLS: Final = {"complete": "complete_task", "reopen": "reopen_task", "delete": "delete_task"}
_SMALL_WORDS: Final = frozenset({"a", "an", "and", "at", "for", "in", "my", "of", "on", "the", "this", "to", "with"})


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `deletes` is the task that is named before the person is asked."""

    name: str
    arguments: dict[str, Any]
    deletes: Task | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool returned: the tasks that it listed or changed, of how many, or why it did nothing."""

    tasks: Sequence[Task] = ()
    total: int = 0
    deleted_ids: Sequence[str] = ()
    error: str = ""


@dataclass(slots=True)
class Context:
    """The calendar, the last list by number, and the tasks that were changed or shown last."""

    calendar: Calendar
    listed: dict[int, Task] = field(default_factory=dict)
    recent: Sequence[Task] = ()

    def listing(self, heading: str, tasks: Sequence[Task], total: int) -> str:
        """Return a numbered list for the reply, which is the last list from now on."""
        self.listed = dict(enumerate(tasks[: replies.MAX_LISTED], 1))
        return replies.listing(heading, tasks, total, self.calendar.now)


Steps = Generator[list[Call], list[Outcome], list[str]]


def carry_out(commands: Sequence[Command], context: Context) -> Steps:
    """Carry commands out one after another, or none where they are too many."""
    if not commands:
        return [replies.HELP]
    if len(commands) > _MAX_COMMANDS:
        return [f"Those are {len(commands)} requests, and I carry out at most {_MAX_COMMANDS} at once. I did nothing."]
    if (count := sum(len(command.tasks) + len(command.targets) for command in commands)) > _PAGE:
        return [f"Those are {count} tasks, and I take at most {_PAGE} at once. I did nothing."]
    parts: list[str] = []
    for command in commands:
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
    problems = [replies.failed("add", outcome.error, task["title"]) for task, outcome in pairs if outcome.error]
    if len(added) > 1:
        return [context.listing(f"Added {len(added)} tasks:", added, len(added)), *problems]
    return [*(f"Added {replies.described(task, context.calendar.now)}." for task in added), *problems]


def _show(command: Command, context: Context) -> Steps:
    (outcome,) = yield [_search(command.value) if command.verb == "find" else _list(command.filter, replies.MAX_LISTED)]
    if outcome.error:
        return [replies.failed("read", outcome.error)]
    context.recent = outcome.tasks[: replies.MAX_LISTED] or context.recent
    text = f"You have {replies.counted(command, outcome.total)}"
    return [context.listing(f"{text}:", outcome.tasks, outcome.total) if outcome.tasks else f"{text}."]


def _list(arguments: dict[str, Any], limit: int) -> Call:
    return Call("list_tasks", {**arguments, "limit": limit})


def _search(title: str) -> Call:
    words = re.findall(r"\w+", title.casefold())
    query = " ".join([each for each in words if each not in _SMALL_WORDS] or words)
    return Call("search", {"query": query, "limit": _PAGE})


def _change_every(command: Command, context: Context) -> Steps:
    """Change the tasks of a filter, as many as a list has; say how many there were where these are not all."""
    state = {} if command.verb == "delete" else {"completed": command.verb == "reopen"}
    (outcome,) = yield [_list(state | command.filter, _PAGE)]
    if outcome.error:
        return [replies.failed("read", outcome.error)]
    if not outcome.tasks:
        return ["There are no such tasks."]
    parts = yield from _change(command, outcome.tasks, context)
    if outcome.total > len(outcome.tasks):
        parts.append(f"Those were the first {len(outcome.tasks)} of {outcome.total} such tasks: I left the others.")
    return parts


def _change(command: Command, tasks: Sequence[Task], context: Context) -> Steps:
    outcomes = yield [_change_call(command, task, context.calendar) for task in tasks]
    # A subtask is deleted with its task, and its own call then finds nothing.
    gone = {task_id for outcome in outcomes for task_id in outcome.deleted_ids}
    before, after, refused, parts = list[Task](), list[Task](), list[Task](), list[str]()
    for task, outcome in zip(tasks, outcomes, strict=True):
        if not outcome.error or task["id"] in gone:
            before.append(task)
            after += outcome.tasks
        elif _REFUSED in outcome.error:
            refused.append(task)
        else:
            parts.append(replies.failed(command.verb, outcome.error, task["title"]))
    if before:
        context.recent = after
        parts.insert(0, replies.changed(command, before, after, context.calendar.now))
    if refused:
        parts.append(f"I left {names(refused)} as {'it is' if len(refused) == 1 else 'they are'}.")
    return parts


def _change_call(command: Command, task: Task, calendar: Calendar) -> Call:
    verb = command.verb
    if verb in _TOOLS:
        return Call(_TOOLS[verb], {"task_id": task["id"]}, deletes=task if verb == "delete" else None)
    is_move = verb == "move"
    changes = {"due_at": _moved(command.value, moment_of(task), calendar)} if is_move else {"title": command.value}
    return Call("update_task", {"task_id": task["id"], **changes})


def _moved(due: Due, before: datetime | None, calendar: Calendar) -> str:
    """Return the new due date; a task that is moved to another day keeps its time."""
    local = before and before.astimezone(calendar.now.tzinfo)
    if local is None or due.has_time or is_end_of_day(local):
        return due.moment.isoformat()
    return calendar.at(due.moment.date(), local.time()).isoformat()


def _resolve(command: Command, context: Context) -> Generator[list[Call], list[Outcome], tuple[list[Task], list[str]]]:
    """Return the tasks that a command is about, or what to say where one of them is not clear: then none is changed."""
    outcomes = yield [_search(target.title) for target in command.targets if target.title]
    rest = iter(outcomes)
    pairs = [
        _found(target, next(rest), command.verb, context) if target.title else _remembered(target, context)
        for target in command.targets
    ]
    tasks = {task["id"]: task for found, _ in pairs for task in found}
    problems = [problem for _, problem in pairs if problem]
    return list(tasks.values()), problems + ["I changed nothing."] * (bool(problems) and len(pairs) > 1)


def _found(target: Target, outcome: Outcome, verb: str, context: Context) -> tuple[Sequence[Task], str]:
    """Return the one task that a title means, or what to say where there is none, or more than one.

    Preferred are tasks of this very title, then those for which the change is likely.
    """
    if outcome.error:
        return [], replies.failed("read", outcome.error)
    exact = [task for task in outcome.tasks if str(task["title"]).casefold() == target.title.casefold()]
    tasks = exact or outcome.tasks
    tasks = [task for task in tasks if task["completed"] is (verb == "reopen")] or tasks
    if len(tasks) > 1:
        heading = (
            f"{len(tasks)} tasks fit {quoted(target.title)}. Which one? Say \u201cthe first one\u201d, for example."
        )
        return [], context.listing(heading, tasks, len(tasks))
    return tasks, "" if tasks else f"I found no task like {quoted(target.title)}."


def _remembered(target: Target, context: Context) -> tuple[Sequence[Task], str]:
    """Return the tasks that a number, "it" or "them" means, as they were last seen, or why there are none."""
    if target.kind == "place":
        task = context.listed.get(max(context.listed, default=0) if target.place < 0 else target.place)
        return ([task], "") if task else ([], replies.NO_PLACE)
    is_clear = len(context.recent) == 1 or (context.recent and target.kind == "them")
    return (context.recent, "") if is_clear else ([], replies.WHICH)
