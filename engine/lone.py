"""Reads and completes the plain fields of a lone object at once: a column for each would cost more than they do."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from engine.leaves import Leaf, as_is
from engine.lists import ListOf
from engine.nodes import settle
from engine.places import Column, Group
from engine.readers import Attribute

if TYPE_CHECKING:
    from engine.fields import Field
    from engine.run import Run

# Which value is not its own completion, and what completes it.
_Steps = list[tuple[int, Callable[[Any], Any]]]

# Of the same fields there are seldom more than two or three combinations of classes.
_KEPT: Final = 64


class PlainFields:
    """The fields of a selection that are attributes, and leaves or lists of them; and the rest of its fields."""

    __slots__ = ("_fields", "_get", "_nodes", "_steps", "blank", "keys", "rest")

    def __init__(self, every: Sequence["Field"], plain: Sequence[tuple["Field", str, Leaf | ListOf]]) -> None:
        self.keys = [field.key for field, _, _ in plain]
        self.rest = [field for field in every if field.key not in self.keys]
        # All keys, in their order.
        self.blank: dict[str, Any] = dict.fromkeys(field.key for field in every)
        self._fields = [field for field, _, _ in plain]
        self._nodes = [node for _, _, node in plain]
        get: Callable[[Any], Any] = attrgetter(*(name for _, name, _ in plain))
        # Of one name it returns the value, not a tuple of it.
        self._get: Callable[[Any], tuple[Any, ...]] = get if len(plain) > 1 else lambda source: (get(source),)
        self._steps: dict[tuple[type, ...], _Steps | None] = {}

    def read(self, run: "Run", group: Group) -> Sequence[Any] | None:
        """Return the completed values of the group's one object; None where an attribute cannot be read."""
        try:
            values = self._get(group.objects[0])
        except Exception:  # noqa: BLE001 - whoever reads one by one meets it again
            return None
        kinds = tuple(map(type, values))
        steps = self._steps[kinds] if kinds in self._steps else self._learn(kinds)
        if not steps:
            return self._settle(run, group, values) if steps is None else values
        completed = list(values)
        for index, complete in steps:
            if (value := complete(completed[index])) is None:
                return self._settle(run, group, values)
            completed[index] = value
        return completed

    def _settle(self, run: "Run", group: Group, values: Sequence[Any]) -> list[Any]:
        """Return the values completed each by itself, with all that there may be to say of it or to wait for."""
        return [
            settle(run, Column(group, field), [value])[0] for field, value in zip(self._fields, values, strict=True)
        ]

    def _learn(self, kinds: tuple[type, ...]) -> _Steps | None:
        """Find out how values of such classes are completed."""
        ways = [node.way_of(kind) for node, kind in zip(self._nodes, kinds, strict=True)]
        steps = [(index, way) for index, way in enumerate(ways) if way is not None and way is not as_is]
        if len(self._steps) >= _KEPT:
            self._steps.clear()
        known = self._steps[kinds] = None if None in ways else steps
        return known


def plain_fields(fields: Sequence["Field"]) -> PlainFields | None:
    """Return those fields that are plain; None where there are none."""
    plain = []
    for field in fields:
        reader, node = field.reader, field.node
        if not isinstance(reader, Attribute) or reader.name is None:
            continue
        if isinstance(node, Leaf) or (isinstance(node, ListOf) and isinstance(node.item, Leaf)):
            plain.append((field, reader.name, node))
    return PlainFields(fields, plain) if plain else None
