"""Makes the dictionaries of a whole column of objects out of the columns of their fields."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, cast

MakeRows = Callable[..., list[dict[str, Any]]]

# Keys are the clients' to choose: who sends many long ones fills no memory.
_LONGEST_KEPT: Final = 4_096


def row_maker(keys: tuple[str, ...]) -> MakeRows:
    """Return a function that takes a column for each key and returns a dictionary for each row."""
    return (_kept if sum(map(len, keys)) <= _LONGEST_KEPT else _make)(keys)


def _make(keys: tuple[str, ...]) -> MakeRows:
    """Compile it: a display with its keys written out is the fastest way to a dictionary, as for a named tuple."""
    if len(keys) == 1:
        return _single(keys[0])
    columns = ", ".join(f"c{index}" for index in range(len(keys)))
    values = ", ".join(f"v{index}" for index in range(len(keys)))
    pairs = ", ".join(f"{key!r}: v{index}" for index, key in enumerate(keys))
    source = f"lambda {columns}: [{{{pairs}}} for {values} in zip({columns})]"
    return cast("MakeRows", eval(source, {"zip": zip}))  # noqa: S307 - response keys, quoted, are all that comes from outside


_kept: Final = lru_cache(maxsize=1024)(_make)


def _single(key: str) -> MakeRows:
    def make(column: Sequence[Any]) -> list[dict[str, Any]]:
        return [{key: value} for value in column]

    return make
