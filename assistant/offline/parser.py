"""Parser of the offline model's sentences: a message becomes commands, or is refused as a whole.

docs/assistant.md lists the sentences. Each word is read a bounded number of times.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from assistant.offline.dates import MAX_WORDS, Calendar, read_duration

# A text in quotes, a line break, or a word; longer quotes are no titles.
_TOKEN: Final = re.compile(r'["\u201c]([^"\u201c\u201d\n]{1,500})["\u201d]|\n|[^\s"\u201c\u201d]+|["\u201c\u201d]')
_BULLET: Final = re.compile(r"^[ \t]*(?:[-*\u2022]|\d{1,2}[.)])[ \t]+", re.MULTILINE)
_TAG: Final = re.compile(r"#(?!\d+$)(\w[\w-]{0,49})")
_YEAR: Final = re.compile(r"\d{4}")
_NUMBER: Final = re.compile(r"#?([1-9]\d{0,2})(?:st|nd|rd|th)?")
_PUNCTUATION: Final = ",;.!?:"
_SEPARATORS: Final = frozenset({"and", "&", "\n"})
_PRIORITIES: Final = {"high": "HIGH", "medium": "MEDIUM", "low": "LOW"}
_URGENT: Final = frozenset({"urgent", "important", "asap"})
_DONE: Final = frozenset({"done", "complete", "completed", "finished"})
_ALL: Final = frozenset({"all", "every", "everything"})
_TASKS: Final = frozenset({"task", "tasks", "todo", "todos", "one", "ones"})
_ARTICLES: Final = frozenset({"a", "an", "the", "my"})
_POLITE: Final = frozenset(
    {"please", "could you", "can you", "then", "also", "hello", "hi", "thanks", "thank you", "help"}
)
# Words that say nothing of which tasks are meant.
_NOISE: Final = frozenset(
    (
        "me",
        "i",
        "is",
        "are",
        "do",
        "does",
        "have",
        "that",
        "which",
        "tagged",
        "there",
        "any",
        "anything",
        "still",
        "list",
        "due",
    )
    + ("on", "by", "before", "for", "many", *_TASKS, *_ARTICLES, *_ALL)
)
_ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
_IT: Final = frozenset({"it", "that", "this"})
_THEM: Final = frozenset({"them", "those", "these", "both"})

Arguments = dict[str, Any]


class NotUnderstoodError(Exception):
    """A part of a message is no sentence of the list; the argument is that part."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a line break, or the punctuation behind a word; `word` is empty for a text in quotes."""

    text: str
    word: str
    is_punctuation: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Arguments of list_tasks, and how the period among them was said."""

    arguments: Arguments = field(default_factory=dict)
    period: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be changed: the task of a `title`, of a `place` in the last list, "it", "them", or "every" one."""

    kind: str
    title: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """What a sentence asks for.

    `tasks` are arguments of add_task, `title` is what all targets are as one title, `value` is what the verb takes.
    """

    verb: str
    tasks: Sequence[Arguments] = ()
    filter: Filter = field(default_factory=Filter)
    targets: Sequence[Target] = ()
    title: str = ""
    value: Any = None


@dataclass(frozen=True, slots=True)
class _Part:
    """The tokens between two separators, and the separators before them."""

    separators: Sequence[Token]
    tokens: Sequence[Token]


_Parts = Sequence[_Part]


def parse(message: str, calendar: Calendar) -> list[Command]:
    """Return what a message asks for in its order, nothing for a greeting; raise NotUnderstoodError."""
    clauses: list[tuple[str, list[_Part]]] = []
    for part in _split(_tokens(message)):
        tokens = _without_polite_words(part.tokens)
        verb, size = _verb(tokens)
        if verb or (tokens and not clauses):
            clauses.append((verb, [_Part((), tokens[size:])]))
        elif tokens:
            clauses[-1][1].append(_Part(part.separators, tokens))
    commands = []
    for verb, parts in clauses:
        # Without a verb it is a list, such as "overdue tasks", and otherwise nothing to be joined with what follows.
        command = _BUILDERS[verb](parts, calendar)
        if command is None:
            raise NotUnderstoodError(f"{verb} {_text(_joined(parts if verb else parts[:1]))}".strip())
        commands.append(command)
    return commands


