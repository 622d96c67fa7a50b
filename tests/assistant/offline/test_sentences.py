"""Each sentence of docs/assistant.md on the offline model: the tool calls that it leads to, and the reply."""

import re
from pathlib import Path
from typing import Any, Final

import pytest

from tests.assistant.offline.talk import Talk, TaskShelf

DOCUMENT: Final = Path(__file__).parents[3] / "docs" / "assistant.md"
# Sentence, calls (without those that look tasks up), and how the reply begins.
TABLE: Final = """
add buy bread | add buy bread | Added "buy bread".
add buy bread tomorrow and call the dentist | add buy bread due_at=2026-11-22T23:59; add call the dentist | Added 2 task
add milk, eggs and bread | add milk; add eggs; add bread | Added 3 tasks:
add milk⏎eggs⏎- bread | add milk; add eggs; add bread | Added 3 tasks:
add "bread and butter" today | add bread and butter due_at=2026-11-21T23:59 | Added "bread and butter", due today.
add buy bread, urgent and #shop | add buy bread priority=HIGH tags=shop | Added "buy bread", high priority, #shop.
add pay taxes !high #admin | add pay taxes priority=HIGH tags=admin | Added "pay taxes", high priority, #admin.
add pay taxes low priority | add pay taxes priority=LOW | Added "pay taxes", low priority.
add pay taxes today | add pay taxes due_at=2026-11-21T23:59 | Added "pay taxes", due today.
add pay taxes tonight | add pay taxes due_at=2026-11-21T23:59 | Added "pay taxes", due today.
add pay taxes by friday | add pay taxes due_at=2026-11-27T23:59 | Added "pay taxes", due Fri 27 Nov.
add pay taxes next friday | add pay taxes due_at=2026-11-27T23:59 | Added "pay taxes", due Fri 27 Nov.
add pay taxes next week | add pay taxes due_at=2026-11-28T23:59 | Added "pay taxes", due Sat 28 Nov.
add pay taxes in 3 days | add pay taxes due_at=2026-11-24T23:59 | Added "pay taxes", due Tue 24 Nov.
add pay taxes on 5 December | add pay taxes due_at=2026-12-05T23:59 | Added "pay taxes", due Sat 5 Dec.
add pay taxes on December 5, 2027 | add pay taxes due_at=2027-12-05T23:59 | Added "pay taxes", due Sun 5 Dec 2027.
add pay taxes due 2026-12-05 | add pay taxes due_at=2026-12-05T23:59 | Added "pay taxes", due Sat 5 Dec.
add lunch at noon | add lunch due_at=2026-11-22T12:00 | Added "lunch", due tomorrow at 12:00.
add gym tomorrow at 9 | add gym due_at=2026-11-22T09:00 | Added "gym", due tomorrow at 09:00.
add gym on friday at 5 | add gym due_at=2026-11-27T17:00 | Added "gym", due Fri 27 Nov at 17:00.
add gym at 9am | add gym due_at=2026-11-22T09:00 | Added "gym", due tomorrow at 09:00.
add gym at 17:30 tomorrow | add gym due_at=2026-11-22T17:30 | Added "gym", due tomorrow at 17:30.
remind me tomorrow to call the bank | add call the bank due_at=2026-11-22T23:59 | Added "call the bank", due tomorrow.
I have to call the bank next tuesday at 10 | add call the bank due_at=2026-11-24T10:00 | Added "call the bank", due Tue
new task: call the bank | add call the bank | Added "call the bank".
what is open? | list completed=False | You have 5 open tasks:
list my tasks | list completed=False | You have 5 open tasks:
list everything | list | You have 6 tasks:
show done tasks | list completed=True | You have 1 done task:
list overdue tasks | list completed=False due_before=2026-11-21T13:00 | You have 1 overdue task:
what is due today? | list completed=False due_before=2026-11-22 due_after=2026-11-21 | You have no open tasks due today.
what is due tomorrow? | list completed=False due_before=2026-11-23 due_after=2026-11-22 | You have 1 open task due tomor
what is due this week? | list completed=False due_before=2026-11-23 due_after=2026-11-16 | You have 2 open tasks due thi
what is due next week? | list completed=False due_before=2026-11-30 due_after=2026-11-23 | You have 1 open task due next
list tasks due on monday | list completed=False due_before=2026-11-24 due_after=2026-11-23 | You have 1 open task due on
list tasks due by friday | list completed=False due_before=2026-11-28 | You have 3 open tasks due by friday:
list tasks tagged #home | list completed=False tags=home | You have 1 open task tagged #home:
list high priority tasks | list completed=False priority=HIGH | You have 1 open high-priority task:
find milk | - | You have 1 task about "milk":
complete buy milk | complete Buy milk | Completed "Buy milk".
I finished the report | complete Report | Completed "Report".
complete milk and pay rent | complete Buy milk; complete Pay rent | Completed "Buy milk" and "Pay rent".
complete 1, 2 and the last one | complete Buy milk; complete Call Ann; complete Dentist | Completed "Buy milk", "Call An
complete all overdue tasks | complete Pay rent | Completed "Pay rent".
complete them | complete Buy milk; complete Call Ann; complete Pay rent; complete Report; complete Dentist | Completed "
reopen old | reopen Old | Reopened "Old".
rename buy milk to buy oat milk | update Buy milk title=buy oat milk | Renamed "Buy milk" to "buy oat milk".
move buy milk to friday | update Buy milk due_at=2026-11-27T23:59 | Moved "Buy milk" to Fri 27 Nov.
move the dentist to next friday | update Dentist due_at=2026-11-27T15:30 | Moved "Dentist" to Fri 27 Nov at 15:30.
reschedule it to tomorrow at 9 | update Buy milk due_at=2026-11-22T09:00 | Moved "Buy milk" to tomorrow at 09:00.
delete buy milk | delete Buy milk | Deleted "Buy milk".
delete number 2 | delete Call Ann | Deleted "Call Ann".
delete the second one | delete Call Ann | Deleted "Call Ann".
delete it | delete Buy milk | Deleted "Buy milk".
delete all done tasks | delete Old | Deleted "Old".
delete everything | delete Buy milk; delete Call Ann; delete Pay rent; delete Report; delete Dentist; delete Old | Delet
undo | - | Undo takes back all that one of my replies changed
help | - | I understand sentences such as these:
please complete buy milk, then list my tasks | complete Buy milk; list completed=False | Completed "Buy milk".
add buy bread and tell me what's still open | add buy bread; list completed=False | Added "buy bread".
"""
SENTENCES: Final = {
    sentence: expected for sentence, *expected in (line.split(" | ") for line in TABLE.split("\n") if line)
}


