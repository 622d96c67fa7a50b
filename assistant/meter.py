"""Measures what a run's model reads and writes, where its provider does not tell: by the length of the text."""

from typing import Any, Final

from assistant.reply_writer import ReplyTooLongError
from services.runs.progress import Tokens

CHARACTERS_PER_TOKEN: Final = 4
# Of one answer with all the arguments in it; what is longer has no end.
_MOST_LENGTH: Final = 1_000_000


class Meter:
    """Listens to the answers of a model; of one that was cut off, its provider never tells."""

    def __init__(self, asked: int) -> None:
        self._asked = asked
        self._written = 0
        self._is_open = False
        self._measured = Tokens()

    @property
    def tokens(self) -> Tokens:
        """Return what nobody has told of, the answer that has begun included."""
        return self._with_answer() if self._is_open else self._measured

    def hear(self, event: Any) -> None:
        """Take the next event of the model's."""
        if event.type == "response.created":
            self._is_open, self._written = True, 0
        elif event.type == "response.completed":
            if event.response.usage is None:
                self._measured = self._with_answer()
            self._is_open = False
        elif isinstance(delta := getattr(event, "delta", None), str):
            self._written += len(delta)
            if self._written > _MOST_LENGTH:
                raise ReplyTooLongError

    def _with_answer(self) -> Tokens:
        read, written = (length // CHARACTERS_PER_TOKEN for length in (self._asked, self._written))
        return Tokens(self._measured.read + read, self._measured.written + written)
