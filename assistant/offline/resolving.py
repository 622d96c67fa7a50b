"""From what a person points at to tasks with ids: looks them up, and asks back where several may be meant."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from assistant.offline.calls import Call, Outcome, Task
from assistant.offline.intents import Action, Delete, Every, Placed, Reference, Reopen, That, Those, Titled, Wanted
from assistant.offline.matching import fitting, matching
from assistant.offline.script import WAIT, Asking, Desk, Found
from assistant.offline.wording import Listing, Part, names, quoted

MOST_AT_ONCE: Final = 20
_MOST_READ: Final = 50
_LONGEST_QUERY: Final = 200
_NOTHING_SHOWN: Final = (
    "I have not shown you a list yet. Ask me \u201cwhat's still open?\u201d first, or name the task."
)
_WHICH: Final = "Which task do you mean? Name it, for example: \u201ccomplete buy milk\u201d."


def resolve(desk: Desk, reference: Reference, action: Action, place: int) -> Asking:
    """Return the tasks that are meant by the wish in this place."""
    if isinstance(reference, Titled):
        return (yield from _by_title(reference, action))
    yield WAIT
    if isinstance(reference, Every):
        return (yield from _every(reference.wanted, action))
    remembered, problem = _remembered(desk, reference, place)
    if problem:
        return Found(problem=[problem])
    return (yield from _refreshed(desk, remembered, action))


def list_call(wanted: Wanted, limit: int) -> Call:
    """Return the call that lists what is wanted."""
    arguments: dict[str, Any] = {
        "completed": wanted.completed,
        "priority": wanted.priority,
        "tags": list(wanted.tags) or None,
        "due_after": wanted.due_after.isoformat() if wanted.due_after else None,
        "due_before": wanted.due_before.isoformat() if wanted.due_before else None,
        "order": wanted.order,
        "limit": limit,
    }
    return Call("list_tasks", {name: value for name, value in arguments.items() if value is not None})


def search_call(text: str) -> Call:
    """Return the call that searches."""
    return Call("search", {"query": text[:_LONGEST_QUERY], "limit": _MOST_READ})


def _by_title(reference: Titled, action: Action) -> Asking:
    """Look for the whole as one title first, then for its parts, and last for anything that is nearly so."""
    outcomes = yield (search_call(reference.text),)
    found = fitting(matching(reference.text, outcomes[0].tasks), action)
    if found:
        return _one_of(reference.text, found)
    texts = list(reference.parts) or [reference.text]
    calls = [search_call(text) for text in reference.parts]
    outcomes = yield (*calls, Call("list_tasks", {"limit": _MOST_READ, **_likely(action)}))
    everything = outcomes[-1].tasks
    tasks: list[Task] = []
    problems: list[Any] = []
    for index, text in enumerate(texts):
        near = outcomes[index].tasks if index < len(calls) else []
        found = fitting(matching(text, near) or matching(text, everything), action)
        one = _one_of(text, found) if found else Found(problem=[_none(text)])
        problems += one.problem
        tasks += [task for task in one.tasks if task["id"] not in {other["id"] for other in tasks}]
    if reference.parts and not tasks:
        problems = [_none(reference.text)]
    return Found(tasks, problems)


def _likely(action: Action) -> dict[str, bool]:
    return {} if isinstance(action, Delete) else {"completed": isinstance(action, Reopen)}


def _one_of(text: str, found: Sequence[Task]) -> Found:
    if len(found) == 1:
        return Found(list(found))
    heading = (
        f"{len(found)} tasks fit {quoted(text)}. Which one? Say what to do with \u201cthe first one\u201d, for example."
    )
    return Found(problem=[Listing(heading, found, len(found))])


def _none(text: str) -> str:
    return f"I found no task like {quoted(text)}."


def _every(wanted: Wanted, action: Action) -> Asking:
    if isinstance(action, Reopen) and wanted.completed is None:
        wanted = replace(wanted, completed=True)
    elif not isinstance(action, Delete) and wanted.completed is None:
        wanted = replace(wanted, completed=False)
    outcomes = yield (list_call(wanted, MOST_AT_ONCE),)
    outcome = outcomes[0]
    if not outcome.is_done:
        return Found(problem=[f"I could not read your tasks: {outcome.message}"])
    tasks = outcome.tasks
    return Found(tasks, [] if tasks else ["There are no such tasks."], outcome.total)


def _remembered(desk: Desk, reference: Reference, place: int) -> tuple[list[Task], str]:
    """Return the tasks that are meant, as they were when they were last seen."""
    if isinstance(reference, That | Those):
        touched = desk.touched_before(place)
        tasks = touched or list(desk.past.touched)
        if isinstance(reference, Those):
            tasks = tasks or list(desk.past.shown.values())
            return tasks[:MOST_AT_ONCE], "" if tasks else _WHICH
        is_clear = bool(touched or desk.past.is_touched or len(tasks) == 1)
        return (tasks[-1:], "") if is_clear and tasks else ([], _WHICH)
    if not isinstance(reference, Placed) or not desk.past.shown:
        return [], _NOTHING_SHOWN
    last = max(desk.past.shown)
    places = [place if place > 0 else last + 1 + place for place in reference.places]
    missing = [place for place in places if place not in desk.past.shown]
    if missing:
        count = f"{last} tasks" if last > 1 else "one task"
        return [], f"The last list had {count}; there is no number {missing[0]}."
    return [desk.past.shown[place] for place in dict.fromkeys(places)], ""


def _refreshed(desk: Desk, remembered: Sequence[Task], action: Action) -> Asking:
    """Look the tasks up again, for they may have changed since, or may be gone."""
    latest = [desk.latest(task) for task in remembered]
    old = [index for index, task in enumerate(latest) if task is remembered[index]]
    if not old:
        return Found(latest)
    outcomes = yield tuple(search_call(str(latest[index]["title"])) for index in old)
    found = {index: _same(latest[index], outcome, action) for index, outcome in zip(old, outcomes, strict=True)}
    problems: list[Part] = []
    if not all(found.values()):
        # A task that has another title by now is still in the list of all.
        outcomes = yield (Call("list_tasks", {"limit": _MOST_READ}),)
        found = {index: task or _same(latest[index], outcomes[0], action) for index, task in found.items()}
        has_seen_all = outcomes[0].is_done and outcomes[0].total <= len(outcomes[0].tasks)
        lost = [
            latest[index] for index, task in found.items() if not task and (has_seen_all or not latest[index]["id"])
        ]
        problems = [f"{names(lost)} {'is' if len(lost) == 1 else 'are'} not there any more."] if lost else []
        latest = [task for task in latest if task not in lost]
    fresh = {task["id"]: task for task in found.values() if task}
    by_title = {str(task["title"]): task for task in fresh.values()}
    return Found([fresh.get(task["id"]) or by_title.get(str(task["title"]), task) for task in latest], problems)


def _same(task: Task, outcome: Outcome, action: Action) -> Task | None:
    """Return the task as it is listed now; one without an id is known by its title."""
    if task["id"]:
        return next((found for found in outcome.tasks if found["id"] == task["id"]), None)
    return next(iter(fitting(matching(str(task["title"]), outcome.tasks), action)), None)
