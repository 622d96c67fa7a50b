"""Parser of the offline model's sentences: a message becomes commands, or is refused as a whole.

docs/assistant.md lists the sentences. Each word is read a bounded number of times.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from assistant.offline.dates import MAX_WORDS, Calendar

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
_POLITE: Final = frozenset({"please", "could you", "can you", "then", "also", "hello", "hi", "thanks", "thank you"})
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
class Target:
    """What is to be changed: the task of a `title`, of a `place` in the last list, "it", "them", or "every" one."""

    kind: str
    title: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """What a sentence asks for.

    `tasks` are arguments of add_task, `filter` those of list_tasks with the words for their `period`, `value` is the
    words to find, the new title or the new due date.
    """

    verb: str
    tasks: Sequence[Arguments] = ()
    targets: Sequence[Target] = ()
    filter: Arguments = field(default_factory=dict)
    period: str = ""
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
        size = next((n for n in range(4, 0, -1) if is_start and _phrase(tokens, start, n) in _VERBS), 0)
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
    return [_command(opener, given, calendar) for opener, given in clauses if opener or given]


def _command(opener: str, tokens: Tokens, calendar: Calendar) -> Command:
    verb, command = _VERBS.get(opener), None
    if verb in _READERS:
        command = _READERS[verb](tokens, calendar)
    elif verb in {"undo", "help"}:
        command = Command(verb) if set(_words(tokens)) <= _IT else None
    elif verb:
        command = _change(verb, tokens, calendar)
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


def _add(tokens: Tokens, calendar: Calendar) -> Command | None:
    tasks: list[Arguments] = []
    for part in _parts(tokens):
        task = _task(part, calendar)
        if "title" in task:
            tasks.append(task)
        elif tasks:
            # "Add milk, urgent and #home": what has no title belongs to the task before it.
            tags = {"tags": [*tasks[-1]["tags"], *task["tags"]]} if "tags" in tasks[-1] and "tags" in task else {}
            tasks[-1] |= task | tags
    return Command("add", tasks) if tasks else None


def _task(tokens: Tokens, calendar: Calendar) -> Arguments:
    """Return the arguments of add_task, without a title where the words say none."""
    rest, task = _take_labels(tokens)
    start, end, due = calendar.take(_words(rest))
    rest = rest[:start] + rest[end:]
    while rest and rest[0].word in {"to", "about", ":", "called"}:
        rest = rest[1:]
    task |= {"title": _text(rest)} if rest else {}
    return task | ({"due_at": due.moment.isoformat()} if due else {})


def _take_labels(tokens: Tokens) -> tuple[list[Token], Arguments]:
    """Return the tokens without tags and words for a priority, and these as arguments of the tools."""
    rest: list[Token] = []
    labels: Arguments = {}
    for place, token in enumerate(tokens):
        if token.word and (tag := _TAG.fullmatch(token.text)):
            labels.setdefault("tags", []).append(tag[1])
        elif token.word == "priority" and rest and rest[-1].word in _PRIORITIES:
            labels["priority"] = _PRIORITIES[rest.pop().word]
        elif token.word.startswith("!") and token.word[1:] in _PRIORITIES:
            labels["priority"] = _PRIORITIES[token.word[1:]]
        elif token.word in _URGENT and place == len(tokens) - 1:
            labels["priority"] = "HIGH"
        else:
            rest.append(token)
    return rest, labels


def _list(tokens: Tokens, calendar: Calendar) -> Command | None:
    if (wanted := _filter(tokens, calendar)) is None:
        return None
    state = {} if _ALL & set(_words(tokens)) else {"completed": False}
    return Command("list", filter=state | wanted[0], period=wanted[1])


def _find(tokens: Tokens, _: Calendar) -> Command | None:
    return Command("find", value=_text(tokens)) if tokens else None


def _filter(tokens: Tokens, calendar: Calendar) -> tuple[Arguments, str] | None:
    """Return the filter that the words say and those for its period; None where a word says something else."""
    rest, found = _take_labels(tokens)
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
    return found, period


def _change(verb: str, tokens: Tokens, calendar: Calendar, value: Any = None) -> Command | None:
    wanted, words = _filter(tokens, calendar), set(_words(tokens))
    if wanted is not None and (_ALL & words or (wanted[0] and _TASKS & words)):
        return Command(verb, targets=[Target("every")], filter=wanted[0], value=value)
    targets = [_target(part) for part in _parts(_trim(tokens))]
    return None if Target("title") in targets else Command(verb, targets=targets, value=value)


def _target(tokens: Tokens) -> Target:
    words = [word for word in _words(tokens) if word not in {"the", "number", "all", "of"} | _TASKS]
    word = words[0] if len(words) == 1 else ""
    if word in _IT | _THEM:
        return Target("it" if word in _IT else "them")
    if word in _ORDINALS:
        return Target("place", place=_ORDINALS[word])
    if number := _NUMBER.fullmatch(word):
        return Target("place", place=int(number[1]))
    start = next((n for n, token in enumerate(tokens[:-1]) if token.word not in _ARTICLES), len(tokens) - 1)
    return Target("title", _text(tokens[start:]))


def _rename(tokens: Tokens, calendar: Calendar) -> Command | None:
    place = next((place for place, token in enumerate(tokens) if token.word == "to"), len(tokens))
    command = _change("rename", tokens[:place], calendar, _text(tokens[place + 1 :]))
    return command if command and command.value and len(command.targets) == 1 else None


def _move(tokens: Tokens, calendar: Calendar) -> Command | None:
    words = _words(tokens)
    for place in range(len(words) - 2, max(len(words) - MAX_WORDS - 2, -1), -1):
        if words[place] == "to" and (due := calendar.read(words[place + 1 :])):
            return _change("move", tokens[:place], calendar, due)
    return None


# The phrases that begin a request, by the verb of its command; each phrase has at most four words.
_PHRASES: Final = {
    "add": "add,add a task,add tasks,create a task,new task,remind me,i need to,i have to,todo",
    "list": "list,show,show me,tell me,tell me what's,tell me what is,what,what's,which,how many,do i have",
    "find": "find,search for,search",
    "complete": "complete,finish,i finished,i have finished,i've finished",
    "reopen": "reopen",
    "delete": "delete,remove",
    "rename": "rename",
    "move": "move,reschedule",
    "undo": "undo",
    "help": "help",
}
_VERBS: Final = {phrase: verb for verb, phrases in _PHRASES.items() for phrase in phrases.split(",")}
_READERS: Final = {"add": _add, "list": _list, "find": _find, "rename": _rename, "move": _move}
