"""Which tasks a phrase means, such as `open high priority ones due this week tagged #home`."""

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from assistant.offline.date_words import PERIOD_OF_DAYS
from assistant.offline.dates import Calendar, end_of_month, sunday_of
from assistant.offline.intents import Wanted
from assistant.offline.words import TAG, level, trim

_FILLER: Final = re.compile(
    r"(?<![\w'-])(?:list|shows?|display|give|tell|see|view|print|what(?:'s|s)?|which|is|are|do|does|have|has|got|get|i|"
    r"i've|my|me|mine|our|the|a|an|of|any|anything|something|there|there's|one|ones|tasks?|to-?dos?|items?|things?|stuff|"
    r"list|still|yet|now|currently|right|left|on|for|in|with|that|those|these|should|shall|must|need|needs|to|be|will|"
    r"can|could|you|please|remaining|how|many|much|count|number|it|all|every|everything|due|up|coming|upcoming|next|"
    r"first|plate|agenda|schedule|work|about|so|far|and|at|by|just|only|know|look|like|go|going|again|full|whole|more|"
    r"want|would|i'd|status|overview|summary|were|was|did|been|who|whose|done|they|them)(?![\w'-])",
    re.IGNORECASE,
)
_DONE: Final = re.compile(
    r"\b(?:(?:already |recently )?(?:completed|finished|checked off|closed)|done (?:tasks|ones|items|todos|things)|"
    r"(?:that|which) (?:are|is|were) done|(?:i have|i've|have i|did i) (?:already )?(?:done|do|finish|complete)|"
    r"already done|is done|are done|(?<!be )(?<!get )done$)\b",
    re.IGNORECASE,
)
_OPEN: Final = re.compile(
    r"\b(?:open|still|unfinished|incomplete|uncompleted|not (?:yet )?(?:done|completed|finished)(?: yet)?|pending|"
    r"outstanding|active|undone|left|remaining|to do|need to do|have to do|should i do|must i do|can i do)\b",
    re.IGNORECASE,
)
_ALL: Final = re.compile(r"\b(?:all|everything|every)\b", re.IGNORECASE)
_PRIORITY: Final = re.compile(
    r"\b(?:(?:with )?(?:a )?(highest|high|top|medium|normal|lowest|low|urgent)[- ]priority(?: ones)?|"
    r"(?:with )?priority (?:is )?(high|medium|low)|(urgent|important|most important)|"
    r"prioriti[sz]ed? (high|medium|low))\b|!(high|medium|low)\b",
    re.IGNORECASE,
)
_TAGGED: Final = re.compile(
    r"\b(?:tagged(?: with| as)?|labell?ed(?: with| as)?|with (?:the )?(?:tag|label)) #?(\w[\w-]{0,49})", re.IGNORECASE
)
_NO_DUE: Final = re.compile(
    r"\b(?:without (?:a |any )?(?:due )?(?:date|deadline)s?|(?:with |have )?no (?:due )?(?:date|deadline)s?|undated|"
    r"unscheduled)\b",
    re.IGNORECASE,
)
_OVERDUE: Final = re.compile(r"\b(?:overdue|late|past due|behind(?: schedule)?)\b", re.IGNORECASE)
_UP_TO_TODAY: Final = re.compile(r"\boverdue (?:or|and) (?:is |are )?(?:due )?today\b", re.IGNORECASE)
_ORDER: Final = re.compile(
    r"\b(?:sort|order|sorted|ordered|group|grouped)(?: them)? by (?:their )?(due|date|priority|title|name|creat)\w*"
    r"(?: date)?\b|\bby (priority|due date|title|name)\b",
    re.IGNORECASE,
)
_PERIOD: Final = re.compile(
    r"\b(?:(?:due|for|on|in|happening) )?(this week|next week|this month|next month|(?:this |the )?weekend|"
    r"next weekend)\b",
    re.IGNORECASE,
)
_ORDERS: Final = {"due": "DUE_AT", "dat": "DUE_AT", "pri": "PRIORITY", "tit": "TITLE", "nam": "TITLE"}
_WEEK: Final = 7
_DUE_SOON: Final = re.compile(r"\b(?:next|upcoming|coming up|should i do|soon|deadlines?|due)\b", re.IGNORECASE)


def read_filter(text: str, calendar: Calendar) -> tuple[Wanted, str]:
    """Return what the words filter by, and the words that say something else."""
    rest, wanted = _take_plain(text)
    rest, wanted = _take_period(rest, wanted, calendar)
    if not wanted.order and (wanted.due_before or _DUE_SOON.search(text)):
        wanted = replace(wanted, order="DUE_AT")
    if wanted.completed is None and (_OPEN.search(rest) or wanted.has_due is False):
        wanted = replace(wanted, completed=False)
    rest = _OPEN.sub(" ", rest)
    return wanted, trim(re.sub(r"[?!.,;:()]", " ", _FILLER.sub(" ", rest)))


