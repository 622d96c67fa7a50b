"""Parser of the offline model's sentences: a message becomes commands, or is refused as a whole.

docs/assistant.md lists the sentences. Each word is read a bounded number of times.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from assistant.offline.dates import MAX_WORDS, Calendar, read_duration

# A text in quotes, a line break, or a word; longer quotes are no titles.
_TOKEN: Final = re.compile(r'["\u201c]([^"\u201c\u201d\n]{1,500})["\u201d]|\n|[^\s"\u201c\u201d]+|["\u201c\u201d]')
_BULLET: Final = re.compile(r"^[ \t]*(?:[-*\u2022]|\d{1,2}[.)])[ \t]+", re.MULTILINE)
_TAG: Final = re.compile(r"#(?!\d+$)(\w[\w-]{0,49})")
_DATE_COMMA: Final = re.compile(r"(\d), (\d{4})\b")
_NUMBER: Final = re.compile(r"#?([1-9]\d{0,2})(?:st|nd|rd|th)?")
_PUNCTUATION: Final = ",;.!?:"
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
    {"me", "i", "is", "are", "do", "does", "have", "that", "which", "tagged", "there", "any", "still", "list", "due"}
    | {"on", "by", "before", "for", "many", *_TASKS, *_ARTICLES, *_ALL}
)
_ORDINALS: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
_IT: Final = frozenset({"it", "that", "this"})
_THEM: Final = frozenset({"them", "those", "these", "both"})

Arguments = dict[str, Any]


class NotUnderstoodError(Exception):
    """A part of a message is no sentence of the list; the argument is that part."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a text in quotes, or what stands between requests and titles; a quoted text has no `word`."""

    text: str
    word: str
    is_punctuation: bool = False

    @property
    def is_separator(self) -> bool:
        """Return whether a request may begin behind it."""
        return self.is_punctuation or self.word in {"and", "&", "\n"}


Tokens = Sequence[Token]


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


def parse(message: str, calendar: Calendar) -> list[Command]:
    """Return what a message asks for in its order, nothing for a greeting; raise NotUnderstoodError."""
    clauses: list[tuple[str, list[Token]]] = [("", [])]
    tokens = _tokens(message)
    place, is_start = 0, True
    while place < len(tokens):
        start = place
        while is_start and (size := next((n for n in (1, 2) if _phrase(tokens, start, n) in _POLITE), 0)):
            start += size
        size = next((n for n in range(4, 0, -1) if is_start and (_phrase(tokens, start, n) or None) in _OPENERS), 0)
        if size:
            clauses.append((_phrase(tokens, start, size), []))
            place = min(start + size, len(tokens))
        elif start > place and (start == len(tokens) or tokens[start].is_separator):
            place = start
        else:
            clauses[-1][1].append(tokens[place])
            place += 1
        is_start = tokens[place - 1].is_separator
    clauses = [(opener, _trim(given)) for opener, given in clauses]
    return [_build(opener, given, calendar) for opener, given in clauses if opener or given]


def _build(opener: str, tokens: Tokens, calendar: Calendar) -> Command:
    command = _BUILDERS[_OPENERS[opener]](tokens, calendar)
    if command is None:
        raise NotUnderstoodError(f"{opener} {_text(tokens if opener else _parts(tokens)[0])}".strip())
    return command


def _tokens(message: str) -> list[Token]:
    tokens: list[Token] = []
    # "December 5, 2026" is one date.
    text = _DATE_COMMA.sub(r"\1 \2", _BULLET.sub("", message.replace("\u2019", "'")))
    for match in _TOKEN.finditer(text):
        if match[1] is not None:
            tokens.append(Token(match[1].strip(), ""))
            continue
        core = match[0].rstrip(_PUNCTUATION)
        if core:
            tokens.append(Token(core, core.casefold()))
        if rest := match[0][len(core) :]:
            tokens.append(Token(rest, rest, is_punctuation=bool(tokens)))
    return tokens


