"""Dates as people say them: found in a text, and read in the user's time zone."""

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Final

from dateparser.date import DateDataParser

from assistant.offline.date_words import ALONE, DAY, HOUR_UNITS, NUMBERS, PARTS_OF_DAY, SPAN, WEEKDAY, WEEKDAYS
from assistant.offline.intents import Due

_PARSER_SETTINGS: Final = {"TIMEZONE": "UTC", "PREFER_DATES_FROM": "future"}
_END_OF_DAY: Final = time(23, 59)
_DAY: Final = re.compile(DAY, re.IGNORECASE)
_CLOCK: Final = re.compile(r"(\d{1,2})(?::(\d\d))?\s?(?:([ap])\.?m\.?)?", re.IGNORECASE)
_DOTTED: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_DAY_OF_MONTH: Final = re.compile(r"the (\d{1,2})(?:st|nd|rd|th)")
_DURATION: Final = re.compile(rf"in\s+(half\s+an?|{NUMBERS})\s+({HOUR_UNITS})", re.IGNORECASE)
_SMALL_NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_EARLIEST_MORNING_HOUR: Final = 8
_NOON: Final = 12
_WEEK: Final = 7
_MINUTES_AN_HOUR: Final = 60
_FURTHEST_YEAR: Final = 9_990
# Each is read by the library, which takes about a millisecond.
_MOST_SPANS: Final = 20


@dataclass(frozen=True, slots=True)
class Span:
    """A date in a text: where it stands, with the preposition before it, and what it means."""

    start: int
    end: int
    preposition: str
    day: date | None
    time: time | None
    moment: datetime | None = None


class Calendar:
    """Reads dates as seen from a moment in the user's time zone."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.today = now.date()
        self._days: dict[str, date | None] = {}

    def find(self, text: str) -> list[Span]:
        """Return the dates of a text, from left to right; words that may as well belong to a title are none."""
        spans = []
        for match in islice(SPAN.finditer(text), _MOST_SPANS):
            span = self._read(match)
            if span is not None and _stands_out(match, text):
                spans.append(span)
        return spans

    def due(self, span: Span) -> Due | None:
        """Return the moment that is meant."""
        if span.moment is not None:
            return Due(span.moment, has_time=True)
        day = span.day
        if day is None:
            if span.time is None:
                return None
            day = self.today if self.at(self.today, span.time) > self.now else self.today + timedelta(days=1)
        return Due(self.at(day, span.time or _END_OF_DAY), has_time=span.time is not None)

    def read(self, text: str) -> Due | None:
        """Return the moment that a text consisting of a date alone means."""
        bare = text.strip(" .,!?")
        match = SPAN.fullmatch(bare) or SPAN.fullmatch(f"in {bare}") or SPAN.fullmatch(f"at {bare}")
        span = None if match is None else self._read(match)
        return None if span is None else self.due(span)

    def shift(self, due: datetime | None, span: str, *, is_earlier: bool) -> Due | None:
        """Return the moment that lies a span after (or before) another, or after today's end; by the user's clock."""
        base = (due or self.at(self.today, _END_OF_DAY)).astimezone(self.now.tzinfo)
        words = f"{span} ago" if is_earlier else f"in {span}"
        found = _parse(words, base.replace(tzinfo=None))
        if found is None:
            return None
        has_time = found.time().replace(second=0, microsecond=0) != _END_OF_DAY
        return Due(self.at(found.date(), found.time()), has_time)

    def at(self, day: date, moment: time) -> datetime:
        """Return the moment of the user's clock."""
        return datetime.combine(day, moment, self.now.tzinfo)

    def start_of(self, day: date) -> datetime:
        """Return the day's first moment."""
        return self.at(day, time())

    def _read(self, match: re.Match[str]) -> Span | None:
        words = match.groupdict()
        if words["soon"]:
            moment = self._after(words["soon"])
            return None if moment is None else Span(match.start(), match.end(), "in", None, None, moment)
        day_words = words["day"] or words["day2"]
        day = self.day(day_words) if day_words else None
        if day_words and day is None:
            return None
        hour = words["time"] or words["hour"] or words["time2"] or words["alone"]
        part = words["part"] or ("night" if day_words and day_words.lower() == "tonight" else None)
        clock = _clock(hour, part) if hour else PARTS_OF_DAY.get((words["part"] or "").lower())
        if hour and clock is None:
            return None
        return Span(match.start(), match.end(), (words["preposition"] or "").lower().strip(), day, clock)

    def _after(self, words: str) -> datetime | None:
        match = _DURATION.match(words)
        if match is None:
            return None
        amount, unit = match[1].lower(), match[2].lower()
        if amount.startswith("half"):
            minutes = _MINUTES_AN_HOUR // 2
        else:
            minutes = _number(amount) * (_MINUTES_AN_HOUR if unit.startswith("h") else 1)
        later = self.now.astimezone(UTC) + timedelta(minutes=minutes)
        return later.replace(second=0, microsecond=0).astimezone(self.now.tzinfo)

    def day(self, words: str) -> date | None:
        """Return the day that is meant by words without a time."""
        text = " ".join(words.lower().split())
        if text not in self._days:
            self._days[text] = self._read_day(text)
        return self._days[text]

    def _read_day(self, text: str) -> date | None:
        for pattern, read in _DAYS:
            if match := re.fullmatch(pattern, text):
                return read(self.today, match)
        if dotted := _DOTTED.fullmatch(text):
            text = f"{dotted[3]}-{int(dotted[2]):02}-{int(dotted[1]):02}"
        found = _parse(text.removeprefix("the "), self.now.replace(tzinfo=None))
        return None if found is None or found.year >= _FURTHEST_YEAR else found.date()


