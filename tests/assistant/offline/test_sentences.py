"""Each sentence of docs/assistant.md on the offline model: the tool calls that it leads to, and the reply."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from tests.assistant.offline.talk import Talk
from tests.assistant.offline.tools_in_memory import TaskShelf

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "assistant.md"
# What is called, without looking tasks up, and at last how the reply begins.
SENTENCES: Final[dict[str, list[str]]] = {
    "add buy bread": ["add_task buy bread", "Added \u201cbuy bread\u201d."],
    "add buy bread tomorrow and call the dentist": [
        "add_task buy bread due_at=2026-11-22T23:59",
        "add_task call the dentist",
        "Added 2 tasks:",
    ],
    "add milk, eggs and bread": ["add_task milk", "add_task eggs", "add_task bread", "Added 3 tasks:"],
    "add milk\u23ceeggs\u23ce- bread": ["add_task milk", "add_task eggs", "add_task bread", "Added 3 tasks:"],
    'add "bread and butter" today': [
        "add_task bread and butter due_at=2026-11-21T23:59",
        "Added \u201cbread and butter\u201d, due today.",
    ],
    "add buy bread, urgent and #shop": [
        "add_task buy bread priority=HIGH tags=shop",
        "Added \u201cbuy bread\u201d, high priority, #shop.",
    ],
    "add pay taxes !high #admin": [
        "add_task pay taxes priority=HIGH tags=admin",
        "Added \u201cpay taxes\u201d, high priority, #admin.",
    ],
    "add pay taxes low priority": ["add_task pay taxes priority=LOW", "Added \u201cpay taxes\u201d, low priority."],
    "add pay taxes today": ["add_task pay taxes due_at=2026-11-21T23:59", "Added \u201cpay taxes\u201d, due today."],
    "add pay taxes tonight": ["add_task pay taxes due_at=2026-11-21T23:59", "Added \u201cpay taxes\u201d, due today."],
    "add pay taxes by friday": [
        "add_task pay taxes due_at=2026-11-27T23:59",
        "Added \u201cpay taxes\u201d, due Fri 27 Nov.",
    ],
    "add pay taxes next friday": [
        "add_task pay taxes due_at=2026-11-27T23:59",
        "Added \u201cpay taxes\u201d, due Fri 27 Nov.",
    ],
    "add pay taxes next week": [
        "add_task pay taxes due_at=2026-11-28T23:59",
        "Added \u201cpay taxes\u201d, due Sat 28 Nov.",
    ],
    "add pay taxes next month": [
        "add_task pay taxes due_at=2026-12-21T23:59",
        "Added \u201cpay taxes\u201d, due Mon 21 Dec.",
    ],
    "add pay taxes in 3 days": [
        "add_task pay taxes due_at=2026-11-24T23:59",
        "Added \u201cpay taxes\u201d, due Tue 24 Nov.",
    ],
    "add pay taxes on 5 December": [
        "add_task pay taxes due_at=2026-12-05T23:59",
        "Added \u201cpay taxes\u201d, due Sat 5 Dec.",
    ],
    "add pay taxes on December 5, 2027": [
        "add_task pay taxes due_at=2027-12-05T23:59",
        "Added \u201cpay taxes\u201d, due Sun 5 Dec 2027.",
    ],
    "add pay taxes due 2026-12-05": [
        "add_task pay taxes due_at=2026-12-05T23:59",
        "Added \u201cpay taxes\u201d, due Sat 5 Dec.",
    ],
    "add lunch at noon": ["add_task lunch due_at=2026-11-22T12:00", "Added \u201clunch\u201d, due tomorrow at 12:00."],
    "add gym tomorrow at 9": ["add_task gym due_at=2026-11-22T09:00", "Added \u201cgym\u201d, due tomorrow at 09:00."],
    "add gym on friday at 5": [
        "add_task gym due_at=2026-11-27T17:00",
        "Added \u201cgym\u201d, due Fri 27 Nov at 17:00.",
    ],
    "add gym at 9am": ["add_task gym due_at=2026-11-22T09:00", "Added \u201cgym\u201d, due tomorrow at 09:00."],
    "add gym at 17:30 tomorrow": [
        "add_task gym due_at=2026-11-22T17:30",
        "Added \u201cgym\u201d, due tomorrow at 17:30.",
    ],
    "remind me tomorrow to call the bank": [
        "add_task call the bank due_at=2026-11-22T23:59",
        "Added \u201ccall the bank\u201d, due tomorrow.",
    ],
    "I have to call the bank next tuesday at 10": [
        "add_task call the bank due_at=2026-11-24T10:00",
        "Added \u201ccall the bank\u201d, due Tue 24 Nov at 10:00.",
    ],
    "new task: call the bank": ["add_task call the bank", "Added \u201ccall the bank\u201d."],
    "what is open?": ["list_tasks completed=False", "You have 5 open tasks:"],
    "list my tasks": ["list_tasks completed=False", "You have 5 open tasks:"],
    "list everything": ["list_tasks", "You have 6 tasks:"],
    "show done tasks": ["list_tasks completed=True", "You have 1 done task:"],
    "list overdue tasks": [
        "list_tasks completed=False due_before=2026-11-21T13:00 order=DUE_AT",
        "You have 1 overdue task:",
    ],
    "what is due today?": [
        "list_tasks completed=False due_before=2026-11-22 order=DUE_AT due_after=2026-11-21",
        "You have no open tasks due today.",
    ],
    "what is due tomorrow?": [
        "list_tasks completed=False due_before=2026-11-23 order=DUE_AT due_after=2026-11-22",
        "You have 1 open task due tomorrow:",
    ],
    "what is due this week?": [
        "list_tasks completed=False due_before=2026-11-23 order=DUE_AT due_after=2026-11-16",
        "You have 2 open tasks due this week:",
    ],
    "what is due next week?": [
        "list_tasks completed=False due_before=2026-11-30 order=DUE_AT due_after=2026-11-23",
        "You have 1 open task due next week:",
    ],
    "list tasks due on monday": [
        "list_tasks completed=False due_before=2026-11-24 order=DUE_AT due_after=2026-11-23",
        "You have 1 open task due on monday:",
    ],
    "list tasks due by friday": [
        "list_tasks completed=False due_before=2026-11-28 order=DUE_AT",
        "You have 3 open tasks due by friday:",
    ],
    "list tasks tagged #home": ["list_tasks completed=False tags=home", "You have 1 open task tagged #home:"],
    "list high priority tasks": ["list_tasks completed=False priority=HIGH", "You have 1 open high-priority task:"],
    "find milk": ["You have 1 task about \u201cmilk\u201d:"],
    "list tasks about milk": ["You have 1 task about \u201cmilk\u201d:"],
    "overdue tasks": [
        "list_tasks completed=False due_before=2026-11-21T13:00 order=DUE_AT",
        "You have 1 overdue task:",
    ],
    "complete buy milk": ["complete_task Buy milk", "Completed \u201cBuy milk\u201d."],
    "I finished the report": ["complete_task Finish the report", "Completed \u201cFinish the report\u201d."],
    "mark buy milk as done": ["complete_task Buy milk", "Completed \u201cBuy milk\u201d."],
    "complete milk and pay rent": [
        "complete_task Buy milk",
        "complete_task Pay rent",
        "Completed \u201cBuy milk\u201d and \u201cPay rent\u201d.",
    ],
    "complete 1, 2 and the last one": [
        "complete_task Buy milk",
        "complete_task Call Ann",
        "complete_task Dentist",
        "Completed \u201cBuy milk\u201d, \u201cCall Ann\u201d and \u201cDentist\u201d.",
    ],
    "complete all overdue tasks": ["complete_task Pay rent", "Completed \u201cPay rent\u201d."],
    "complete them": [
        "complete_task Buy milk",
        "complete_task Call Ann",
        "complete_task Pay rent",
        "complete_task Finish the report",
        "complete_task Dentist",
        "Completed \u201cBuy milk\u201d, \u201cCall Ann\u201d, \u201cPay rent\u201d, \u201cFinish the report\u201d and \u201cDentist\u201d.",
    ],
    "reopen old": ["reopen_task Old", "Reopened \u201cOld\u201d."],
    "rename buy milk to buy oat milk": [
        "update_task Buy milk title=buy oat milk",
        "Renamed \u201cBuy milk\u201d to \u201cbuy oat milk\u201d.",
    ],
    "move buy milk to friday": [
        "update_task Buy milk due_at=2026-11-27T23:59",
        "Moved \u201cBuy milk\u201d to Fri 27 Nov.",
    ],
    "move the dentist to next friday": [
        "update_task Dentist due_at=2026-11-27T15:30",
        "Moved \u201cDentist\u201d to Fri 27 Nov at 15:30.",
    ],
    "reschedule it to tomorrow at 9": [
        "update_task Buy milk due_at=2026-11-22T09:00",
        "Moved \u201cBuy milk\u201d to tomorrow at 09:00.",
    ],
    "postpone the dentist by 2 days": [
        "update_task Dentist due_at=2026-11-25T15:30",
        "Moved \u201cDentist\u201d to Wed 25 Nov at 15:30.",
    ],
    "make it high priority": ["update_task Buy milk priority=HIGH", "\u201cBuy milk\u201d has high priority now."],
    "tag it with #home": ["update_task Buy milk tags=shop,home", "\u201cBuy milk\u201d is tagged #home now."],
    "delete buy milk": ["delete_task Buy milk", "Deleted \u201cBuy milk\u201d."],
    "delete number 2": ["delete_task Call Ann", "Deleted \u201cCall Ann\u201d."],
    "delete the second one": ["delete_task Call Ann", "Deleted \u201cCall Ann\u201d."],
    "delete it": ["delete_task Buy milk", "Deleted \u201cBuy milk\u201d."],
    "delete all done tasks": ["delete_task Old", "Deleted \u201cOld\u201d."],
    "delete everything": [
        "delete_task Buy milk",
        "delete_task Call Ann",
        "delete_task Pay rent",
        "delete_task Finish the report",
        "delete_task Dentist",
        "delete_task Old",
        "Deleted \u201cBuy milk\u201d, \u201cCall Ann\u201d, \u201cPay rent\u201d, \u201cFinish the report\u201d, \u201cDentist\u201d and 1 more.",
    ],
    "undo": ["Undo takes back all that one of my replies changed: choose it at that reply. I changed nothing now."],
    "help": ["I understand sentences such as these:"],
    "please complete buy milk, then list my tasks": [
        "complete_task Buy milk",
        "list_tasks completed=False",
        "Completed \u201cBuy milk\u201d.",
    ],
    "add buy bread and tell me what's still open": [
        "add_task buy bread",
        "list_tasks completed=False",
        "Added \u201cbuy bread\u201d.",
    ],
}


def shelf() -> TaskShelf:
    """Return five open tasks and a done one; it is a Saturday."""
    tasks = TaskShelf()
    tasks.put("Buy milk", tags=["shop"])
    tasks.put("Call Ann", priority="HIGH")
    tasks.put("Pay rent", due_at="2026-11-20T22:59:00+00:00", tags=["home"])
    tasks.put("Finish the report", due_at="2026-11-22T22:59:00+00:00")
    tasks.put("Dentist", due_at="2026-11-23T14:30:00+00:00")
    tasks.put("Old", completed=True)
    return tasks


def shown(titles: dict[str, str], name: str, arguments: dict[str, Any]) -> str:
    """Return a call as the table has it."""
    rest = dict(arguments)
    title = titles[rest.pop("task_id")] if "task_id" in rest else rest.pop("title", None)
    values = {key: ",".join(value) if isinstance(value, list) else str(value) for key, value in rest.items()}
    given = [f"{key}={value.removesuffix(':00+01:00').removesuffix('T00:00')}" for key, value in values.items()]
    return " ".join(filter(None, [name, title, *(text for text in given if not text.startswith("limit="))]))


def test_the_document_lists_these_sentences() -> None:
    assert re.findall(r"^- `([^`]+)`", DOCUMENT.read_text(), re.MULTILINE) == list(SENTENCES)


@pytest.mark.parametrize("sentence", SENTENCES)
async def test_sentence_of_the_document_calls_its_tools(sentence: str) -> None:
    tasks = shelf()
    titles = {task["id"]: task["title"] for task in tasks.tasks}
    talk = Talk(tasks)
    await talk.say("find milk" if re.search(r"\bit\b", sentence) else "what is open?")
    tasks.calls.clear()
    reply = await talk.say(sentence.replace("\u23ce", "\n"), lambda _: True)
    calls = [shown(titles, name, given) for name, given in tasks.calls if given.get("limit") != 50]
    assert [*calls, reply.split("\n")[0]] == SENTENCES[sentence]
