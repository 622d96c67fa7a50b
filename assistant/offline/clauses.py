"""A message taken apart into clauses of one wish each."""

import re
from typing import Final

MOST_CLAUSES: Final = 8
_REACH: Final = 200
_LEVEL: Final = r"(?:high|low|medium|normal|top|highest|lowest|urgent|important)"
_SEPARATOR: Final = re.compile(
    r"\s*\n+\s*|[.!?;]+(?=\s|$)\s*|(?:\s*,)?\s+(?:and\s+then|and\s+also|then|and|also|plus|but|&)\s+|\s*,\s*",
    re.IGNORECASE,
)
_FILLER: Final = re.compile(
    r"(?:(?:please|kindly|(?:hey|hi|hello)(?: there)?|ok(?:ay)?|so|well|now|then|also|and|plus|but|just|"
    r"finally|next|first|oh|yes|"
    r"good (?:morning|afternoon|evening)|"
    r"(?:can|could|would|will) you(?: please)?|i(?:'d| would) (?:like|want) (?:you )?to|i want you to|"
    r"i (?:want|need) to(?= (?:add|create|delete|remove|mark|see|list|show|rename|reopen|postpone|reschedule)\b)|"
    r"go ahead and|let's|"
    r"help me|you (?:can|may|should)|after that)\b[\s,:!.]*)",
    re.IGNORECASE,
)
_TAIL: Final = re.compile(
    r"[\s,.!]*\b(?:please|thanks(?: a lot| so much)?|thank you(?: very much| so much)?|for me|cheers)[\s.!?]*$",
    re.IGNORECASE,
)
# What begins a wish of its own wherever it stands.
_STRONG: Final = re.compile(
    r"(?:add\b|new task|create (?:an? |another |\d+ )?(?:new )?(?:task|to-?do|reminder)|remind me|list\b|tell me|"
    r"show (?:me|my|all|the|what|open|done|overdue|everything|high|low)\b|give me (?:a list|my|the)|"
    r"what(?:'s|s| is| are| do| does| should| have)\b|which (?:tasks|ones|of)\b|how many|when (?:is|are|do)\b|"
    r"do i have|"
    r"is there|are there|find (?:me |my |all |any|every|tasks)|search\b|look for|complete\b|(?:tick|check|cross) off|"
    r"mark [^,;.\n]{1,120}?(?:\bas\b|\bdone\b|\bcomplete)|(?:i(?:'ve| have)?|we(?:'ve| have)?) (?:just |already )?"
    r"(?:finished|completed|done|did)\b|reopen\b|un(?:complete|tag|check|tick)\b|rename\b|"
    r"(?:move|push|bump|change|set|update) [^,;.\n]{1,120}? (?:to|by|until|back)\b|"
    r"(?:postpone|reschedule|snooze|delay|defer) [^,;.\n]{1,120}?\b(?:to|by|until|till|for|a)\b|"
    rf"delete\b|remove\b|erase\b|get rid of|(?:make|mark) [^,;.\n]{{1,120}}?\b{_LEVEL}\b|prioriti[sz]e\b|tag\b|"
    r"label [^,;.\n]{1,120}? (?:as|with)\b|plan my day|(?:do )?(?:a |my )?weekly review|thanks|thank you|help$)",
    re.IGNORECASE,
)
# What may as well go on with the title of a task to add, such as "call mum and finish the report".
_WEAK: Final = re.compile(
    r"(?:finish|find|close|cancel|drop|clear|move|push|set|make|change|put|create|postpone|reschedule|show|mark|"
    r"i(?:'ve| have)? (?:just |already )?(?:bought|paid|called|sent|booked|cleaned|fixed|wrote|washed|ordered|emailed)|"
    r"i (?:also )?(?:need|have|must)|don't forget|remember to|(?:it|that)(?:'s| is))\b",
    re.IGNORECASE,
)
_ADDING: Final = re.compile(
    r"(?:add|new task|create|remind|make (?:a|an|another) (?:new )?(?:task|to-?do)|put|i need|i have to|i must|"
    r"to-?do)\b",
    re.IGNORECASE,
)
_RENAMING: Final = re.compile(r"(?:rename|retitle|(?:change|set) the (?:title|name))\b", re.IGNORECASE)
_NEGATED: Final = re.compile(r"(?:i )?(?:don't|do not|never|dont)\b(?! forget| let me forget)", re.IGNORECASE)
_ENDING: Final = re.compile(r"[.!?;\n]|\bbut\b", re.IGNORECASE)
_MOST_FILLERS: Final = 6


def clauses_of(text: str) -> list[str]:
    """Return the clauses; text is cut where a wish begins, never within a title."""
    clauses: list[str] = []
    start, current = 0, _without_fillers(text)
    for match in _SEPARATOR.finditer(text):
        if len(clauses) >= MOST_CLAUSES - 1:
            break
        if not text[start : match.start()].strip() or not _begins(text, match, current):
            continue
        clauses.append(text[start : match.start()])
        start, current = match.end(), _without_fillers(text[match.end() : match.end() + _REACH])
    clauses.append(text[start:])
    return [clause for raw in clauses if (clause := polish(raw))]


def polish(clause: str) -> str:
    """Return the clause without courtesies around it."""
    return _TAIL.sub("", _without_fillers(clause.strip(" ,;"))).strip(" ,;") or clause.strip(" ,;.!?")


def _begins(text: str, separator: re.Match[str], current: str) -> bool:
    if _NEGATED.match(current) and not _ENDING.search(separator[0]):
        # "Don't complete this and delete that" forbids both.
        return False
    rest = _without_fillers(text[separator.end() : separator.end() + _REACH])
    if _STRONG.match(rest):
        return True
    if _ADDING.match(current) or _RENAMING.match(current):
        return False
    return bool(_WEAK.match(rest)) or bool(_ADDING.match(rest))


def _without_fillers(text: str) -> str:
    rest = text.lstrip()
    for _ in range(_MOST_FILLERS):
        match = _FILLER.match(rest)
        if match is None or match.end() == len(rest):
            break
        rest = rest[match.end() :]
    return rest
