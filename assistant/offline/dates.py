"""Dates and times in plain English, read in the person's time zone."""

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

END_OF_DAY: Final = time(23, 59)
# No date has more words.
MAX_WORDS: Final = 9
_NOON_HOUR: Final = 12
_LAST_HOUR: Final = 23
# "At 5" is in the afternoon; from here on it is in the morning.
_FIRST_MORNING_HOUR: Final = 8
_NEAR_DAYS: Final = {"today": 0, "tonight": 0, "tomorrow": 1, "day after tomorrow": 2, "next week": 7}
_WEEKDAYS: Final = {
    name.casefold()[:size]: number for number, name in enumerate(calendar.day_name) for size in (3, 4, 5, 9)
}
_MONTHS: Final = {
    name.casefold()[:size]: number for number, name in enumerate(calendar.month_name) for size in (3, 4, 9) if name
}
_MONTH: Final = "|".join(_MONTHS)
_PREPOSITIONS: Final = frozenset({"due", "on", "by", "for", "until", "before", "the", "of"})
_ISO: Final = re.compile(r"(?P<year>[2-8]\d{3})-(?P<month>\d\d?)-(?P<day>\d\d?)")
_DAY_MONTH: Final = re.compile(rf"(?P<day>\d\d?)(?:st|nd|rd|th)? (?P<month>{_MONTH})(?: (?P<year>[2-8]\d{{3}}))?")
_MONTH_DAY: Final = re.compile(rf"(?P<month>{_MONTH}) (?P<day>\d\d?)(?:st|nd|rd|th)?(?: (?P<year>[2-8]\d{{3}}))?")
_DURATION: Final = re.compile(r"in (\d{1,3}|a|one|two|three) (day|week)s?")
_TIME: Final = re.compile(r"(?P<at>at )?(?P<hour>\d\d?)(?::(?P<minute>[0-5]\d))? ?(?P<half>am|pm)?")
_AMOUNTS: Final = {"a": 1, "one": 1, "two": 2, "three": 3}


@dataclass(frozen=True, slots=True)
class Due:
    """A due date as an aware moment, which is the end of its day where no time was given."""

    moment: datetime
    has_time: bool


class Calendar:
    """Reads dates relative to a moment in the person's time zone."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.today = now.date()

    def read(self, words: Sequence[str]) -> Due | None:
        """Return the due date that all of the words together mean: a day, a time, or both in either order."""
        kept = [word for word in words if word not in _PREPOSITIONS]
        if len(kept) > MAX_WORDS:
            return None
        for cut in range(len(kept) + 1):
            for day_words, time_words in ((kept[:cut], kept[cut:]), (kept[cut:], kept[:cut])):
                day, clock = self.day(day_words), _clock(time_words)
                if (day or not day_words) and (clock or not time_words) and (day or clock):
                    # A time alone is the next time that it is so late.
                    is_over = clock is not None and self.at(self.today, clock) <= self.now
                    moment = self.at(day or self.today + timedelta(days=is_over), clock or END_OF_DAY)
                    return Due(moment, has_time=clock is not None)
        return None

    def take(self, words: Sequence[str]) -> tuple[int, int, Due | None]:
        """Return where the due date stands in the words of a task, at their end or before "to", and the date."""
        for start in range(max(0, len(words) - MAX_WORDS), len(words)):
            is_repeated = start > 0 and words[start - 1] in {"every", "each"}
            if not is_repeated and (due := self.read(words[start:])) is not None:
                return start, len(words), due
        for end, word in enumerate(words[: MAX_WORDS + 1]):
            if word == "to" and (due := self.read(words[:end])) is not None:
                return 0, end, due
        return 0, 0, None

    def day(self, words: Sequence[str]) -> date | None:
        """Return the day that all of the words together mean."""
        phrase = " ".join(words)
        weekday = _WEEKDAYS.get(phrase.removeprefix("next ").removeprefix("this "))
        if weekday is not None:
            return self.today + timedelta(days=(weekday - self.today.weekday() - 1) % 7 + 1)
        if phrase in _NEAR_DAYS:
            return self.today + timedelta(days=_NEAR_DAYS[phrase])
        if duration := _DURATION.fullmatch(phrase):
            amount = _AMOUNTS.get(duration[1]) or int(duration[1])
            return self.today + timedelta(days=7 * amount if duration[2] == "week" else amount)
        match = _ISO.fullmatch(phrase) or _DAY_MONTH.fullmatch(phrase) or _MONTH_DAY.fullmatch(phrase)
        if match is None:
            return None
        month = _MONTHS.get(match["month"]) or int(match["month"])
        try:
            day = date(int(match["year"] or self.today.year), month, int(match["day"]))
            is_over = day < self.today and not match["year"]
            return day.replace(year=day.year + 1) if is_over else day
        except ValueError:
            return None

    def period(self, words: Sequence[str]) -> tuple[date, date] | None:
        """Return the first day of the period that all of the words mean, and the day after its last."""
        if list(words) in (["this", "week"], ["next", "week"]):
            weeks = timedelta(weeks=words[0] == "next")
            monday = self.today - timedelta(days=self.today.weekday()) + weeks
            return monday, monday + timedelta(weeks=1)
        day = self.day(words)
        return None if day is None else (day, day + timedelta(days=1))

    def at(self, day: date, moment: time = time()) -> datetime:
        """Return a moment of the person's clock, by default the day's first."""
        return datetime.combine(day, moment, self.now.tzinfo)


def is_end_of_day(local: datetime) -> bool:
    """Return whether a due date stands for its whole day."""
    return local.time().replace(second=0, microsecond=0) in {END_OF_DAY, time()}


def _clock(words: Sequence[str]) -> time | None:
    """Return the time that all of the words mean; a bare number is one behind "at" alone."""
    match = _TIME.fullmatch(" ".join(words).replace("noon", "12pm"))
    if match is None or not (match["at"] or match["minute"] or match["half"]):
        return None
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % _NOON_HOUR + (_NOON_HOUR if match["half"] == "pm" else 0)
    elif match["minute"] is None and 0 < hour < _FIRST_MORNING_HOUR:
        hour += _NOON_HOUR
    return time(hour, int(match["minute"] or 0)) if hour <= _LAST_HOUR else None
