"""Tells by their class what values are, so that a column of them is judged by its few classes."""

from enum import Enum
from functools import lru_cache
from types import GeneratorType, NoneType
from typing import Final

from graphql.pyutils import UndefinedType

NULL: Final = 1
UNDEFINED: Final = 2
ERROR: Final = 4
# Of a generator it is known only when it is looked at.
MAYBE_AWAITABLE: Final = 8
ASYNC_ITERABLE: Final = 16
CALLABLE: Final = 32
ENUM: Final = 64


@lru_cache(maxsize=4096)
def traits(kind: type) -> int:
    """Return what the values of a class are, as flags."""
    if kind is NoneType:
        return NULL
    if issubclass(kind, UndefinedType):
        return UNDEFINED
    found = ERROR if issubclass(kind, Exception) else 0
    if hasattr(kind, "__await__") or issubclass(kind, GeneratorType):
        found |= MAYBE_AWAITABLE
    if hasattr(kind, "__aiter__"):
        found |= ASYNC_ITERABLE
    if hasattr(kind, "__call__"):  # noqa: B004 - it is asked of the class, whose values have it then
        found |= CALLABLE
    if issubclass(kind, Enum):
        found |= ENUM
    return found


def traits_of(kinds: set[type]) -> int:
    """Return what values of any of these classes are."""
    found = 0
    for kind in kinds:
        found |= traits(kind)
    return found
