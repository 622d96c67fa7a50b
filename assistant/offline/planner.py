"""The next step towards an answer: tool calls, or the text once nothing is left to call."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from assistant.offline.altering import alter
from assistant.offline.calls import Call, Fate, Outcome
from assistant.offline.intents import Add, Change, Chat, Find, Intent, NewItem, PlanDay, Review, Show, Unclear
from assistant.offline.script import WAIT, Desk, Script
from assistant.offline.showing import find, plan_day, review, show
from assistant.offline.wording import Listing, Part, chat, compose, details, names, quoted, unclear

_MOST_CALLS: Final = 200


@dataclass(frozen=True, slots=True)
class Step:
    """What the model does next: calls, which a question may go before, or else the text that ends the answer."""

    calls: tuple[Call, ...] = ()
    text: str = ""


@dataclass(slots=True)
class _Running:
    """A script, what it asked for last, and in the end what it says."""

    script: Script
    asks: tuple[Call, ...] = ()
    parts: list[Part] | None = None

    def go_on(self, outcomes: list[Outcome] | None) -> None:
        try:
            self.asks = next(self.script) if outcomes is None else self.script.send(outcomes)
        except StopIteration as end:
            self.asks, self.parts = (), end.value


@dataclass(slots=True)
class _Record:
    """The outcomes of the calls so far, in the order in which they were made."""

    outcomes: Iterator[tuple[str, Outcome]]
    tools: Collection[str]
    count: int = field(default=0)

    def take(self, call: Call) -> Outcome | None:
        """Return what came of a call; None where it has not been made."""
        if call.name not in self.tools:
            return Outcome(Fate.FAILED, message="that is not possible here")
        made = next(self.outcomes, None)
        self.count += 1
        if made is None:
            return None if self.count <= _MOST_CALLS else Outcome(Fate.FAILED, message="that was too much at once")
        name, outcome = made
        return outcome if name == call.name else Outcome(Fate.FAILED, message="something else was done instead")


def next_step(
    intents: Sequence[Intent], desk: Desk, done: Sequence[tuple[str, Outcome]], tools: Collection[str]
) -> Step:
    """Return the next step.

    All scripts are run from their beginnings with the outcomes so far, which is all the state there is. They go on
    in rounds; each round is a turn of the model.
    """
    record = _Record(iter(done), tools)
    running = [_Running(_script(intents, index, desk)) for index in range(len(intents))]
    for script in running:
        script.go_on(None)
    while any(script.parts is None for script in running):
        pending = _advance(running, record)
        if pending:
            return Step(calls=pending, text=_question(pending))
    return Step(text=compose([part for script in running for part in script.parts or ()], desk.calendar.now))


def _question(calls: Sequence[Call]) -> str:
    doomed = [call.deletes for call in calls if call.deletes is not None]
    return f"Shall I delete {names(doomed)}? That needs your approval." if doomed else ""


def _advance(running: Sequence[_Running], record: _Record) -> tuple[Call, ...]:
    """Let each script go on by one turn; return the calls that this takes and that have not been made."""
    for index, script in enumerate(running):
        while script.parts is None and not script.asks and all(other.parts is not None for other in running[:index]):
            script.go_on([])
    asking = [script for script in running if script.asks]
    answered = [(script, [(call, record.take(call)) for call in script.asks]) for script in asking]
    pending = tuple(call for _, calls in answered for call, outcome in calls if outcome is None)
    if not pending:
        for script, calls in answered:
            script.go_on([outcome for _, outcome in calls if outcome is not None])
    return pending


def _script(intents: Sequence[Intent], index: int, desk: Desk) -> Script:
    intent = intents[index]
    if isinstance(intent, Change):
        # What is looked up may be what is about to be added.
        return alter(desk, intent, index, waits=any(isinstance(other, Add) for other in intents[:index]))
    if isinstance(intent, Add):
        return _add(desk, intent, index)
    if isinstance(intent, Show):
        return show(intent)
    if isinstance(intent, Find):
        return find(intent)
    if isinstance(intent, PlanDay):
        return plan_day(desk)
    return review(desk) if isinstance(intent, Review) else _say(_answer(intent, is_alone=len(intents) == 1))


def _answer(intent: Unclear | Chat, *, is_alone: bool) -> str:
    if isinstance(intent, Chat):
        return chat(intent.topic)
    return intent.reason or unclear(intent.text, is_alone=is_alone)


def _say(text: str) -> Script:
    yield WAIT
    return [text]


def _add(desk: Desk, intent: Add, place: int) -> Script:
    outcomes = yield tuple(Call("add_task", _arguments(item)) for item in intent.items)
    added = [
        outcome.task or {"id": "", "title": item.title}
        for item, outcome in zip(intent.items, outcomes, strict=True)
        if outcome.is_done
    ]
    for task in added:
        desk.touch(place, task)
    failed: list[Part] = [
        f"I could not add {quoted(item.title)}: {outcome.message.rstrip('.') or 'the tool failed'}."
        for item, outcome in zip(intent.items, outcomes, strict=True)
        if outcome.fate is Fate.FAILED
    ]
    refused: list[Part] = [
        f"I did not add {quoted(item.title)}, as you wished."
        for item, outcome in zip(intent.items, outcomes, strict=True)
        if outcome.fate is Fate.REFUSED
    ]
    parts: list[Part] = [*refused, *failed]
    if intent.left_out:
        parts.append(f"I add at most {len(intent.items)} tasks at once; {intent.left_out} are left.")
    if len(added) > 1:
        return [Listing(f"Added {len(added)} tasks:", added, len(added)), *parts]
    said = [", ".join([f"Added {quoted(task['title'])}", *details(task, desk.calendar.now)]) + "." for task in added]
    return [*said, *parts]


def _arguments(item: NewItem) -> dict[str, Any]:
    arguments: dict[str, Any] = {"title": item.title}
    if item.priority:
        arguments["priority"] = item.priority
    if item.due:
        arguments["due_at"] = item.due.moment.isoformat()
    if item.tags:
        arguments["tags"] = list(item.tags)
    return arguments
