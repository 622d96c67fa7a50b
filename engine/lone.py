"""Reads and completes the fields of a lone object: a column for each would cost more than they do."""

from collections.abc import Callable
from itertools import takewhile
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from engine.leaves import as_is
from engine.nodes import settle
from engine.places import Column, Group
from engine.readers import Attribute, TypeName
from engine.rows import lone_row_maker

if TYPE_CHECKING:
    from engine.fields import Field
    from engine.run import Run

# Whose value is not its own completion, and what completes it at once, where there is such a thing.
_Steps = list[tuple["Field", Callable[[Any], Any] | None]]

# Of the same fields there are seldom more than two or three combinations of classes.
_KEPT: Final = 64


class LoneFields:
    """The fields of a selection: attributes, which are read together, and from the first other one on the rest.

    For what a resolver does to its object shows in the fields behind it.
    """

    __slots__ = ("_attributes", "_every", "_get", "_make", "_rest", "_steps")

    def __init__(self, fields: list["Field"]) -> None:
        first = list(takewhile(_is_simple, fields))
        names = {field: name for field in first if (name := _attribute_of(field)) is not None}
        known = [(field.key, field.parent_type.name) for field in first if field not in names]
        keys = tuple(field.key for field in fields)
        self._every = fields
        self._attributes = list(names)
        self._rest = fields[len(first) :]
        self._make = lone_row_maker(keys, tuple(field.key for field in names), tuple(known))
        self._get = _getter(list(names.values()))
        self._steps: dict[tuple[type, ...], _Steps] = {}

    def read(self, run: "Run", group: Group) -> dict[str, Any]:
        """Return the group's one object with its fields; null where one is waited for."""
        try:
            values = self._get(group.objects[0])
        except Exception:  # noqa: BLE001 - whoever reads one by one meets it again
            return {field.key: field.reader.read(run, Column(group, field))[0] for field in self._every}
        result = self._make(*values)
        self._complete(run, group, values, result)
        for field in self._rest:
            result[field.key] = field.reader.read(run, Column(group, field))[0]
        return result

    def _complete(self, run: "Run", group: Group, values: tuple[Any, ...], result: dict[str, Any]) -> None:
        """Put what is completed in the place of what is not."""
        kinds = tuple(map(type, values))
        if (steps := self._steps.get(kinds)) is None:
            steps = self._learn(kinds)
        for field, complete in steps:
            key = field.key
            value = result[key]
            completed = None if complete is None else complete(value)
            result[key] = settle(run, Column(group, field), [value])[0] if completed is None else completed

    def _learn(self, kinds: tuple[type, ...]) -> _Steps:
        """Find out how values of such classes are completed."""
        if len(self._steps) >= _KEPT:
            self._steps.clear()
        steps = self._steps[kinds] = []
        for field, kind in zip(self._attributes, kinds, strict=True):
            node = field.node
            if kind not in node.exact and (node.is_required or kind is not NoneType):
                complete = node.way_of(kind)
                if complete is not as_is:
                    steps.append((field, complete))
        return steps


def _is_simple(field: "Field") -> bool:
    return isinstance(field.reader, TypeName) or _attribute_of(field) is not None


def _attribute_of(field: "Field") -> str | None:
    return field.reader.name if isinstance(field.reader, Attribute) else None


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _source: ()
    get = attrgetter(*names)
    # Of one name it returns the value, not a tuple of it.
    return get if len(names) > 1 else lambda source: (get(source),)
