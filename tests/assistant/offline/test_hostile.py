"""Messages that mean harm: whatever they are, they are read, and answered."""

import json
import string
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from assistant.offline.calls import Outcome, read_outcome
from assistant.offline.clauses import MOST_CLAUSES
from assistant.offline.dates import Calendar
from assistant.offline.past import read_past
from assistant.offline.planner import next_step
from assistant.offline.script import Desk
from assistant.offline.sentences import read_message
from core.text import is_storable
from tests.assistant.offline.reading import CALENDAR, read
from tests.assistant.offline.talk import Talk
from tests.assistant.offline.tools_in_memory import TaskShelf

_TOOLS = ("list_tasks", "search", "add_task", "update_task", "complete_task", "reopen_task", "delete_task")
_WORDS = [
    *("add", "delete", "complete", "move", "rename", "tag", "list", "what", "is", "due", "it", "the", "first", "one"),
    *("to", "and", ",", ".", ";", "for", "tomorrow", "friday", "at 5pm", "by", "2 days", "high priority", "urgent"),
    *(
        "#home",
        "done",
        "all",
        "tasks",
        "everything",
        "not",
        "open",
        '"quoted"',
        "\n- ",
        "31",
        "2026-02-30",
        "in",
        "every",
    ),
]
_KEYS = ("task", "tasks", "total", "id", "title", "due_at", "tags", "error", "message", "deleted_ids")


@pytest.mark.parametrize(
    "message",
    [
        "and " * 25_000,
        "add " + "a, " * 30_000,
        "x" * 100_000,
        "mark " + "as " * 30_000,
        "rename " + " to " * 20_000,
        "add " + "dec 3 of " * 10_000,
        " ".join(f"add dec {day} x" for day in range(1, 5_000)),
        "#" * 100_000,
        '"' * 100_000,
        "!?. " * 25_000,
        "is " * 30_000 + "done?",
        "\ud800" * 100_000,
    ],
    ids=lambda message: repr(message[:12]),
)
async def test_a_long_message_is_answered(message: str) -> None:
    talk = Talk(TaskShelf("Buy milk"))
    assert await talk.say(message)
    assert len(read(message)) <= MOST_CLAUSES
    assert "Buy milk" in talk.shelf.titles()


@pytest.mark.parametrize(
    "message", ["add \ud800 milk", "add a\0b", "add \ue000 x", "add \u202e\u200bx", "delete \udfff"]
)
async def test_what_cannot_be_stored_is_left_out(message: str) -> None:
    talk = Talk(TaskShelf())
    answer = await talk.say(message)
    assert is_storable(answer)
    assert all(is_storable(title) for title in talk.shelf.titles())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_WORDS), max_size=40).map(" ".join))
@example("move it to")
@example("add in 999 years x")
@example("postpone it by 999 years")
@example("the 0th")
@example("delete the last 9 ones and 00")
def test_any_words_come_to_an_end(message: str) -> None:
    _answer(message, {"error": "No."})
    _answer(message, {"task": {"id": "t1", "title": "x"}, "tasks": [{"id": "t1", "title": "x"}], "deleted_ids": ["t1"]})


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters() | st.sampled_from(string.printable), max_size=300))
def test_any_text_comes_to_an_end(message: str) -> None:
    _answer(message, {})


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
        max_leaves=8,
    )
)
def test_any_output_of_a_tool_is_endured(output: Any) -> None:
    for message in ("complete x and y", "list my tasks", "plan my day", "delete all", "add x", "postpone x by a day"):
        _answer(message, output if isinstance(output, dict) else {"tasks": output})


def _answer(message: str, output: dict[str, Any]) -> str:
    """Answer every call with the same output until the text comes."""
    outcome = read_outcome(json.dumps(output))
    done: list[tuple[str, Outcome]] = []
    for _ in range(30):
        past = read_past(message)
        step = next_step(read_message(message, CALENDAR), Desk(CALENDAR, past), done, _TOOLS)
        if not step.calls:
            assert step.text
            return step.text
        done += [(call.name, outcome) for call in step.calls]
    raise AssertionError("it goes on for ever")


@pytest.mark.parametrize(
    "zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/New_York", "Asia/Kathmandu"]
)
def test_a_day_is_the_users_day(zone: str) -> None:
    now = datetime(2026, 3, 7, 11, 30, tzinfo=UTC).astimezone(ZoneInfo(zone))
    due = Calendar(now).read("tomorrow")
    assert due is not None
    assert (due.moment.date() - now.date()).days == 1
    assert (due.moment.hour, due.moment.minute, due.moment.tzinfo) == (23, 59, ZoneInfo(zone))


def test_hours_are_counted_across_a_change_of_the_clock() -> None:
    now = datetime(2026, 3, 29, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    due = Calendar(now).read("in 2 hours")
    assert due is not None
    assert due.moment.isoformat() == "2026-03-29T04:30:00+02:00"