def _tokens(message: str) -> list[Token]:
    tokens: list[Token] = []
    for match in _TOKEN.finditer(_BULLET.sub("", message.replace("\u2019", "'"))):
        text = match[0]
        if match[1] is not None:
            tokens.append(Token(match[1].strip(), ""))
            continue
        core = text.rstrip(_PUNCTUATION)
        if core:
            tokens.append(Token(core, core.casefold()))
        if core != text:
            tokens.append(Token(text[len(core) :], text[len(core) :], is_punctuation=bool(core or tokens)))
    return tokens


def _split(tokens: Sequence[Token]) -> Iterable[_Part]:
    """Split tokens at "and", line breaks and punctuation; "December 5, 2026" stays whole."""
    separators: list[Token] = []
    kept: list[Token] = []
    for token, following in zip(tokens, [*tokens[1:], Token("", "")], strict=True):
        if token.text == "," and _YEAR.fullmatch(following.word):
            continue
        if token.word in _SEPARATORS or (token.is_punctuation and token.text != ":"):
            if kept:
                yield _Part(tuple(separators), tuple(kept))
                separators, kept = [], []
            separators.append(token)
        else:
            kept.append(token)
    yield _Part(tuple(separators), tuple(kept))


def _words(tokens: Sequence[Token]) -> list[str]:
    return [token.word for token in tokens]


def _text(tokens: Sequence[Token]) -> str:
    return "".join(("" if token.is_punctuation else " ") + token.text for token in tokens).strip()


def _joined(parts: _Parts) -> list[Token]:
    return [token for part in parts for token in (*part.separators, *part.tokens)]


def _without_polite_words(tokens: Sequence[Token]) -> Sequence[Token]:
    start, end = 0, len(tokens)
    while size := next((n for n in (1, 2) if " ".join(_words(tokens[start : start + n])) in _POLITE), 0):
        start += size
    while end > start and tokens[end - 1].word in _POLITE:
        end -= 1
    return tokens[start:end]


def _verb(tokens: Sequence[Token]) -> tuple[str, int]:
    """Return the verb of the command that the words begin, and how many words it takes."""
    words = _words(tokens[:4])
    return next(
        ((_OPENERS[phrase], size) for size in range(4, 0, -1) if (phrase := " ".join(words[:size])) in _OPENERS),
        ("", 0),
    )


# Adding


def _add(parts: _Parts, calendar: Calendar) -> Command | None:
    tasks: list[Arguments] = []
    for tokens in _items(parts):
        task = _task(tokens, calendar)
        if "title" in task:
            tasks.append(task)
        elif tasks:
            # "Add milk, urgent and #home": what has no title belongs to the task before it.
            tags = [*tasks[-1].get("tags", []), *task.pop("tags", [])]
            tasks[-1] |= task | ({"tags": tags} if tags else {})
    return Command("add", tasks) if tasks else None


def _items(parts: _Parts) -> Iterable[Sequence[Token]]:
    """Return the tokens of each task; "call Mr. Smith" is one."""
    tokens: list[Token] = []
    for part in parts:
        if tokens and not _has_stop(part):
            yield tokens
            tokens = []
        tokens += [*(part.separators if tokens else ()), *part.tokens]
    yield tokens


def _has_stop(part: _Part) -> bool:
    return any(separator.text[0] in ".!?" for separator in part.separators)


def _task(tokens: Sequence[Token], calendar: Calendar) -> Arguments:
    """Return the arguments of add_task, without a title where the words say none."""
    rest, tags = _take_tags(tokens)
    rest, priority = _take_priority(rest)
    start, end, due = calendar.take(_words(rest))
    rest = rest[:start] + rest[end:]
    skipped = next((n for n, token in enumerate(rest) if token.word not in {"to", "about", ":", "called"}), len(rest))
    due_at = due.moment.isoformat() if due else None
    given = {"title": _text(rest[skipped:]), "due_at": due_at, "priority": priority, "tags": tags}
    return {name: value for name, value in given.items() if value}


