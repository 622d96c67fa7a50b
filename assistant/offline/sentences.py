"""What a clause asks for: a table of sentences, tried from the most to the least particular."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from assistant.offline.adding import read_add
from assistant.offline.changing import read_change
from assistant.offline.clauses import clauses_of
from assistant.offline.clean import Quotes, clean
from assistant.offline.dates import Calendar
from assistant.offline.filters import only_open, read_filter
from assistant.offline.intents import Chat, Find, Intent, PlanDay, Review, Show, Topic, Unclear, Wanted
from assistant.offline.references import is_bare_reference
from assistant.offline.words import trim

_HELLO: Final = re.compile(
    r"(?:hi|hello|hey|hiya|good (?:morning|afternoon|evening)|greetings|yo)(?: there| again| assistant|"
    r" tasktalk)?[\s!.,]*",
    re.IGNORECASE,
)
_THANKS: Final = re.compile(
    r"(?:ok(?:ay)?,? |great,? |perfect,? )?(?:many )?(?:thanks|thank you|thx|ty|cheers|great|perfect|awesome|"
    r"cool|ok|okay|nice)"
    r"(?: (?:a lot|so much|very much|again|for .{1,60}))?[\s!.]*",
    re.IGNORECASE,
)
_HELP: Final = re.compile(
    r"(?:help(?: me)?|what can you do|what do you do|how does this work|how do (?:i|you) .{1,80}|who are you|"
    r"what are you|"
    r"what can i (?:say|ask|do here)|commands|usage|\?+)[\s?!.]*",
    re.IGNORECASE,
)
_NOTHING: Final = re.compile(
    r"(?:never ?mind|stop|no|nope|nothing|forget it|cancel(?: that| it)?|that's (?:it|all)(?: for (?:now|"
    r"today))?)[\s.!]*|"
    r"(?:i )?(?:don't|dont|do not|never) (?!forget|let me forget).+",
    re.IGNORECASE | re.DOTALL,
)
_UNDO: Final = re.compile(r"(?:undo|revert|take back)(?: (?:it|that|this|the last .{1,40}))?[\s.!]*", re.IGNORECASE)
_PLAN: Final = re.compile(
    r"(?:help me )?(?:to )?(?:plan|organi[sz]e|structure) (?:my |the |our )?(?:day|today)\b.*|(?:what(?:'s|"
    r" is) )?(?:my|the) plan "
    r"(?:for|of) (?:today|the day)[\s?.]*|what should i (?:do|work on|focus on|start with|tackle)(?: today|"
    r" first| next| now)*"
    r"[\s?.]*|what do i (?:have to|need to) do today[\s?.]*|my day|what(?:'s| is) (?:on )?(?:for |"
    r"my agenda )?today[\s?.]*",
    re.IGNORECASE,
)
_REVIEW: Final = re.compile(
    r"(?:(?:do|start|give me|let's do|show me) )?(?:a |my |the )?(?:weekly review|week(?:'s|ly)? (?:review|"
    r"summary|overview)|"
    r"review (?:of )?(?:my|the) week)[\s?.!]*",
    re.IGNORECASE,
)
_FIND: Final = re.compile(
    r"(?:find|search(?: for)?|look (?:for|up)|where is|where's|(?:show|tell) me about|do i have|is there|are there|"
    r"have i got|have i)\b(?: (?:me|my|all|any|the))*(?: (?:tasks?|ones|things?|anything|everything|something|"
    r"to-?dos?))?"
    r"(?: (?:about|for|with|on|to do with|related to|that mentions?|mentioning|containing|called|named|"
    r"to))? ?(?P<words>.*)"
    r"|(?:show(?: me)?|list|is there|what about|is|do i have)? ?(?:any|every|some)?(?:thing|tasks?)? ?(?:about|"
    r"regarding|concerning|"
    r"mentioning|containing) (?P<topic>.+)|when (?:is|are|do i have to|must i|should i|do i need to|was) (?P<when>.+)",
    re.IGNORECASE,
)
_IS_DONE: Final = re.compile(
    r"(?:is|are|did i|have i|was) (?P<title>.+?) (?:already )?(?:done|finished|completed?|due|open|"
    r"overdue)(?: yet| already)?\??$|"
    r"did i (?:already )?(?:finish|complete|do) (?P<other>.+)",
    re.IGNORECASE,
)
_SHOW: Final = re.compile(
    r"(?:list|shows?|display|give me|tell me|see|view|print|read|get|let me see|what|what's|whats|which|"
    r"how many|how much|how's|"
    r"do i|have i|is there|are there|is anything|are any|any|anything|my|all|everything|open|done|completed|"
    r"finished|overdue|"
    r"high|low|medium|urgent|important|tasks?|to-?dos?|due|today|tomorrow|this week|next week|pending|outstanding|late|"
    r"i (?:need|want|have) to (?:see|know|look))(?![\w'])",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(r"\b(?:about|due|my|the|again|please|tasks?|any|scheduled)\b|[?!]", re.IGNORECASE)
_MOST_WORDS: Final = 8
_WHAT_TO_DO: Final = "What shall I do with it? Say, for example, \u201ccomplete {}\u201d."


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sentences are read with."""

    quotes: Quotes
    calendar: Calendar


