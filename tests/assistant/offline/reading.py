"""What the tests of sentences read them with, and short names for what is expected."""

from datetime import datetime
from typing import Any

from assistant.offline.dates import Calendar
from assistant.offline.intents import Add, Change, Due, Intent, NewItem, Reference, Titled
from assistant.offline.sentences import read_message
from tests.assistant.offline.talk import NOW, ZONE

CALENDAR = Calendar(NOW)


def read(message: str) -> list[Intent]:
    return read_message(message, CALENDAR)


def item(title: str, due: str | None = None, priority: str | None = None, *tags: str) -> NewItem:
    return NewItem(title, None if due is None else moment(due), priority, tags)


def moment(text: str) -> Due:
    """Return a date of the tests' zone; one without a time is that day's end."""
    has_time = " " in text
    at = datetime.fromisoformat(text if has_time else f"{text} 23:59")
    return Due(at.replace(tzinfo=ZONE), has_time)


def added(*items: NewItem) -> list[Intent]:
    return [Add(items)]


def changed(reference: Reference | str, action: Any) -> list[Intent]:
    return [Change(Titled(reference) if isinstance(reference, str) else reference, action)]
