"""Makes the dictionaries of objects out of the values of their fields: of one, or of a whole column of them."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, cast

MakeRows = Callable[..., list[dict[str, Any]]]
MakeRow = Callable[..., dict[str, Any]]
Known = tuple[tuple[str, str], ...]

# Keys are the clients' to choose: who sends many long ones fills no memory.
_LONGEST_KEPT: Final = 4_096


def row_maker(keys: tuple[str, ...]) -> MakeRows:
    """Return a function that takes a column for each key and returns a dictionary for each row."""
    return (_kept if sum(map(len, keys)) <= _LONGEST_KEPT else _make)(keys)


def lone_row_maker(keys: tuple[str, ...], given: tuple[str, ...], known: Known = ()) -> MakeRow:
    """Return a function that takes the values of some keys and returns a dictionary.

    Those that are known, as pairs with their keys, stand in it; all others are null.
    """
    return (_lone_kept if sum(map(len, keys)) <= _LONGEST_KEPT else _make_lone)(keys, given, known)


def _make(keys: tuple[str, ...]) -> MakeRows:
    """Compile it: a display with its keys written out is the fastest way to a dictionary, as for a named tuple."""
    if len(keys) == 1:
        return _single(keys[0])
    columns = ", ".join(f"c{index}" for index in range(len(keys)))
    values = ", ".join(f"v{index}" for index in range(len(keys)))
    return cast("MakeRows", _compiled(f"lambda {columns}: [{_display(keys, keys)} for {values} in zip({columns})]"))


def _make_lone(keys: tuple[str, ...], given: tuple[str, ...], known: Known) -> MakeRow:
    values = ", ".join(f"v{index}" for index in range(len(given)))
    return cast("MakeRow", _compiled(f"lambda {values}: {_display(keys, given, known)}"))


_kept: Final = lru_cache(maxsize=1024)(_make)
_lone_kept: Final = lru_cache(maxsize=1024)(_make_lone)


def _display(keys: tuple[str, ...], given: tuple[str, ...], known: Known = ()) -> str:
    words = {key: f"v{index}" for index, key in enumerate(given)} | {key: repr(text) for key, text in known}
    return f"{{{', '.join(f'{key!r}: {words.get(key)}' for key in keys)}}}"


def _compiled(source: str) -> Any:
    return eval(source, {"zip": zip})  # noqa: S307 - response keys and names of types, quoted, are all that comes from outside


def _single(key: str) -> MakeRows:
    def make(column: Sequence[Any]) -> list[dict[str, Any]]:
        return [{key: value} for value in column]

    return make
