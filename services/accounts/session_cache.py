"""The gate: remembers for a few seconds whose sessions stand, so that a request needs no query for it."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from dataclasses import dataclass
from typing import Final

KNOWN_FOR_S: Final = 4.0

_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says of a session that stands."""

    is_admin: bool


# Asks the database; answers None where there is no such session, or no longer.
Ask = Callable[[], Awaitable[Standing | None]]


@dataclass(frozen=True, slots=True)
class _Answer:
    user_id: str
    standing: Standing | None
    asked_at: float

    def is_fresh(self) -> bool:
        """Tell whether it may be given again."""
        return time.monotonic() - self.asked_at < KNOWN_FOR_S


@dataclass(slots=True, eq=False)
class _Question:
    user_id: str
    answer: asyncio.Task[_Answer]
    is_outdated: bool = False


class Gate:
    """Answers from memory where it can, and asks one question at a time for each key, however many wait."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._questions: dict[Hashable, _Question] = {}

    async def standing(self, key: Hashable, user_id: str, ask: Ask) -> Standing | None:
        """Return how the user's session of that key stands, as known for a few seconds at most."""
        while True:
            answer = self._answers.get(key)
            if answer is not None and answer.is_fresh():
                return answer.standing
            question = self._questions.get(key) or self._start(key, user_id, ask)
            answer = await asyncio.shield(question.answer)
            if not question.is_outdated:
                return answer.standing

    def still_knows(self, standing: Standing, key: Hashable) -> bool:
        """Tell whether a standing that was given is still what is known without asking."""
        answer = self._answers.get(key)
        return answer is not None and answer.standing is standing and answer.is_fresh()

    def _start(self, key: Hashable, user_id: str, ask: Ask) -> _Question:
        # A context of its own: it answers all who wait, so it belongs to no single request.
        task = asyncio.create_task(_answer(user_id, ask), context=Context())
        question = self._questions[key] = _Question(user_id, task)
        task.add_done_callback(lambda _task: self._close(key, question))
        return question

    def _close(self, key: Hashable, question: _Question) -> None:
        if question.is_outdated:
            return
        del self._questions[key]
        if question.answer.cancelled() or question.answer.exception() is not None:
            return
        self._answers[key] = question.answer.result()
        self._answers.move_to_end(key)
        if len(self._answers) > _MOST_REMEMBERED:
            self._answers.popitem(last=False)

    def forget(self, user_id: str) -> None:
        """Ask anew about the user; what is being asked now may be answered with what was true before."""
        for key in [key for key, answer in self._answers.items() if answer.user_id == user_id]:
            del self._answers[key]
        for key in [key for key, question in self._questions.items() if question.user_id == user_id]:
            self._questions.pop(key).is_outdated = True


async def _answer(user_id: str, ask: Ask) -> _Answer:
    asked_at = time.monotonic()
    return _Answer(user_id, await ask(), asked_at)
