"""Which of some tasks a person means by words: the very title, else all of the words, else nearly so."""

import re
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from assistant.offline.calls import Task
from assistant.offline.intents import Action, Complete, Reopen
from services.words import words_of

_SMALL: Final = frozenset(
    {"a", "an", "and", "at", "for", "in", "my", "of", "on", "our", "that", "the", "this", "to", "with"}
)
_ENDINGS: Final = re.compile(r"(?<=\w{3})(?:ing|ed|es|s|e)$")
_LONGEST: Final = 100
_LEAST_LIKENESS: Final = 0.8
_LEAST_BEGINNING: Final = 3


def matching(text: str, tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks that are meant, those of the closest kind of likeness alone."""
    plain = _plain(text)
    wanted = {word for word in words_of(text) if word not in _SMALL} or set(words_of(text))
    stems = {_stem(word) for word in wanted}
    tests: tuple[Callable[[str], bool], ...] = (
        lambda title: _plain(title) == plain,
        lambda title: wanted <= set(words_of(title)),
        lambda title: stems <= {_stem(word) for word in words_of(title)},
        lambda title: _begin(wanted, words_of(title)),
        lambda title: _is_close(plain, wanted, title),
    )
    for test in tests:
        found = [task for task in tasks if test(str(task["title"]))]
        if found and wanted:
            return found
    return []


def fitting(tasks: Sequence[Task], action: Action) -> list[Task]:
    """Return those that the action is likely meant for: open ones, unless it is about done ones."""
    is_wanted_done = isinstance(action, Reopen)
    likely = [task for task in tasks if bool(task.get("completed")) is is_wanted_done]
    return likely or list(tasks)


def is_already(task: Task, action: Action) -> bool:
    """Tell whether there is nothing left to do."""
    done = bool(task.get("completed"))
    return done if isinstance(action, Complete) else not done if isinstance(action, Reopen) else False


def _plain(text: Any) -> str:
    return " ".join(re.findall(r"\w+", str(text).casefold()))


def _stem(word: str) -> str:
    return _ENDINGS.sub("", word)


def _begin(wanted: set[str], words: Sequence[str]) -> bool:
    return all(len(part) >= _LEAST_BEGINNING and any(word.startswith(part) for word in words) for part in wanted)


def _is_close(plain: str, wanted: set[str], title: str) -> bool:
    if _likeness(plain, _plain(title)) >= _LEAST_LIKENESS:
        return True
    words = words_of(title[:_LONGEST])
    return all(any(_likeness(word, other) >= _LEAST_LIKENESS for other in words) for word in wanted)


def _likeness(one: str, other: str) -> float:
    matcher = SequenceMatcher(None, one[:_LONGEST], other[:_LONGEST])
    if matcher.real_quick_ratio() < _LEAST_LIKENESS or matcher.quick_ratio() < _LEAST_LIKENESS:
        return 0.0
    return matcher.ratio()
