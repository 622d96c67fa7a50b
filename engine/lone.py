"""Reads and completes the plain fields of a lone object at once: a column for each would cost more than they do."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from engine.leaves import Leaf
from engine.lists import ListOf
from engine.readers import Attribute

if TYPE_CHECKING:
    from engine.fields import Field

# Which value is not its own completion, and what completes it.
_Steps = list[tuple[int, Callable[[Any], Any]]]

# Of the same fields there are seldom more than two or three combinations of classes.
_KEPT: Final = 64


class PlainFields:
    """The fields of a selection that are attributes, and leaves or lists of them; and the rest of its fields."""

    __slots__ = ("_get", "_nodes", "_steps", "blank", "keys", "rest")

    def __init__(self, every: Sequence["Field"], plain: Sequence[tuple["Field", str, Leaf | ListOf]]) -> None:
        self.keys = [field.key for field, _, _ in plain]
        self.rest = [field for field in every if field.key not in self.keys]
        # All keys, in their order.
        self.blank: dict[str, Any] = dict.fromkeys(field.key for field in every)
        self._nodes = [node for _, _, node in plain]
        names = [name for _, name, _ in plain]
        # Of one name it would return the value, not a tuple of it.
        self._get: Callable[[Any], tuple[Any, ...]] = attrgetter(*names, names[0])
        self._steps: dict[tuple[type, ...], _Steps | None] = {}

    def read(self, source: Any) -> Sequence[Any] | None:
        """Return the completed values; None where any of them needs a closer look."""
        try:
            values = self._get(source)
        except Exception:  # noqa: BLE001 - whoever looks closer meets it again
            return None
        kinds = tuple(map(type, values))
        steps = self._steps[kinds] if kinds in self._steps else self._learn(kinds)
        if not steps:
            return None if steps is None else values
        completed = list(values)
        for index, complete in steps:
            if (value := complete(completed[index])) is None:
                return None
            completed[index] = value
        return completed

    def _learn(self, kinds: tuple[type, ...]) -> _Steps | None:
        """Find out how values of such classes are completed."""
        ways = [node.way_of(kind) for node, kind in zip(self._nodes, kinds, strict=False)]
        steps = [(index, way) for index, way in enumerate(ways) if way is not None and way is not Leaf.as_it_is]
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
