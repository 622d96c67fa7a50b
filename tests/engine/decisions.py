"""Decides what is made at random: by bytes that hypothesis draws, or by a seed where there is much to decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

Option = TypeVar("Option")


class Decisions:
    """Takes one byte for each decision; when they are used up the first option is taken, which is the simplest."""

    def __init__(self, data: bytes, wrong: int = 0) -> None:
        self._data = iter(data)
        # One of how many values is wrong; zero for none.
        self._wrong = wrong

    def next(self, limit: int) -> int:
        return next(self._data, 0) % limit

    def one_in(self, number: int) -> bool:
        return self.next(number) == number - 1

    def goes_wrong(self) -> bool:
        return self._wrong > 0 and self.one_in(self._wrong)

    def choose(self, options: Sequence[Option]) -> Option:
        return options[self.next(len(options))]


@dataclass(frozen=True)
class Choices:
    """Decides what the field of a path gives: always the same, whoever reads it in which order."""

    seed: int
    # How many of a hundred.
    failing: int
    waiting: int

    def at(self, path: str) -> Random:
        return Random(f"{self.seed} {path}")  # noqa: S311 - not for secrets