def _take_tags(tokens: Sequence[Token]) -> tuple[list[Token], list[str]]:
    found = [_TAG.fullmatch(token.text) if token.word else None for token in tokens]
    rest = [token for token, match in zip(tokens, found, strict=True) if match is None]
    return rest, list(dict.fromkeys(match[1] for match in found if match))


def _take_priority(tokens: Sequence[Token]) -> tuple[list[Token], str | None]:
    """Return the tokens without the words for a priority: "!high", "high priority", or "urgent" at the end."""
    priority = None
    rest: list[Token] = []
    for place, token in enumerate(tokens):
        word = token.word
        if word == "priority" and rest and rest[-1].word in _PRIORITIES:
            priority = _PRIORITIES[rest.pop().word]
        elif word.startswith("!") and word[1:] in _PRIORITIES:
            priority = _PRIORITIES[word[1:]]
        elif word in _URGENT and place == len(tokens) - 1:
            priority = "HIGH"
        else:
            rest.append(token)
    return rest, priority


# Listing


def _list(parts: _Parts, calendar: Calendar) -> Command | None:
    tokens = _joined(parts)
    words = _words(tokens)
    if "about" in words and set(words[: words.index("about")]) <= _NOISE:
        return _find([_Part((), tokens[words.index("about") + 1 :])], calendar)
    wanted = _filter(tokens, calendar)
    if wanted is not None and not _ALL & set(words):
        wanted = replace(wanted, arguments={"completed": False} | wanted.arguments)
    return None if wanted is None else Command("list", filter=wanted)


def _bare_list(parts: _Parts, calendar: Calendar) -> Command | None:
    """Read "overdue" or "high priority tasks" as a list, which no verb begins."""
    wanted = _filter(parts[0].tokens, calendar)
    return _list(parts, calendar) if len(parts) == 1 and wanted is not None and wanted.arguments else None


def _filter(tokens: Sequence[Token], calendar: Calendar) -> Filter | None:
    """Return the filter that the words say; None where one of them says something else."""
    rest, tags = _take_tags(tokens)
    rest, priority = _take_priority(rest)
    found: Arguments = {name: value for name, value in (("priority", priority), ("tags", tags)) if value}
    words, period, place = _words(rest), "", 0
    while place < len(words):
        word, size = words[place], 1
        if word in _DONE or word == "open":
            found["completed"] = word != "open"
        elif word == "overdue":
            found |= {"completed": False, "due_before": calendar.now.isoformat(), "order": "DUE_AT"}
            period = word
        elif word not in _NOISE:
            size = next((n for n in range(MAX_WORDS, 0, -1) if calendar.period(words[place : place + n])), 0)
            bounds = calendar.period(words[place : place + size])
            if bounds is None or period:
                return None
            before = words[place - 1] if place else ""
            period = " ".join(words[place - (before in {"by", "before", "on"}) : place + size])
            end = bounds[0] if before == "before" else bounds[1]
            found |= {"due_before": calendar.at(end).isoformat(), "order": "DUE_AT"}
            found |= {} if before in {"by", "before"} else {"due_after": calendar.at(bounds[0]).isoformat()}
        place += size
    return Filter(found, period)


def _find(parts: _Parts, _: Calendar) -> Command | None:
    words = _text(_joined(parts))
    return Command("find", title=words) if words else None


# Changing


def _change(verb: str, parts: _Parts, calendar: Calendar, value: Any = None) -> Command | None:
    wanted = _filter(parts[0].tokens, calendar) if len(parts) == 1 else None
    words = set(_words(parts[0].tokens))
    if wanted is not None and (_ALL & words or (wanted.arguments and _TASKS & words)):
        return Command(verb, filter=wanted, targets=[Target("every")], value=value)
    targets = [_target(part.tokens) for part in parts]
    if any(_has_stop(part) for part in parts) or not all(target.title or target.kind != "title" for target in targets):
        return None
    return Command(verb, targets=targets, title=_text(_joined(parts)) if len(parts) > 1 else "", value=value)


