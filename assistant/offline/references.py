"""Which tasks a phrase points at, such as `the second one`, `it` or words of a title."""

import re
from typing import Final

from assistant.offline.clean import Quotes
from assistant.offline.dates import Calendar
from assistant.offline.filters import read_filter
from assistant.offline.intents import Every, Placed, Reference, That, Those, Titled, Wanted
from assistant.offline.words import parts_of, trim

_MOST_PARTS: Final = 10
_ORDINALS: Final = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "last": -1,
}
_NUMBERS: Final = {"two": 2, "three": 3, "four": 4, "five": 5}
_ORDINAL: Final = "|".join(_ORDINALS)
_PLACE: Final = re.compile(
    rf"(?:the )?(?:(?P<word>{_ORDINAL})|(?P<nth>\d{{1,2}})(?:st|nd|rd|th))(?: (?:one|task|item|entry|to-?do)s?)?"
    r"|(?:(?:the )?(?:task |item |entry )?(?:number|no\.?|nr\.?) ?|# ?|task |item )?(?P<number>\d{1,2})",
    re.IGNORECASE,
)
_FIRST_FEW: Final = re.compile(
    r"(?:the )?(?P<end>first|last) (?P<count>two|three|four|five|\d)(?: (?:ones|tasks|items|entries))?", re.IGNORECASE
)
_THAT: Final = re.compile(
    r"its|(?:it|that|this)(?: (?:one|task|item|to-?do))?|the (?:task|one|item)|the same(?: one)?|the (?:new|"
    r"last) (?:one|task)",
    re.IGNORECASE,
)
_THOSE: Final = re.compile(
    r"their|(?:all (?:of )?|both (?:of )?)?(?:them|those|these)(?: (?:ones|tasks|items))?|both(?: tasks| of them)?",
    re.IGNORECASE,
)
_EVERY: Final = re.compile(
    r"(?:absolutely )?(?:everything|every (?:single )?(?:one|task|item)|all)(?: (?:of )?(?:my|the|it))?"
    r"(?: (?:tasks|items|to-?dos|ones|things|list))?(?: (?:on|in|from) my list)?",
    re.IGNORECASE,
)
_MANY: Final = re.compile(
    r"^(?:all|every|everything|any|my|the)\b.*\b(?:tasks|ones|items|to-?dos|things|everything)\b|^(?:all|every|everything)\b|"
    r"\b(?:tasks|ones|items|to-?dos)\b",
    re.IGNORECASE,
)
_OVERDUE: Final = re.compile(
    r"(?:all )?(?:the )?(?:overdue|completed|done|finished)(?: (?:stuff|things))?", re.IGNORECASE
)
_ARTICLE: Final = re.compile(
    r"^(?:(?:the|my|our|a|an) )?(?:(?:task|to-?do|item|reminder|one) (?:called |named |titled |about |to |for |"
    r"with )?)?",
    re.IGNORECASE,
)
_TAIL: Final = re.compile(
    r" (?:task|to-?do|item|reminder|one)$| (?:from|off|on|in) (?:my|the) (?:to-?do )?list$", re.IGNORECASE
)


def read_reference(text: str, quotes: Quotes, calendar: Calendar) -> Reference | None:
    """Return what the phrase points at; None where nothing is left of it."""
    phrase = trim(text).rstrip(".!?").strip()
    if not phrase:
        return None
    if _THAT.fullmatch(phrase):
        # "The last one" is the end of the list, "the last task" as well.
        return Placed((-1,)) if "last" in phrase.lower() else That()
    if _THOSE.fullmatch(phrase):
        return Those()
    if places := _places(phrase):
        return Placed(places)
    return _every(phrase, calendar) or _titled(phrase, quotes)


def is_bare_reference(text: str) -> bool:
    """Tell whether a text points at tasks and says nothing of what to do with them."""
    phrase = trim(text).rstrip(".!?").strip()
    return bool(_THAT.fullmatch(phrase) or _THOSE.fullmatch(phrase) or _places(phrase))


def _places(phrase: str) -> tuple[int, ...]:
    if match := _FIRST_FEW.fullmatch(phrase):
        word = match["count"].lower()
        count = _NUMBERS.get(word) or int(word)
        counted = range(1, count + 1) if match["end"].lower() == "first" else range(-count, 0)
        return tuple(counted)
    places = []
    for part in parts_of(phrase):
        match = _PLACE.fullmatch(part)
        if match is None:
            return ()
        number = match["nth"] or match["number"]
        place = int(number) if number else _ORDINALS[match["word"].lower()]
        if not place:
            return ()
        places.append(place)
    return tuple(dict.fromkeys(places))


def _every(phrase: str, calendar: Calendar) -> Every | None:
    if _EVERY.fullmatch(phrase):
        return Every(Wanted())
    if not _MANY.search(phrase) and not _OVERDUE.fullmatch(phrase):
        return None
    wanted, rest = read_filter(phrase, calendar)
    return None if rest or wanted == Wanted() else Every(wanted)


def _titled(phrase: str, quotes: Quotes) -> Titled | None:
    whole = quotes.reveal(_bare(phrase))
    parts = [quotes.reveal(_bare(part)) for part in parts_of(phrase)]
    is_list = 1 < len(parts) <= _MOST_PARTS and all(parts)
    return Titled(whole, tuple(parts) if is_list else ()) if whole else None


def _bare(text: str) -> str:
    """Return the words without an article before and `task` behind them, unless nothing else is there."""
    return _TAIL.sub("", _ARTICLE.sub("", text.strip(), count=1)).strip() or text.strip()