def _phrase(tokens: Tokens, start: int, size: int) -> str:
    return " ".join(_words(tokens[start : start + size]))


def _words(tokens: Tokens) -> list[str]:
    return [token.word for token in tokens]


def _text(tokens: Tokens) -> str:
    return "".join(("" if token.is_punctuation else " ") + token.text for token in tokens).strip()


def _trim(tokens: Tokens) -> list[Token]:
    """Return the tokens without separators at their ends, and without "please" behind them."""
    start, end = 0, len(tokens)
    while start < end and tokens[start].is_separator:
        start += 1
    while start < end and (tokens[end - 1].is_separator or tokens[end - 1].word == "please"):
        end -= 1
    return list(tokens[start:end])


def _parts(tokens: Tokens) -> list[list[Token]]:
    """Split titles at "and", commas and line breaks; a full stop is part of one, as in "Mr. Smith"."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if not token.is_separator or token.text[0] in ".!?:":
            parts[-1].append(token)
        elif parts[-1]:
            parts.append([])
    return parts


# Adding


def _add(tokens: Tokens, calendar: Calendar) -> Command | None:
    tasks: list[Arguments] = []
    for part in _parts(tokens):
        task = _task(part, calendar)
        if "title" in task:
            tasks.append(task)
        elif tasks:
            # "Add milk, urgent and #home": what has no title belongs to the task before it.
            tags = [*tasks[-1].get("tags", []), *task.pop("tags", [])]
            tasks[-1] |= task | ({"tags": tags} if tags else {})
    return Command("add", tasks) if tasks else None


def _task(tokens: Tokens, calendar: Calendar) -> Arguments:
    """Return the arguments of add_task, without a title where the words say none."""
    rest, tags = _take_tags(tokens)
    rest, priority = _take_priority(rest)
    start, end, due = calendar.take(_words(rest))
    rest = rest[:start] + rest[end:]
    skipped = next((n for n, token in enumerate(rest) if token.word not in {"to", "about", ":", "called"}), len(rest))
    due_at = due.moment.isoformat() if due else None
    given = {"title": _text(rest[skipped:]), "due_at": due_at, "priority": priority, "tags": tags}
    return {name: value for name, value in given.items() if value}


def _take_tags(tokens: Tokens) -> tuple[list[Token], list[str]]:
    found = [_TAG.fullmatch(token.text) if token.word else None for token in tokens]
    rest = [token for token, match in zip(tokens, found, strict=True) if match is None]
    return rest, list(dict.fromkeys(match[1] for match in found if match))


def _take_priority(tokens: Tokens) -> tuple[list[Token], str | None]:
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


def _list(tokens: Tokens, calendar: Calendar) -> Command | None:
    words = _words(tokens)
    if "about" in words and set(words[: words.index("about")]) <= _NOISE:
        return _find(tokens[words.index("about") + 1 :], calendar)
    wanted = _filter(tokens, calendar)
    if wanted is not None and not _ALL & set(words):
        wanted = replace(wanted, arguments={"completed": False} | wanted.arguments)
    return None if wanted is None else Command("list", filter=wanted)


def _bare_list(tokens: Tokens, calendar: Calendar) -> Command | None:
    """Read "overdue" or "high priority tasks" as a list, which no verb begins."""
    wanted = _filter(tokens, calendar)
    return _list(tokens, calendar) if wanted is not None and wanted.arguments else None


def _filter(tokens: Tokens, calendar: Calendar) -> Filter | None:
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
        elif word not in _NOISE and not rest[place].is_separator:
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


def _find(tokens: Tokens, _: Calendar) -> Command | None:
    return Command("find", title=_text(tokens)) if tokens else None


# Changing


def _change(verb: str, tokens: Tokens, calendar: Calendar, value: Any = None) -> Command | None:
    wanted, words = _filter(tokens, calendar), set(_words(tokens))
    if wanted is not None and (_ALL & words or (wanted.arguments and _TASKS & words)):
        return Command(verb, filter=wanted, targets=[Target("every")], value=value)
    targets = [_target(part) for part in _parts(_trim(tokens))]
    return None if Target("title") in targets else Command(verb, (), Filter(), targets, _text(_trim(tokens)), value)


def _target(tokens: Tokens) -> Target:
    words = [word for word in _words(tokens) if word not in {"the", "number", "all", "of"} | _TASKS]
    if len(words) == 1 and words[0] in _IT | _THEM:
        return Target("it" if words[0] in _IT else "them")
    number = _NUMBER.fullmatch(words[0]) if len(words) == 1 else None
    if number or (len(words) == 1 and words[0] in _ORDINALS):
        return Target("place", place=int(number[1]) if number else _ORDINALS[words[0]])
    start = next((n for n, token in enumerate(tokens[:-1]) if token.word not in _ARTICLES), len(tokens) - 1)
    return Target("title", _text(tokens[start:]))


def _simple(verb: str) -> Callable[[Tokens, Calendar], Command | None]:
    return lambda tokens, calendar: _change(verb, tokens, calendar)


def _mark(tokens: Tokens, calendar: Calendar) -> Command | None:
    """Read "mark X as done"."""
    end = -2 if _phrase(tokens, len(tokens) - 2, 1) == "as" else -1
    return _change("complete", tokens[:end], calendar) if tokens and tokens[-1].word in _DONE else None


def _rename(tokens: Tokens, calendar: Calendar) -> Command | None:
    place = next((place for place, token in enumerate(tokens) if token.word == "to"), len(tokens))
    command = _change("rename", tokens[:place], calendar, _text(tokens[place + 1 :]))
    return command if command and command.value and len(command.targets) == 1 else None


def _move(tokens: Tokens, calendar: Calendar) -> Command | None:
    """Read "move X to friday" and "postpone X by 2 days"."""
    words = _words(tokens)
    for place in range(len(words) - 2, max(len(words) - MAX_WORDS - 2, -1), -1):
        value: Any = read_duration(words[place + 1 :]) if words[place] == "by" else None
        if words[place] in {"to", "until", "by"} and (value := value or calendar.read(words[place + 1 :])):
            return _change("move", tokens[:place], calendar, value)
    return None


def _make(tokens: Tokens, calendar: Calendar) -> Command | None:
    """Read "make X high priority"."""
    rest, priority = _take_priority(tokens)
    return _change("prioritise", rest, calendar, priority) if priority else None


def _bare(verb: str) -> Callable[[Tokens, Calendar], Command | None]:
    return lambda tokens, _: Command(verb) if set(_words(tokens)) <= _IT else None


_BUILDERS: Final[dict[str, Callable[[Tokens, Calendar], Command | None]]] = {
    **{verb: _simple(verb) for verb in ("complete", "reopen", "delete")},
    **{verb: _bare(verb) for verb in ("undo", "help")},
    **dict(zip(("", "add", "list", "find"), (_bare_list, _add, _list, _find), strict=True)),
    **dict(zip(("mark", "rename", "move", "make"), (_mark, _rename, _move, _make), strict=True)),
}
_OPENERS: Final = {"": ""} | {
    phrase: verb
    for verb, phrases in {
        "add": "add,add a task,add tasks,create a task,new task,remind me,i need to,i have to,todo",
        "list": "list,show,show me,tell me,tell me what's,tell me what is,what,what's,which,how many,do i have",
        "find": "find,search for,search",
        "complete": "complete,finish,i finished,i have finished,i've finished",
        "delete": "delete,remove",
        "move": "move,reschedule,postpone",
        "help": "help,what can you do",
        **{verb: verb for verb in ("reopen", "mark", "rename", "make", "undo")},
    }.items()
    for phrase in phrases.split(",")
}