def read_message(message: str, calendar: Calendar) -> list[Intent]:
    """Return what a message asks for, in its order."""
    quotes = Quotes()
    text = quotes.hide(clean(message))
    reading = Reading(quotes, calendar)
    intents: list[Intent] = [_read(clause, reading) for clause in clauses_of(text)]
    wishes: list[Intent] = [intent for intent in intents if not isinstance(intent, Chat)]
    if not wishes:
        return intents[:1] or [Chat(Topic.HELP)]
    return wishes


def _read(clause: str, reading: Reading) -> Intent:
    for read in _READERS:
        if (intent := read(clause, reading)) is not None:
            return intent
    text = trim(reading.quotes.reveal(clause))
    return Unclear(text, _WHAT_TO_DO.format(text) if is_bare_reference(clause) else "")


def _courtesy(clause: str, _: Reading) -> Intent | None:
    for pattern, intent in _COURTESIES:
        if pattern.fullmatch(clause):
            return intent
    return None


def _find(clause: str, reading: Reading) -> Intent | None:
    if done := _IS_DONE.match(clause):
        return _show_or_find(clause, done["title"] or done["other"], reading)
    match = _FIND.match(clause)
    if match is None:
        return None
    words = next((group for group in match.groups() if group), "")
    return _show_or_find(clause, words, reading)


def _show_or_find(clause: str, words: str, reading: Reading) -> Intent | None:
    wanted, rest = read_filter(clause, reading.calendar)
    left = re.sub(r"(?i)\b(?:find|search|where|when)\b", "", rest).strip()
    if not left and wanted != Wanted():
        return Show(only_open(wanted, clause))
    text = trim(_NOISE.sub(" ", reading.quotes.reveal(words)))
    return Find(text) if text else None


def _show(clause: str, reading: Reading) -> Intent | None:
    if not _SHOW.match(clause):
        return None
    wanted, rest = read_filter(clause, reading.calendar)
    if not rest:
        return Show(only_open(wanted, clause))
    text = trim(reading.quotes.reveal(rest))
    is_chat = clause.lower().startswith("tell me") or len(text.split()) > _MOST_WORDS
    return None if is_chat else Find(text)


def _bare_filter(clause: str, reading: Reading) -> Intent | None:
    wanted, rest = read_filter(clause, reading.calendar)
    return Show(only_open(wanted, clause)) if not rest and wanted != Wanted() else None


_COURTESIES: Final = (
    (_HELLO, Chat(Topic.HELLO)),
    (_THANKS, Chat(Topic.THANKS)),
    (_HELP, Chat(Topic.HELP)),
    (_NOTHING, Chat(Topic.NOTHING)),
    (_UNDO, Chat(Topic.UNDO)),
    (_PLAN, PlanDay()),
    (_REVIEW, Review()),
)
_READERS: Final[tuple[Callable[[str, Reading], Intent | None], ...]] = (
    _courtesy,
    lambda clause, reading: read_change(clause, reading.quotes, reading.calendar),
    lambda clause, reading: read_add(clause, reading.quotes, reading.calendar),
    _find,
    _show,
    _bare_filter,
)
