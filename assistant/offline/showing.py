"""Scripts that show tasks: lists, searches, the plan of a day and the review of a week."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from assistant.offline.calls import Call, Outcome, Task
from assistant.offline.intents import Find, Show, Wanted
from assistant.offline.matching import matching
from assistant.offline.resolving import list_call, search_call
from assistant.offline.script import WAIT, Desk, Script
from assistant.offline.wording import MOST_LINES, Listing, Part, kind, quoted

_MOST_READ: Final = 50
_WEEK_DAYS: Final = 7


def show(intent: Show) -> Script:
    """List what is wanted."""
    yield WAIT
    wanted = intent.wanted
    outcomes = yield (list_call(wanted, MOST_LINES if wanted.has_due is None else _MOST_READ),)
    outcome = outcomes[0]
    if not outcome.is_done:
        return [_failed(outcome)]
    tasks, total = outcome.tasks, outcome.total
    if wanted.has_due is False:
        # No tool filters by it.
        tasks = [task for task in tasks if not task.get("due_at")]
        total = len(tasks)
    counted = kind(wanted, total)
    return [Listing(f"You have {counted}:", tasks, total)] if tasks else [f"You have {counted}."]


def find(intent: Find) -> Script:
    """Search by words; by a tag or what is nearly so where there are none."""
    yield WAIT
    outcomes = yield (search_call(intent.text),)
    tasks, total = outcomes[0].tasks, outcomes[0].total
    if not tasks:
        calls = [Call("list_tasks", {"limit": _MOST_READ})]
        if len(intent.text.split()) == 1:
            calls.insert(0, Call("list_tasks", {"tags": [intent.text.lstrip("#")], "limit": _MOST_READ}))
        outcomes = yield tuple(calls)
        if not outcomes[-1].is_done:
            return [_failed(outcomes[-1])]
        tasks = (outcomes[0].tasks if len(calls) > 1 else []) or matching(intent.text, outcomes[-1].tasks)
        total = len(tasks)
    if not tasks:
        return [f"I found no task about {quoted(intent.text)}."]
    noun = "1 task" if total == 1 else f"{total} tasks"
    return [Listing(f"I found {noun} about {quoted(intent.text)}:", tasks, total)]


def plan_day(desk: Desk) -> Script:
    """Show what is overdue and due today, then what else matters most."""
    yield WAIT
    tomorrow = desk.calendar.start_of(desk.calendar.today + timedelta(days=1))
    due = Wanted(completed=False, due_before=tomorrow, order="DUE_AT")
    high = Wanted(completed=False, priority="HIGH", order="DUE_AT")
    outcomes = yield (list_call(due, MOST_LINES), list_call(high, MOST_LINES))
    if failure := _first_failure(outcomes):
        return [failure]
    today = {task["id"] for task in outcomes[0].tasks}
    parts: list[Part] = [_section("Overdue and due today:", outcomes[0].tasks, outcomes[0].total)]
    rest = [task for task in outcomes[1].tasks if task["id"] not in today]
    if rest:
        parts.append(_section("High priority besides:", rest, len(rest)))
    if not today and not rest:
        return ["Nothing is due today, and nothing open has high priority. Enjoy your day!"]
    return [part for part in parts if isinstance(part, str) or part.tasks]


def review(desk: Desk) -> Script:
    """Show what is overdue, what comes within a week, and how much is done and open."""
    yield WAIT
    now = desk.calendar.now
    soon = Wanted(completed=False, due_after=now, order="DUE_AT")
    soon = replace(soon, due_before=desk.calendar.start_of(desk.calendar.today + timedelta(days=_WEEK_DAYS + 1)))
    late = Wanted(completed=False, due_before=now, order="DUE_AT")
    outcomes = yield (
        list_call(late, MOST_LINES),
        list_call(soon, MOST_LINES),
        list_call(Wanted(completed=False), 1),
        list_call(Wanted(completed=True), 1),
    )
    if failure := _first_failure(outcomes):
        return [failure]
    counts = f"{outcomes[3].total} done and {outcomes[2].total} open in all."
    sections = [
        _section("Overdue:", outcomes[0].tasks, outcomes[0].total),
        _section("Due within 7 days:", outcomes[1].tasks, outcomes[1].total),
    ]
    shown: list[Part] = [section for section in sections if section.tasks]
    return [*(shown or ["Nothing is overdue, and nothing is due within 7 days."]), counts]


def _section(heading: str, tasks: Sequence[Task], total: int) -> Listing:
    return Listing(heading, tasks, total)


def _first_failure(outcomes: Sequence[Outcome]) -> str:
    return next((_failed(outcome) for outcome in outcomes if not outcome.is_done), "")


def _failed(outcome: Any) -> str:
    return f"I could not read your tasks: {outcome.message.rstrip('.') or 'the tool failed'}."
