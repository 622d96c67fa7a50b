"""Small pieces that several kinds of sentences share: tags, priorities, lists of things."""

import re
from typing import Final

TAG: Final = re.compile(r"(?<![\w&#/])#(?!\d+\b)(\w[\w-]{0,49})")
TAGS: Final = r"#\w[\w-]*(?:(?:,? and |, ?| )#\w[\w-]*)*"
LEVEL: Final = r"(?:highest|high|top|medium|normal|middle|lowest|low|urgent|important)"
_PRIORITY: Final = re.compile(
    rf"(?<!\w)(?:!(?P<bang>high|medium|low|urgent)|(?:(?:with|at|of|in) )?(?:a )?(?P<before>{LEVEL})[- ]priority"
    r"|(?:(?:with|at|of) )?priority(?: is|:)? ?(?P<after>highest|high|top|medium|normal|lowest|low|urgent))(?![\w-])",
    re.IGNORECASE,
)
_URGENT: Final = re.compile(
    r"^(?P<first>not urgent|urgent|important)(?::| - |,)|"
    r"[\s,(-]+(?:it's |it is |and |very )?(?P<last>not urgent|urgent|urgently|asap|important|not important)\)?$",
    re.IGNORECASE,
)
_LOW: Final = frozenset({"low", "lowest", "not urgent", "not important"})
_MEDIUM: Final = frozenset({"medium", "normal", "middle"})
_TAG_BREAK: Final = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s+(?=#)")
_COMMA: Final = re.compile(r"\s*,\s*(?:and |& )?|\s+and\s+|\s+&\s+")
_EDGES: Final = " \t\n,;:-\u2013\u2014"


def level(word: str) -> str:
    """Return the priority that a word means."""
    text = word.lower()
    return "LOW" if text in _LOW else "MEDIUM" if text in _MEDIUM else "HIGH"


def take_tags(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text without its tags, and the tags."""
    tags = tuple(dict.fromkeys(match[1] for match in TAG.finditer(text)))
    if not tags:
        return text, ()
    bare = re.sub(r"(?:\b(?:tagged|tags?:?)(?: with| as)? |\bwith (?:the )?tags? )?" + TAG.pattern, " ", text)
    return bare, tags


def tag_names(text: str) -> tuple[str, ...]:
    """Return the tags of a list that may come without the sign, such as `#home and work`."""
    parts = [part.strip(" #.\"'") for part in _TAG_BREAK.split(text)]
    return tuple(dict.fromkeys(part for part in parts if part))


def take_priority(text: str) -> tuple[str, str | None]:
    """Return the text without its priority, and the priority."""
    match = _PRIORITY.search(text) or _URGENT.search(text)
    if match is None:
        return text, None
    word = next(group for group in match.groups() if group)
    return f"{text[: match.start()]} {text[match.end() :]}", level(word)


def parts_of(text: str) -> list[str]:
    """Return the parts of a list such as `a, b and c`."""
    return [part for raw in _COMMA.split(text) if (part := trim(raw))]


def trim(text: str) -> str:
    """Return the text without what is left over at its edges."""
    return " ".join(text.split()).strip(_EDGES)
