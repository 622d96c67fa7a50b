"""Makes values of input types, to be written as literals or sent as variables: some of them wrong."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from tests.engine.decisions import Decisions

# The values of each type, the last of them of none.
_SCALARS: Final[dict[str, tuple[Any, ...]]] = {
    "Int": (3, 0, -1, "three"),
    "Float": (1.5, 2, -1, "half"),
    "String": ("s", "", "word", 4),
    "Boolean": (True, False, True, "yes"),
    "ID": ("i", 5, "", 1.5),
}
_POINT: Final = {"x": "Int!", "y": "[Int]", "label": "String", "next": "Point", "colour": "Colour"}
_EITHER: Final = {"a": "Int", "b": "String", "c": "Point"}


class Name(str):
    """What is written without quotes: a value of an enum, or a variable."""

    __slots__ = ()


# Declares a variable of a type and names it.
Declare: TypeAlias = Callable[[str], Name]


def value(decisions: Decisions, type_: str, declare: Declare | None = None) -> Any:
    """Return a value of a type; with `declare` there may be variables in it."""
    if declare is not None and decisions.one_in(5):
        return declare(type_)
    if type_.endswith("!") and not decisions.goes_wrong():
        return _present(decisions, type_[:-1], declare)
    return None if decisions.one_in(6) else _present(decisions, type_.rstrip("!"), declare)


def _present(decisions: Decisions, type_: str, declare: Declare | None) -> Any:
    if type_.startswith("["):
        item = type_[1:-1]
        # A value that is no list stands for a list of it.
        if decisions.one_in(6):
            return value(decisions, f"{item.rstrip('!')}!", declare)
        return [value(decisions, item, declare) for _ in range(decisions.next(3))]
    if type_ == "Point":
        chosen = {name: of for name, of in _POINT.items() if decisions.one_in(3)}
        point = {name: value(decisions, of, declare) for name, of in chosen.items()}
        return {**point, "unknown": 1} if decisions.goes_wrong() else point
    if type_ == "Either":
        count = 2 if decisions.goes_wrong() else 1
        start = decisions.next(3)
        chosen = dict([*_EITHER.items(), *_EITHER.items()][start : start + count])
        return {name: value(decisions, f"{of}!", declare) for name, of in chosen.items()}
    if type_ == "Colour":
        return Name("BLUE" if decisions.goes_wrong() else decisions.choose(("RED", "GREEN")))
    options = _SCALARS[type_]
    return options[-1] if decisions.goes_wrong() else decisions.choose(options[:-1])


def printed(given: Any) -> str:
    """Return a value as a literal."""
    if isinstance(given, Name):
        return str(given)
    if isinstance(given, list):
        return f"[{', '.join(map(printed, given))}]"
    if isinstance(given, dict):
        return f"{{{', '.join(f'{name}: {printed(item)}' for name, item in given.items())}}}"
    return json.dumps(given)