def _target(tokens: Sequence[Token]) -> Target:
    words = [word for word in _words(tokens) if word not in {"the", "number", "all", "of"} | _TASKS]
    if len(words) == 1 and words[0] in _IT | _THEM:
        return Target("it" if words[0] in _IT else "them")
    if len(words) == 1 and (place := _place(words[0])):
        return Target("place", place=place)
    start = next((n for n, token in enumerate(tokens[:-1]) if token.word not in _ARTICLES), 0)
    return Target("title", _text(tokens[start:]))


def _place(word: str) -> int:
    match = _NUMBER.fullmatch(word)
    return int(match[1]) if match else _ORDINALS.get(word, 0)


def _simple(verb: str) -> Callable[[_Parts, Calendar], Command | None]:
    return lambda parts, calendar: _change(verb, parts, calendar)


def _without_end(parts: _Parts, end: int) -> list[_Part]:
    """Return the parts with the last of them cut before a token."""
    return [*parts[:-1], replace(parts[-1], tokens=parts[-1].tokens[:end])]


def _mark(parts: _Parts, calendar: Calendar) -> Command | None:
    """Read "mark X as done"."""
    words = _words(parts[-1].tokens)
    if not words or words[-1] not in _DONE:
        return None
    return _change("complete", _without_end(parts, -2 if words[-2:-1] == ["as"] else -1), calendar)


def _rename(parts: _Parts, calendar: Calendar) -> Command | None:
    tokens = tuple(_joined(parts))
    place = next((place for place, token in enumerate(tokens) if token.word == "to"), len(tokens))
    title = _text(tokens[place + 1 :])
    return _change("rename", [_Part((), tokens[:place])], calendar, title) if title else None


def _move(parts: _Parts, calendar: Calendar) -> Command | None:
    """Read "move X to friday" and "postpone X by 2 days"."""
    words = _words(parts[-1].tokens)
    for place in range(len(words) - 2, max(len(words) - MAX_WORDS - 2, -1), -1):
        value: Any = read_duration(words[place + 1 :]) if words[place] == "by" else None
        if words[place] in {"to", "until", "by"} and (value := value or calendar.read(words[place + 1 :])):
            return _change("move", _without_end(parts, place), calendar, value)
    return None


def _make(parts: _Parts, calendar: Calendar) -> Command | None:
    """Read "make X high priority"."""
    rest, priority = _take_priority(parts[-1].tokens)
    if priority is None:
        return None
    return _change("prioritise", [*parts[:-1], replace(parts[-1], tokens=tuple(rest))], calendar, priority)


def _tag(parts: _Parts, calendar: Calendar) -> Command | None:
    """Read "tag X with #a #b"."""
    rest, tags = _take_tags(parts[-1].tokens)
    if rest and rest[-1].word == "with":
        rest.pop()
    return _change("tag", [*parts[:-1], replace(parts[-1], tokens=rest)], calendar, tags) if tags else None


def _undo(parts: _Parts, _: Calendar) -> Command | None:
    return Command("undo") if set(_words(_joined(parts))) <= _IT else None


_BUILDERS: Final[dict[str, Callable[[_Parts, Calendar], Command | None]]] = {
    "": _bare_list,
    "add": _add,
    "list": _list,
    "find": _find,
    "complete": _simple("complete"),
    "reopen": _simple("reopen"),
    "delete": _simple("delete"),
    "mark": _mark,
    "rename": _rename,
    "move": _move,
    "make": _make,
    "tag": _tag,
    "undo": _undo,
}
_OPENERS: Final = {
    phrase: verb
    for verb, phrases in {
        "add": "add,add a task,add tasks,create a task,new task,remind me,i need to,i have to,todo",
        "list": "list,show,show me,tell me,tell me what's,tell me what is,what,what's,which,how many,do i have,anything",
        "find": "find,search for,search",
        "complete": "complete,finish,i finished,i have finished,i've finished",
        "reopen": "reopen",
        "delete": "delete,remove",
        "mark": "mark",
        "rename": "rename",
        "move": "move,reschedule,postpone",
        "make": "make",
        "tag": "tag",
        "undo": "undo",
    }.items()
    for phrase in phrases.split(",")
}
