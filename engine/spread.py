"""What a batched resolver is called with, and what it must return."""

from collections.abc import Sequence
from typing import Any


class Parents(list[Any]):
    """The parents that a batched resolver is called with by this engine: several where others hand one over."""


class BatchError(ValueError):
    """A batched resolver did not return one value for each of its parents."""


def spread(answer: Any, count: int, name: str) -> list[Any]:
    """Return one value for each parent; an error for each where there are not as many."""
    if isinstance(answer, Exception):
        return [answer] * count
    if isinstance(answer, str | bytes) or not isinstance(answer, Sequence):
        kind = type(answer).__name__
        return [BatchError(f"The batched resolver of {name} returned {kind}; return a list.")] * count
    if len(answer) != count:
        message = (
            f"The batched resolver of {name} returned {len(answer)} values for {count} parents;"
            " return one for each, in their order."
        )
        return [BatchError(message)] * count
    return list(answer)