def _parse(words: str, base: datetime) -> datetime | None:
    try:
        parser = DateDataParser(languages=["en"], settings={**_PARSER_SETTINGS, "RELATIVE_BASE": base})
        found = parser.get_date_data(words).date_obj
    except (OverflowError, ValueError):
        return None
    return None if found is None else found.replace(tzinfo=None)


def _stands_out(match: re.Match[str], text: str) -> bool:
    before = text[: match.start()].rstrip().lower()
    if before.endswith(("every", "each")):
        return False
    if match["preposition"] or match["at"] or not ALONE.fullmatch(match[0].strip()):
        return True
    after = text[match.end() :]
    is_at_end = not after.strip(" .,!?") or bool(re.match(r"\s*[,#!(]", after) or _DAY.match(after.strip()))
    return is_at_end or (not before and after.startswith((" to ", ":", " that ")))


def _clock(words: str, part: str | None) -> time | None:
    text = words.lower().strip()
    if text in PARTS_OF_DAY:
        return PARTS_OF_DAY[text]
    match = _CLOCK.match(text)
    if match is None:
        return None
    hour, minute, half = int(match[1]), int(match[2] or 0), match[3]
    if half:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if half == "p" else 0)
    elif match[2] is None and (hour < _EARLIEST_MORNING_HOUR or part in {"evening", "night"}):
        # Nobody calls the bank at three in the night.
        hour += _NOON if 0 < hour < _NOON else 0
    elif part in {"afternoon", "evening", "night"} and hour < _NOON:
        hour += _NOON
    return time(hour, minute) if hour <= time.max.hour and minute <= time.max.minute else None


def _number(word: str) -> int:
    if word.isdecimal():
        return int(word)
    if word.startswith("a couple"):
        return 2
    return _SMALL_NUMBERS.index(word) if word in _SMALL_NUMBERS else 1


def sunday_of(day: date) -> date:
    """Return the last day of the day's week."""
    return day + timedelta(days=6 - day.weekday())


def end_of_month(day: date) -> date:
    """Return the last day of the day's month."""
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


def _next_day_of_month(today: date, match: re.Match[str]) -> date | None:
    wanted, first = int(match[1]), today.replace(day=1)
    for _ in range(_NOON):
        last = end_of_month(first)
        if 1 <= wanted <= last.day and (found := first.replace(day=wanted)) >= today:
            return found
        first = last + timedelta(days=1)
    return None


def _weekday(today: date, match: re.Match[str]) -> date:
    wanted = next(index for index, name in enumerate(WEEKDAYS) if match[1].startswith(name[:3]))
    return today + timedelta(days=(wanted - today.weekday() - 1) % _WEEK + 1)


_WEEKEND: Final = timedelta(days=_WEEK)
_DAYS: Final[tuple[tuple[str, Callable[[date, re.Match[str]], date | None]], ...]] = (
    (r"today|tonight|(?:the )?end of (?:the |this )?day|eod|this (?:morning|afternoon|evening)", lambda day, _: day),
    (r"tomorrow|tmrw|tmr", lambda day, _: day + timedelta(days=1)),
    (r"(?:the )?day after tomorrow", lambda day, _: day + timedelta(days=2)),
    (r"(?:the |this )?weekend|this week|(?:the )?end of (?:the |this )?week|eow", lambda day, _: sunday_of(day)),
    (r"next weekend|(?:the )?end of next week", lambda day, _: sunday_of(day) + _WEEKEND),
    (r"this month|(?:the )?end of (?:the |this )?month|eom", lambda day, _: end_of_month(day)),
    (
        r"(?:the )?end of next month",
        lambda day, _: end_of_month(end_of_month(day) + timedelta(days=1)),
    ),
    (r"(?:the )?end of (?:the |this )?year", lambda day, _: day.replace(month=12, day=31)),
    (rf"(?:this |next |the coming |coming )?({WEEKDAY})", _weekday),
    (_DAY_OF_MONTH.pattern, _next_day_of_month),
)
