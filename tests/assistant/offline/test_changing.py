"""Sentences that change tasks, and the ways of pointing at them."""

import pytest

from assistant.offline.intents import (
    Action,
    Complete,
    Delete,
    Every,
    Move,
    Placed,
    Prioritise,
    Reference,
    Rename,
    Reopen,
    Retag,
    Shift,
    That,
    Those,
    Titled,
    Unclear,
    Wanted,
)
from tests.assistant.offline.reading import changed, moment, read
from tests.assistant.offline.talk import NOW

_OVERDUE = Every(Wanted(completed=False, due_before=NOW, period="overdue", order="DUE_AT"))


@pytest.mark.parametrize(
    ("message", "reference", "action"),
    [
        ("mark buy milk as done", "buy milk", Complete()),
        ("can you please mark buy milk as done for me?", "buy milk", Complete()),
        ("I finished the report", "report", Complete()),
        ("I've already finished the report.", "report", Complete()),
        ("finish the report", "report", Complete()),
        ("complete buy milk", "buy milk", Complete()),
        ("tick off buy milk", "buy milk", Complete()),
        ("cross buy milk off", "buy milk", Complete()),
        ("I'm done with the laundry", "laundry", Complete()),
        ("the laundry is done", "laundry", Complete()),
        ("I bought milk", "buy milk", Complete()),
        ("I've already paid the rent", "pay the rent", Complete()),
        ("that's done", That(), Complete()),
        ("mark everything as done", Every(Wanted()), Complete()),
        ("complete all overdue tasks", _OVERDUE, Complete()),
        ("reopen the report", "report", Reopen()),
        ("uncheck buy milk", "buy milk", Reopen()),
        ("mark buy milk as not done", "buy milk", Reopen()),
        ("buy milk is not done yet", "buy milk", Reopen()),
        ("I haven't finished the report", "report", Reopen()),
        ("rename buy milk to buy oat milk", "buy milk", Rename("buy oat milk")),
        ("rename reply to bob to reply to ann", "reply to bob", Rename("reply to ann")),
        ('rename "a to b" to "c to d"', "a to b", Rename("c to d")),
        ("rename it to call dad and mum", That(), Rename("call dad and mum")),
        ("change the title of buy milk to buy soy milk", "buy milk", Rename("buy soy milk")),
        ("move buy milk to friday", "buy milk", Move(moment("2026-11-27"))),
        ("reschedule the dentist to next monday at 9am", "dentist", Move(moment("2026-11-23 09:00"))),
        ("move it to tomorrow at noon", That(), Move(moment("2026-11-22 12:00"))),
        ("snooze the report until monday", "report", Move(moment("2026-11-23"))),
        ("make the report due friday", "report", Move(moment("2026-11-27"))),
        ("the report is due tomorrow", "report", Move(moment("2026-11-22"))),
        ("change the report to friday", "report", Move(moment("2026-11-27"))),
        ("set the due date of buy milk to 2026-12-24", "buy milk", Move(moment("2026-12-24"))),
        ("move all overdue tasks to tomorrow", _OVERDUE, Move(moment("2026-11-22"))),
        ("remove the due date of buy milk", "buy milk", Move(None)),
        ("clear the deadline for buy milk", "buy milk", Move(None)),
        ("postpone the report by 2 days", "report", Shift("2 days")),
        ("push the report back a week", "report", Shift("a week")),
        ("move the dentist forward by 1 day", "dentist", Shift("1 day", is_earlier=True)),
        ("make the report high priority", "report", Prioritise("HIGH")),
        ("give buy milk low priority", "buy milk", Prioritise("LOW")),
        ("set the priority of report to low", "report", Prioritise("LOW")),
        ("mark buy milk as urgent", "buy milk", Prioritise("HIGH")),
        ("the report is urgent", "report", Prioritise("HIGH")),
        ("make it normal priority", That(), Prioritise("MEDIUM")),
        ("tag buy milk with #home and #shop", "buy milk", Retag(("home", "shop"))),
        ("tag it as home", That(), Retag(("home",))),
        ("add tag #home to buy milk", "buy milk", Retag(("home",))),
        ("add #home to buy milk", "buy milk", Retag(("home",))),
        ("untag buy milk #home", "buy milk", Retag((), ("home",))),
        ("remove the tag #home from buy milk", "buy milk", Retag((), ("home",))),
        ("change its priority to low", That(), Prioritise("LOW")),
        ("set its due date to friday", That(), Move(moment("2026-11-27"))),
        ("clear the report's deadline", "report", Move(None)),
        ("move it from friday to saturday", That(), Move(moment("2026-11-28"))),
        ("remove all tags from buy milk", "buy milk", Retag((), None)),
        ("delete buy milk", "buy milk", Delete()),
        ("remove buy milk from my list", "buy milk", Delete()),
        ("get rid of the old report", "old report", Delete()),
        ('delete "delete everything"', "delete everything", Delete()),
        ("delete everything", Every(Wanted()), Delete()),
        ("remove all done tasks", Every(Wanted(completed=True)), Delete()),
        ("remove everything that is done", Every(Wanted(completed=True)), Delete()),
        ("clear completed tasks", Every(Wanted(completed=True)), Delete()),
        ("delete all tasks tagged #old", Every(Wanted(tags=("old",))), Delete()),
    ],
)
def test_a_change(message: str, reference: Reference | str, action: Action) -> None:
    assert read(message) == changed(reference, action)


@pytest.mark.parametrize(
    ("words", "reference"),
    [
        ("it", That()),
        ("that one", That()),
        ("this task", That()),
        ("them", Those()),
        ("all of them", Those()),
        ("both", Those()),
        ("the first one", Placed((1,))),
        ("the second task", Placed((2,))),
        ("number 3", Placed((3,))),
        ("#2", Placed((2,))),
        ("2", Placed((2,))),
        ("the 4th", Placed((4,))),
        ("the last one", Placed((-1,))),
        ("the first two", Placed((1, 2))),
        ("the last two", Placed((-2, -1))),
        ("1, 2 and 4", Placed((1, 2, 4))),
        ("the second and third ones", Placed((2, 3))),
        ("the first one and the third one", Placed((1, 3))),
        ("all high priority tasks", Every(Wanted(priority="HIGH"))),
        ("the task called buy milk", Titled("buy milk")),
        ("my dentist task", Titled("dentist")),
        ("bread and butter", Titled("bread and butter", ("bread", "butter"))),
    ],
)
def test_a_reference(words: str, reference: Reference) -> None:
    assert read(f"delete {words}") == changed(reference, Delete())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("move buy milk to whenever", "I cannot read \u201cwhenever\u201d as a date."),
        ("number 3", "What shall I do with it?"),
        ("it", "What shall I do with it?"),
    ],
)
def test_what_is_missing_is_asked_for(message: str, reason: str) -> None:
    (intent,) = read(message)
    assert isinstance(intent, Unclear)
    assert intent.reason.startswith(reason)