def only_open(wanted: Wanted, text: str) -> Wanted:
    """Return the filter for a list that is shown: of open tasks, unless others are asked for."""
    if wanted.completed is None and not _ALL.search(text):
        return replace(wanted, completed=False)
    return wanted


def _take_plain(text: str) -> tuple[str, Wanted]:
    wanted = Wanted()
    tags = [match[1] for match in TAG.finditer(text)]
    rest = TAG.sub(" ", text)
    tags += [match[1] for match in _TAGGED.finditer(rest)]
    rest = re.sub(r"\btagged\b", " ", _TAGGED.sub(" ", rest))
    wanted = replace(wanted, tags=tuple(dict.fromkeys(tags)))
    if match := _ORDER.search(rest):
        order = _ORDERS.get((match[1] or match[2])[:3].lower())
        rest, wanted = _ORDER.sub(" ", rest), replace(wanted, order=order)
    if match := _PRIORITY.search(rest):
        word = next(group for group in match.groups() if group)
        rest, wanted = _PRIORITY.sub(" ", rest), replace(wanted, priority=level(word))
    if _NO_DUE.search(rest):
        rest, wanted = _NO_DUE.sub(" ", rest), replace(wanted, has_due=False)
    if not re.search(r"\bnot\b|\bundone\b", rest, re.IGNORECASE) and _DONE.search(rest):
        rest, wanted = _DONE.sub(" ", rest), replace(wanted, completed=True)
    return rest, wanted


def _take_period(text: str, wanted: Wanted, calendar: Calendar) -> tuple[str, Wanted]:
    if match := _UP_TO_TODAY.search(text):
        tomorrow = calendar.start_of(calendar.today + timedelta(days=1))
        return _without(text, match), replace(wanted, completed=False, due_before=tomorrow, period="by today")
    if _OVERDUE.search(text):
        late = replace(wanted, completed=False, due_before=calendar.now, period="overdue")
        return _OVERDUE.sub(" ", text), late
    if match := PERIOD_OF_DAYS.search(text):
        found = calendar.read(f"in {match[1]} {match[2]}")
        if found is not None:
            last = found.moment.date() + timedelta(days=1)
            return _without(text, match), _between(wanted, calendar, calendar.today, last, match[0].lower())
    if match := _PERIOD.search(text):
        first, end = _bounds(match[1].lower(), calendar.today)
        return _without(text, match), _between(wanted, calendar, first, end, match[1].lower())
    return _take_date(text, wanted, calendar)


def _take_date(text: str, wanted: Wanted, calendar: Calendar) -> tuple[str, Wanted]:
    for span in calendar.find(text):
        due = calendar.due(span)
        if due is None:
            continue
        day, words = due.moment.date(), text[span.start : span.end].strip().lower().removeprefix("due ")
        rest = f"{text[: span.start]} {text[span.end :]}"
        if span.preposition.endswith(("by", "until", "till", "before", "later than")):
            last = day if span.preposition.endswith("before") else day + timedelta(days=1)
            return rest, replace(wanted, due_before=calendar.start_of(last), period=words)
        if span.preposition.endswith("after"):
            return rest, replace(wanted, due_after=calendar.start_of(day + timedelta(days=1)), period=words)
        return rest, _between(wanted, calendar, day, day + timedelta(days=1), words)
    return text, wanted


def _without(text: str, match: re.Match[str]) -> str:
    return f"{text[: match.start()]} {text[match.end() :]}"


def _between(wanted: Wanted, calendar: Calendar, first: date, end: date, period: str) -> Wanted:
    return replace(wanted, due_after=calendar.start_of(first), due_before=calendar.start_of(end), period=period)


def _bounds(words: str, today: date) -> tuple[date, date]:
    """Return the first day of a period and the day behind its last."""
    monday = sunday_of(today) - timedelta(days=_WEEK - 1)
    week, day = timedelta(days=_WEEK), timedelta(days=1)
    if "weekend" in words:
        sunday = sunday_of(today) + (week if "next" in words else timedelta())
        return sunday - day, sunday + day
    if "month" in words:
        first = today.replace(day=1) if "this" in words else end_of_month(today) + day
        return first, end_of_month(first) + day
    return (monday, monday + week) if "this" in words else (monday + week, monday + 2 * week)
