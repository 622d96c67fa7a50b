"""Sentences that add tasks: what is left as the title once dates, tags and a priority are taken out."""

import re
from dataclasses import replace
from typing import Final

from assistant.offline.clean import Quotes, is_quote
from assistant.offline.dates import Calendar, Span
from assistant.offline.intents import Add, Due, NewItem, Unclear
from assistant.offline.words import take_priority, take_tags, trim

MOST_ITEMS: Final = 20
_THINGS: Final = r"(?:tasks?|to-?dos?|to-do items?|todo items?|items?|reminders?|entry|entries)"
_OPENER: Final = re.compile(
    r"(?:(?:add|create|make|new|put|insert|jot down|write down|note down|schedule)\b(?P<kind> ?(?:me )?"
    r"(?:(?:an?|another|the|some|these|the following|two|three|four|five|\d{1,2}) )?(?:new )?"
    rf"(?:(?P<level>urgent|important|high[- ]priority|low[- ]priority|medium[- ]priority) )?{_THINGS}\b"
    r"(?: (?:called|named|titled|for me|to my list|to|for|about))?)? ?:? ?"
    r"|(?:please )?remind me\b(?: again)? ?|(?:don't|do not) (?:let me )?forget (?:to |about )?"
    r"|remember to |(?:to-?do|note to self|task|reminder) ?: ?|i (?:also )?(?:need|have|want|ought) to |"
    r"i(?:'ve)? got to "
    r"|i must |i should |i'd better )",
    re.IGNORECASE,
)
_PLURAL: Final = re.compile(r"\b(?:tasks|to-?dos|items|reminders|entries|two|three|four|five|\d)\b", re.IGNORECASE)
_NO_ADDING: Final = re.compile(r"(?:i (?:need|want|have) to (?:see|know|list|look|find))\b", re.IGNORECASE)
_LEAD: Final = re.compile(r"^(?:to|about|of|that i (?:need|have) to|that i should|that i must)\s+", re.IGNORECASE)
_TO_LIST: Final = re.compile(
    r"\s+(?:to|on|onto|in) (?:my|the|our) (?:(?:to-?do|task|shopping) )?(?:list|tasks|todos|to-dos)\b", re.IGNORECASE
)
_ITEM_BREAK: Final = re.compile(r"\s*,\s*(?:and\s+|&\s+)?|\s*\n\s*(?:[-*\u2022]\s*|\d{1,2}[.)]\s+)?|\s+and\s+")
_BULLET: Final = re.compile(r"^(?:[-*\u2022]\s+|\d{1,2}[.)]\s+)")
_DANGLING: Final = re.compile(r"\s+(?:and|by|on|for|due|at|until|before|with|tagged|as|is)$", re.IGNORECASE)
_LIST_WORDS: Final = 6
_LEAST_COMMAS: Final = 2


def read_add(clause: str, quotes: Quotes, calendar: Calendar) -> Add | Unclear | None:
    """Return what a clause wants added; None where it is about something else."""
    opener = _OPENER.match(clause)
    if opener is None or _NO_ADDING.match(clause):
        return None
    body = _TO_LIST.sub("", clause[opener.end() :].strip())
    is_list = bool(opener["kind"] and _PLURAL.search(opener["kind"])) or "\n" in body
    texts = _item_texts(body, calendar, is_list=is_list)
    items = [_item(text, quotes, calendar) for text in texts[:MOST_ITEMS]]
    named = _merged(items)
    if not named:
        return Unclear(clause, "What shall I add? Say, for example, \u201cadd buy milk for tomorrow\u201d.")
    if opener["level"]:
        _, priority = take_priority(opener["level"] + ":")
        named = [replace(item, priority=item.priority or priority) for item in named]
    return Add(tuple(_shared(named)), left_out=len(texts[MOST_ITEMS:]))


def _item_texts(body: str, calendar: Calendar, *, is_list: bool) -> list[str]:
    """Return the texts of the tasks: of one, unless there are lines or a series such as `a, b and c`."""
    spans = calendar.find(body)
    breaks = [
        match
        for match in _ITEM_BREAK.finditer(body)
        if not any(span.start < match.end() and match.start() < span.end for span in spans)
    ]
    lines = [match for match in breaks if "\n" in match[0]]
    commas = [match for match in breaks if "," in match[0]]
    if lines:
        return _cut(body, lines)
    if commas and "and" in breaks[-1][0].split():
        return _cut(body, [*commas, *(breaks[-1:] if breaks[-1] is not commas[-1] else [])])
    if breaks and all(is_quote(part) for part in _cut(body, breaks)):
        return _cut(body, breaks)
    by_commas = _cut(body, commas)
    is_enumeration = len(commas) >= _LEAST_COMMAS and all(len(part.split()) <= _LIST_WORDS for part in by_commas)
    if commas and (is_list or is_enumeration):
        return by_commas
    return _cut(body, breaks) if is_list else [body]


def _cut(text: str, breaks: list[re.Match[str]]) -> list[str]:
    starts = [0, *(match.end() for match in breaks)]
    ends = [*(match.start() for match in breaks), len(text)]
    return [part for start, end in zip(starts, ends, strict=True) if (part := text[start:end].strip())]


def _item(text: str, quotes: Quotes, calendar: Calendar) -> NewItem:
    bare, tags = take_tags(_BULLET.sub("", text))
    bare, priority = take_priority(trim(bare))
    bare = re.sub(r" (?:and|with|,)$", "", " ".join(bare.split()))
    bare, due = _take_due(bare, calendar)
    if priority is None:
        bare, priority = take_priority(trim(bare))
    title = trim(_DANGLING.sub("", _LEAD.sub("", trim(bare), count=1))).rstrip(" .!?")
    return NewItem(trim(quotes.reveal(title)), due, priority, tags)


def _take_due(text: str, calendar: Calendar) -> tuple[str, Due | None]:
    spans = calendar.find(text)
    if not spans:
        return text, None
    chosen = [next((span for span in reversed(spans) if span.preposition), spans[-1])]
    others = [span for span in spans if span is not chosen[0]]
    if len(others) == 1 and _complete_each_other(chosen[0], others[0]):
        chosen.append(others[0])
        day, clock = (span.day for span in chosen), (span.time for span in chosen)
        whole = replace(
            chosen[0], day=next(filter(None, day)), time=next(value for value in clock if value is not None)
        )
        due = calendar.due(whole)
    else:
        due = calendar.due(chosen[0])
    for span in sorted(chosen, key=lambda each: each.start, reverse=True):
        text = f"{text[: span.start]} {text[span.end :]}"
    return text, due


def _merged(items: list[NewItem]) -> list[NewItem]:
    """Let a part that has no title, such as `high priority`, belong to the task before it."""
    merged: list[NewItem] = []
    for item in items:
        if item.title:
            merged.append(item)
        elif merged:
            last = merged[-1]
            tags = tuple(dict.fromkeys((*last.tags, *item.tags)))
            merged[-1] = replace(last, due=last.due or item.due, priority=last.priority or item.priority, tags=tags)
    return merged


def _complete_each_other(one: Span, other: Span) -> bool:
    if one.moment is not None or other.moment is not None:
        return False
    return (one.day is None) != (other.day is None) and (one.time is None) != (other.time is None)


def _shared(items: list[NewItem]) -> list[NewItem]:
    """Let what stands at the end of a series hold for all of it, where nothing else is said of the others."""
    last, others = items[-1], items[:-1]
    if not others or any(item.due or item.priority or item.tags for item in others):
        return items
    return [replace(item, due=last.due, priority=last.priority, tags=last.tags) for item in others] + [last]
