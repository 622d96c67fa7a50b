"""Decides what is made at random: by bytes that hypothesis draws, or by a seed where there is much to decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Option = TypeVar("Option")


class Decisions:
    """Takes one byte for each decision; when they are used up the first option is taken, which is the simplest."""

    def __init__(self, data: bytes, wrong: int = 0) -> None:
        self._data = iter(data)
        # One of how many values is wrong; zero for none.
        self._wrong = wrong

    def next(self, limit: int) -> int:
        """Return a number below a limit."""
        return next(self._data, 0) % limit

    def one_in(self, number: int) -> bool:
        """Return true once in so many times."""
        return self.next(number) == number - 1

    def goes_wrong(self) -> bool:
        """Return whether a value is to be of another type."""
        return self._wrong > 0 and self.one_in(self._wrong)

    def choose(self, options: Sequence[Option]) -> Option:
        """Return one of several."""
        return options[self.next(len(options))]


@dataclass
class Choices:
    """Decides what each field gives."""

    seed: int
    # How many of a hundred.
    failing: int
    waiting: int
    # Nothing waits, but all decisions are the same.
    is_immediate: bool = False

    def next(self, limit: int) -> int:
        """Return a number below a limit."""
        self.seed = (self.seed * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.seed >> 33) % limit

    def fails(self) -> bool:
        """Return whether something fails."""
        return self.next(100) < self.failing

    def waits(self) -> bool:
        """Return whether something has to be awaited."""
        return self.next(100) < self.waiting and not self.is_immediate
