"""Sentences that add tasks: titles, dates, priorities and tags."""

import pytest

from assistant.offline.intents import Add, NewItem, Unclear
from tests.assistant.offline.reading import added, item, read


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("add buy milk", item("buy milk")),
        ("Add Call Mum And Dad!", item("Call Mum And Dad")),
        ("please add buy stamps, thanks", item("buy stamps")),
        ("could you add buy stamps for me?", item("buy stamps")),
        ("new task: water the plants", item("water the plants")),
        ("todo: write tests", item("write tests")),
        ("create a task called pay rent due friday", item("pay rent", "2026-11-27")),
        ("put milk on my list", item("milk")),
        ("add milk to my list", item("milk")),
        ("I want to add buy flowers", item("buy flowers")),
        ("Can you remind me about the team lunch next thursday at noon?", item("the team lunch", "2026-11-26 12:00")),
        ("remind me to call the bank on friday at 3pm", item("call the bank", "2026-11-27 15:00")),
        ("remind me tomorrow to feed the cat", item("feed the cat", "2026-11-22")),
        ("remind me on friday at 3pm to call bob", item("call bob", "2026-11-27 15:00")),
        ("remind me in 2 hours to stretch", item("stretch", "2026-11-21 15:00")),
        ("don't forget to water the plants tonight", item("water the plants", "2026-11-21")),
        ("I need to submit the report by end of month", item("submit the report", "2026-11-30")),
        ("add buy milk for tomorrow", item("buy milk", "2026-11-22")),
        ("add finish essay by the 5th", item("finish essay", "2026-12-05")),
        ("add gym tomorrow morning", item("gym", "2026-11-22 09:00")),
        ("add dentist on dec 3 at 14:30", item("dentist", "2026-12-03 14:30")),
        ("add dentist 3 december 2027 at noon", item("dentist", "2027-12-03 12:00")),
        ("add dinner with Ann and Bob on December 4, 2026", item("dinner with Ann and Bob", "2026-12-04")),
        ("add trip to rome next month", item("trip to rome", "2026-12-21")),
        ("add call bank next week", item("call bank", "2026-11-28")),
        ("add buy tickets for the weekend", item("buy tickets", "2026-11-22")),
        ("add pay rent on 2026-12-01", item("pay rent", "2026-12-01")),
        ("add pay rent on 24.12.2026", item("pay rent", "2026-12-24")),
        ("add meet Ann at 5pm tomorrow", item("meet Ann", "2026-11-22 17:00")),
        ("add call mum tomorrow at 5", item("call mum", "2026-11-22 17:00")),
        ("add tomorrow call mum at 5pm", item("call mum", "2026-11-22 17:00")),
        ("add meeting at 5pm", item("meeting", "2026-11-21 17:00")),
        ("add breakfast at 8am", item("breakfast", "2026-11-22 08:00")),
        ("add call bank in 3 days", item("call bank", "2026-11-24")),
        ("add standup next tuesday at 9:15", item("standup", "2026-11-24 09:15")),
        ("add watch 24 on friday night", item("watch 24", "2026-11-27 21:00")),
        ("add pay rent !high", item("pay rent", None, "HIGH")),
        ("add pay rent asap", item("pay rent", None, "HIGH")),
        ("add call mum, urgent", item("call mum", None, "HIGH")),
        ("add urgent: call mum", item("call mum", None, "HIGH")),
        ("add low priority task: sort photos", item("sort photos", None, "LOW")),
        ("add a high priority task to file taxes by dec 3", item("file taxes", "2026-12-03", "HIGH")),
        ("add buy milk tomorrow, high priority #home", item("buy milk", "2026-11-22", "HIGH", "home")),
        ("add buy milk for tomorrow, high priority and #home", item("buy milk", "2026-11-22", "HIGH", "home")),
        ("add renew passport #admin #travel", item("renew passport", None, None, "admin", "travel")),
    ],
)
def test_one_task(message: str, expected: NewItem) -> None:
    assert read(message) == added(expected)


@pytest.mark.parametrize(
    "title",
    [
        "buy 2 apples",
        "read 1984",
        "buy 5 am radios",
        "5 minute stretch",
        "read chapter 3 and 4",
        "reply to issue #42",
        "fix bug in C# code",
        "may the force be with you",
        "march with the band",
        "second draft of the report",
        "water plants every monday",
        "friday report",
        "read tomorrow's paper",
        "buy bread and butter",
        "salt & pepper",
        "call mum and finish the report",
        "make dinner and set the table",
        "reply to urgent email",
        "celebrate on feb 30",
    ],
)
def test_a_title_keeps_words_that_look_like_something_else(title: str) -> None:
    assert read(f"add {title}") == added(item(title))


def test_what_stands_in_quotes_is_the_title() -> None:
    expected = item("buy milk, eggs and list bread tomorrow", "2026-11-23", None, "home")
    assert read('add "buy milk, eggs and list bread tomorrow" for monday #home') == added(expected)
    assert read("add \u201cdelete everything\u201d") == added(item("delete everything"))


@pytest.mark.parametrize(
    ("message", "items"),
    [
        ("add milk, eggs and bread", [item("milk"), item("eggs"), item("bread")]),
        ("add milk, eggs, and bread", [item("milk"), item("eggs"), item("bread")]),
        ("add milk, eggs, bread", [item("milk"), item("eggs"), item("bread")]),
        ("add tasks: x and y", [item("x"), item("y")]),
        ("add 3 tasks: a, b, c", [item("a"), item("b"), item("c")]),
        ("add:\n- milk\n- eggs", [item("milk"), item("eggs")]),
        ("add tasks:\n1. milk\n2. eggs and ham", [item("milk"), item("eggs and ham")]),
        ('add "call mum" and "call dad"', [item("call mum"), item("call dad")]),
        (
            "add buy milk, call mum tomorrow and pay rent next week",
            [item("buy milk"), item("call mum", "2026-11-22"), item("pay rent", "2026-11-28")],
        ),
        (
            "add milk, eggs and bread for tomorrow #shop",
            [item(title, "2026-11-22", None, "shop") for title in ("milk", "eggs", "bread")],
        ),
    ],
)
def test_several_tasks(message: str, items: list[NewItem]) -> None:
    assert read(message) == added(*items)


def test_more_than_twenty_are_left_out_and_counted() -> None:
    (intent,) = read("add " + ", ".join(f"t{number}" for number in range(1, 26)))
    assert isinstance(intent, Add)
    assert len(intent.items) == 20
    assert intent.left_out == 5


@pytest.mark.parametrize("message", ["add", "add a task", "add tomorrow", "remind me", "add #home", "new task:"])
def test_nothing_to_add_is_asked_back(message: str) -> None:
    (intent,) = read(message)
    assert isinstance(intent, Unclear)
    assert intent.reason.startswith("What shall I add?")