def shelf() -> TaskShelf:
    tasks = TaskShelf()
    tasks.put("Buy milk", tags=["shop"])
    tasks.put("Call Ann", priority="HIGH")
    tasks.put("Pay rent", due_at="2026-11-20T22:59:00+00:00", tags=["home"])
    tasks.put("Report", due_at="2026-11-22T22:59:00+00:00")
    tasks.put("Dentist", due_at="2026-11-23T14:30:00+00:00")
    tasks.put("Old", completed=True)
    return tasks


def shown(titles: dict[str, str], name: str, arguments: dict[str, Any]) -> str:
    rest = {key: value for key, value in arguments.items() if key not in {"limit", "order"}}
    title = titles[rest.pop("task_id")] if "task_id" in rest else rest.pop("title", "")
    values = {key: ",".join(value) if isinstance(value, list) else str(value) for key, value in rest.items()}
    given = [f"{key}={value.removesuffix(':00+01:00').removesuffix('T00:00')}" for key, value in values.items()]
    return " ".join(filter(None, [name.partition("_")[0], title, *given]))


def test_the_document_lists_these_sentences() -> None:
    assert re.findall(r"^- `([^`]+)`", DOCUMENT.read_text(), re.MULTILINE) == list(SENTENCES)


@pytest.mark.parametrize("sentence", SENTENCES)
async def test_sentence_of_the_document_calls_its_tools(sentence: str) -> None:
    tasks = shelf()
    titles = {task["id"]: task["title"] for task in tasks.tasks}
    talk = Talk(shelf=tasks)
    await talk.say("find milk" if re.search(r"\bit\b", sentence) else "what is open?")
    tasks.calls.clear()
    reply = await talk.say(sentence.replace("\u23ce", "\n"), lambda _: True)
    calls = [shown(titles, name, given) for name, given in tasks.calls if given.get("limit") != 50]
    expected, beginning = SENTENCES[sentence]
    assert "; ".join(calls) == expected.strip("-")
    assert reply.replace("\u201c", '"').replace("\u201d", '"').startswith(beginning)
