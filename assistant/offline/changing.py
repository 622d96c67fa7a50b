"""Sentences that change tasks: done, open again, renamed, moved, prioritised, tagged, deleted."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from assistant.offline.clean import Quotes
from assistant.offline.date_words import BACKWARD, DURATION
from assistant.offline.dates import Calendar
from assistant.offline.intents import (
    Action,
    Change,
    Complete,
    Delete,
    Every,
    Move,
    Prioritise,
    Rename,
    Reopen,
    Retag,
    Shift,
    Unclear,
)
from assistant.offline.references import read_reference
from assistant.offline.words import LEVEL, TAGS, level, tag_names, trim

_PAST: Final = {
    "bought": "buy",
    "paid": "pay",
    "called": "call",
    "sent": "send",
    "booked": "book",
    "cleaned": "clean",
    "fixed": "fix",
    "wrote": "write",
    "washed": "wash",
    "ordered": "order",
    "emailed": "email",
    "watered": "water",
    "submitted": "submit",
    "picked up": "pick up",
}
_IM: Final = r"(?:i|i've|i have|i'm|i am|we|we've|we have)(?: just| already| finally| now)?"
_DONE: Final = r"(?:done|complete|completed|finished|checked|closed)"
_DUE_DATE: Final = r"(?:due date|deadline|date|due time)s?"
_MAKE: Final = r"(?:make|set|mark|change|give|turn|flag|label|update)"
_VERBS: Final = "delete|remove|clear|erase|show|list|find|complete|mark|move|add"
_OWN: Final = r"(?P<ref>its|their|.+?(?='s))(?:'s)?"
_SPAN: Final = rf"(?:by |for |back |forward |earlier |out |another |ahead )*(?P<span>{DURATION})(?P<back> .*)?"


@dataclass(frozen=True, slots=True)
class _Sentence:
    pattern: re.Pattern[str]
    is_statement: bool
    read: Callable[[re.Match[str], Quotes, Calendar], Action | Unclear | None]


def read_change(clause: str, quotes: Quotes, calendar: Calendar) -> Change | Unclear | None:
    """Return the change that a clause asks for; None where it is about something else."""
    text = clause.strip().rstrip(".!?").strip()
    is_question = clause.rstrip().endswith("?")
    for sentence in _SENTENCES:
        if is_question and sentence.is_statement:
            continue
        match = sentence.pattern.fullmatch(text)
        action = None if match is None else sentence.read(match, quotes, calendar)
        if match is None or action is None:
            continue
        if isinstance(action, Unclear):
            return action
        words = _infinitive(match["ref"], match.groupdict().get("past"))
        reference = read_reference(words, quotes, calendar)
        if sentence.is_statement and isinstance(reference, Every):
            # "High priority tasks that are due this week" asks for a list.
            continue
        return Unclear(clause, "Which task do you mean?") if reference is None else Change(reference, action)
    return None


def _infinitive(reference: str, past: str | None) -> str:
    return f"{_PAST[' '.join(past.lower().split())]} {reference}" if past else reference


def _renamed(match: re.Match[str], quotes: Quotes, _: Calendar) -> Action | Unclear:
    title = trim(quotes.reveal(match["title"]))
    return Rename(title) if title else Unclear(match[0], "What shall the new title be?")


def _moved(match: re.Match[str], quotes: Quotes, calendar: Calendar) -> Action | Unclear:
    words = match["when"]
    if span := re.fullmatch(_SPAN, words, re.IGNORECASE):
        return _shifted(span, quotes, calendar)
    due = calendar.read(words)
    if due is None:
        shown = trim(quotes.reveal(words))[:80]
        return Unclear(
            match[0],
            f"I cannot read \u201c{shown}\u201d as a date. Try \u201cfriday\u201d or \u201cdec 3 at 5pm\u201d.",
        )
    return Move(due)


def _moved_if_date(match: re.Match[str], _: Quotes, calendar: Calendar) -> Action | None:
    due = calendar.read(match["when"])
    return None if due is None else Move(due)


def _shifted(match: re.Match[str], _: Quotes, __: Calendar) -> Action:
    span = re.sub(r"\b(?:a couple of)\b", "2", match["span"].lower().replace(" more", ""))
    return Shift(span, is_earlier=bool(BACKWARD.search(match[0])))


def _prioritised(match: re.Match[str], _: Quotes, __: Calendar) -> Action:
    return Prioritise(level(match["level"]))


def _tagged(match: re.Match[str], quotes: Quotes, _: Calendar) -> Action | None:
    names = tag_names(quotes.reveal(match["tags"]))
    return Retag(added=names) if names else None


def _untagged(match: re.Match[str], quotes: Quotes, _: Calendar) -> Action | None:
    tags = match["tags"]
    if re.fullmatch(r"(?i)(?:all |the |its )*tags?", tags.strip()):
        return Retag(removed=None)
    names = tag_names(quotes.reveal(tags))
    return Retag(removed=names) if names else None


def _always(action: Action) -> Callable[[re.Match[str], Quotes, Calendar], Action]:
    return lambda *_: action


_TABLE: Final[tuple[tuple[str, Callable[[re.Match[str], Quotes, Calendar], Action | Unclear | None]], ...]] = (
    # Tags
    (rf"(?:add|put|set|attach) (?:the )?(?:tags? |labels? )?(?P<tags>{TAGS}) (?:to|on) (?P<ref>.+)", _tagged),
    (r"(?:add|put|set|attach) (?:the |a )?(?:tags?|labels?) (?P<tags>.{1,100}?) (?:to|on) (?P<ref>.+)", _tagged),
    (rf"(?:un-?tag|unlabel) (?P<ref>.+?)(?: from| with)? (?P<tags>{TAGS})", _untagged),
    (rf"(?:un-?tag) (?P<tags>{TAGS}) from (?P<ref>.+)", _untagged),
    (r"(?:un-?tag|unlabel) (?P<ref>.+?) (?:from|as) (?P<tags>.+)", _untagged),
    (
        rf"(?:remove|delete|drop|take) (?:the )?(?:tags? )?(?P<tags>{TAGS})(?: tags?)? (?:from|of|off) (?P<ref>.+)",
        _untagged,
    ),
    (r"(?:remove|delete|drop|clear|take) (?P<tags>(?:all |the |its )*tags) (?:from|of|off) (?P<ref>.+)", _untagged),
    (r"(?:remove|delete|drop) (?:the )?tag (?P<tags>.{1,60}?) (?:from|of|off) (?P<ref>.+)", _untagged),
    (rf"(?:tag|label|mark) (?P<ref>.+?)(?: with| as)? (?P<tags>{TAGS})", _tagged),
    (r"tag (?P<ref>.+?) (?:with|as) (?P<tags>.+)", _tagged),
    (r"label (?P<ref>.+?) (?:with|as) (?P<tags>.+)", _tagged),
    # Due dates
    (
        rf"(?:remove|clear|delete|drop|unset|cancel) (?:the |its )?{_DUE_DATE} (?:of|from|for|on) (?P<ref>.+)",
        _always(Move(None)),
    ),
    (rf"(?:remove|clear|delete|drop|unset) {_OWN} {_DUE_DATE}", _always(Move(None))),
    (rf"(?:set|change|move|update|put) {_OWN} {_DUE_DATE} (?:to|on|for) (?P<when>.+)", _moved),
    (rf"(?P<ref>.+?) has no {_DUE_DATE}(?: any ?more)?", _always(Move(None))),
    (rf"{_MAKE} (?P<ref>.+?) (?:without (?:a )?{_DUE_DATE}|undated|have no {_DUE_DATE})", _always(Move(None))),
    (
        rf"(?:set|change|move|update|put) (?:the )?{_DUE_DATE} (?:of|for|on) (?P<ref>.+?) (?:to|on|for) (?P<when>.+)",
        _moved,
    ),
    (rf"give (?P<ref>.+?) (?:a |the )?{_DUE_DATE} (?:of|on) (?P<when>.+)", _moved),
    # Priorities
    (rf"(?:set|change|update|raise|lower) {_OWN} priority to (?P<level>{LEVEL})(?: priority)?", _prioritised),
    (
        (
            rf"(?:set|change|update|raise|lower|increase|reduce|put) (?:the )?priority (?:of|for|on) (?P<ref>.+?) to "
            rf"(?P<level>{LEVEL})(?: priority)?"
        ),
        _prioritised,
    ),
    (rf"{_MAKE} (?P<ref>.+?) (?:as |to |a |of )*!?(?P<level>{LEVEL})[- ]?(?:priority)?(?: task)?", _prioritised),
    (rf"{_MAKE} (?P<ref>.+?) (?:as |to |a )*priority (?P<level>high|medium|low)", _prioritised),
    (
        r"(?:prioriti[sz]e|(?:raise|increase|bump up) the priority (?:of|for|on)) (?P<ref>.+)",
        _always(Prioritise("HIGH")),
    ),
    (r"(?:de-?prioriti[sz]e|(?:lower|reduce) the priority (?:of|for|on)) (?P<ref>.+)", _always(Prioritise("LOW"))),
    (
        (
            r"(?P<ref>(?!what|which|is|are|how)\S.*?) (?:is|are) (?:now )?(?:very )?(?P<level>not urgent|urgent|"
            r"important)(?: now)?"
        ),
        _prioritised,
    ),
    # Titles
    (rf"(?:set|change|update|edit) {_OWN} (?:title|name) (?:to|into) (?P<title>.+)", _renamed),
    (
        (
            r"(?:rename|retitle) (?P<ref>(?:(?! to ).)+? to (?:(?! to ).)+?) (?:to|into|"
            r"as) (?P<title>(?:(?! to ).)+ to (?:(?! to ).)+)"
        ),
        _renamed,
    ),
    (r"(?:rename|retitle) (?P<ref>.+?) (?:to|into|as) (?P<title>.+)", _renamed),
    (r"(?:change|set|update|edit) (?:the )?(?:title|name) (?:of|for) (?P<ref>.+?) (?:to|into) (?P<title>.+)", _renamed),
    # Open again
    (r"(?:re-?open|un-?complete|un-?check|un-?tick|un-?mark|restore) (?P<ref>.+)", _always(Reopen())),
    (
        (
            r"(?:mark|set) (?P<ref>.+?) (?:as |to |back to )*(?:not (?:yet )?(?:done|completed?|finished)|undone|"
            r"incomplete|open|to ?do|"
            r"unfinished)(?: again)?"
        ),
        _always(Reopen()),
    ),
    (
        (
            r"(?P<ref>.+?) (?:is|are|isn't|was|wasn't) ?(?:not )?(?:(?<=not )(?:yet )?|(?<=n't ))(?:done|finished|"
            r"complete)(?: yet| after all)?"
        ),
        _always(Reopen()),
    ),
    (
        (
            r"i (?:haven't|have not|didn't|did not) (?:yet )?(?:finish|finished|complete|completed|do|"
            r"done) (?P<ref>.+?)(?: yet)?"
        ),
        _always(Reopen()),
    ),
    # Done
    (
        r"(?:mark|set|check|tick|cross) (?:off )?(?P<ref>.+?) (?:as |to |off as )*" + _DONE + "(?: off)?",
        _always(Complete()),
    ),
    (r"mark (?:as )?" + _DONE + ":? (?P<ref>.+)", _always(Complete())),
    (r"(?:check|tick|cross|mark) off (?P<ref>.+)", _always(Complete())),
    (r"(?:check|tick|cross|mark) (?P<ref>.+?) off(?: (?:my|the) list)?", _always(Complete())),
    (r"(?:complete|finish|close|resolve|finished|completed|done with|done:) ?(?P<ref>.+)", _always(Complete())),
    (
        _IM + r" (?:have |had )?(?:finished|completed|done|did|handled|dealt with|wrapped up|finished with|"
        r"done with|through with)"
        r"(?: with)? (?P<ref>.+)",
        _always(Complete()),
    ),
    (_IM + rf" (?P<past>{'|'.join(_PAST)}) (?P<ref>.+)", _always(Complete())),
    (
        (
            rf"(?P<ref>(?!what|which|is|are|how|do|did|{_VERBS})\S.*?)(?:'s| is| are| has been| have been) (?:now |"
            r"already )?(?:done|finished|completed?)(?: now| already)?"
        ),
        _always(Complete()),
    ),
    # Dates again, which may be a part of what stands above
    (rf"(?:move|push|postpone|delay|snooze|defer|shift|bring|pull|reschedule|put) (?P<ref>.+?) {_SPAN}", _shifted),
    (
        (
            r"(?:move|push|postpone|delay|snooze|defer|shift|bring forward|bring|pull|reschedule|"
            r"put off|push back) (?P<ref>.+?)"
            r"(?: from .+?)? (?:back |forward |off |out )?(?:to|until|till|for|by|on) (?P<when>.+)"
        ),
        _moved,
    ),
    (r"(?:postpone|reschedule|delay|snooze|defer|push|move) (?P<ref>.+) (?P<when>\S+(?: \S+)?)", _moved_if_date),
    (
        r"(?:make|set|change|update) (?P<ref>.+?) (?:to be )?(?:due|to|for|on) (?:on |by |to )?(?P<when>.+)",
        _moved_if_date,
    ),
    (
        (
            r"(?P<ref>(?!what|which|is|are|how|add|remind|show|list|anything)\S.*?) (?:is|are) (?:now )?due (?:on |"
            r"by )?(?P<when>.+)"
        ),
        _moved_if_date,
    ),
    (r"(?:change|update|edit) (?P<ref>.+?) (?:to|into) (?P<title>.+)", _renamed),
    # Deleting
    (
        (
            r"(?:delete|remove|erase|trash|discard|drop|cancel|get rid of|throw (?:away|out)|clear|scrap|"
            r"wipe) (?:out )?(?P<ref>.+?)"
            r"(?: (?:from|off) (?:my|the) (?:to-?do )?(?:list|tasks))?"
        ),
        _always(Delete()),
    ),
)
_SENTENCES: Final = tuple(
    _Sentence(re.compile(pattern, re.IGNORECASE), pattern.startswith("(?P<ref>"), read) for pattern, read in _TABLE
)
