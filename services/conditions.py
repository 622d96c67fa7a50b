"""Conditions of lists, told apart from their values: statements are made and compiled once for each form."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement


class ConditionsForm(NamedTuple):
    """What must hold, all but the values that it is asked with."""

    shape: Hashable
    build: Callable[[Any], tuple[ColumnElement[bool], ...]]
    # Whether it is so long that its statements, of megabytes then, are not worth keeping.
    is_long: bool = False


class Conditions(NamedTuple):
    """What must hold, and the values of its parameters by their names."""

    form: ConditionsForm
    values: Mapping[str, Any]


NO_CONDITIONS: Final = Conditions(ConditionsForm((), lambda _shape: ()), {})
