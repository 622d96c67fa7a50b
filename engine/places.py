"""Where values stand in the answer: columns of fields, items of lists, and the way from each to the root."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from graphql.pyutils import Path

if TYPE_CHECKING:
    from engine.fields import Field, Selection
    from engine.nodes import Node

Key: TypeAlias = str | int
# The places of a list of values in what it was taken from; None where they are the same.
Places: TypeAlias = Sequence[int] | None
# A value: what it stands in, and where there.
Place: TypeAlias = "tuple[Column | Items, int]"


def place_at(places: Places, index: int) -> int:
    """Return the place of a value of a list."""
    return index if places is None else places[index]


class Group:
    """All objects of one type that one selection is executed on."""

    __slots__ = ("objects", "outer", "places", "results", "selection")

    def __init__(
        self, selection: "Selection", objects: Sequence[Any], outer: "Column | Items | None", places: Places
    ) -> None:
        self.selection = selection
        self.objects = objects
        self.outer = outer
        self.places = places
        self.results: list[dict[str, Any]] = []


class Column:
    """The values of one field, one for each object of a group."""

    __slots__ = ("field", "group", "node")

    def __init__(self, group: Group, field: "Field") -> None:
        self.group = group
        self.field = field
        self.node: Node = field.node

    def outward(self, index: int) -> "Place | None":
        """Return the place of the object that the value is a field of."""
        outer = self.group.outer
        return None if outer is None else (outer, place_at(self.group.places, index))

    def step(self, _index: int) -> tuple[Key, int]:
        """Return the last step of the path to a value, and its rank among its siblings."""
        return self.field.key, self.field.index

    def put(self, index: int, value: Any) -> None:
        """Put one value in its place."""
        self.group.results[index][self.field.key] = value

    def fill(self, places: Places, values: Sequence[Any]) -> None:
        """Put values that were waited for in their places."""
        key, results = self.field.key, self.group.results
        for result, value in zip(results if places is None else _picked(results, places), values, strict=True):
            result[key] = value


class Items:
    """The items of the lists that stand in a column, or in such lists, one after another."""

    __slots__ = ("_starts", "field", "lengths", "lists", "node", "outer", "places")

    def __init__(self, outer: "Column | Items", places: Places, lengths: list[int], node: "Node") -> None:
        self.outer = outer
        self.places = places
        self.lengths = lengths
        self.node = node
        self.field: Field = outer.field
        self.lists: list[list[Any]] = []
        self._starts: list[int] | None = None

    def sliced(self, values: list[Any]) -> list[list[Any]]:
        """Return the items as the lists that they were."""
        if len(self.lengths) == 1:
            self.lists = [values]
        else:
            ends = accumulate(self.lengths)
            self.lists = [values[end - length : end] for end, length in zip(ends, self.lengths, strict=True)]
        return self.lists

    def find(self, index: int) -> tuple[int, int]:
        """Return which list an item is in, and where."""
        if self._starts is None:
            self._starts = [0, *accumulate(self.lengths)]
        # Of lists that begin at the same item all but the last are empty.
        which = bisect_right(self._starts, index) - 1
        return which, index - self._starts[which]

    def outward(self, index: int) -> "Place | None":
        """Return the place of the list that the item is in."""
        return self.outer, place_at(self.places, self.find(index)[0])

    def step(self, index: int) -> tuple[Key, int]:
        """Return the last step of the path to an item, and its rank among its siblings."""
        at = self.find(index)[1]
        return at, at

    def put(self, index: int, value: Any) -> None:
        """Put one item in its place."""
        which, at = self.find(index)
        self.lists[which][at] = value

    def fill(self, places: Places, values: Sequence[Any]) -> None:
        """Put items that were waited for in their places."""
        for place, value in zip(range(len(values)) if places is None else places, values, strict=True):
            self.put(place, value)


def _picked(results: list[dict[str, Any]], places: Sequence[int]) -> Iterable[dict[str, Any]]:
    return (results[place] for place in places)


def outwards(place: "Place | None") -> Iterable[Place]:
    """Yield a place and all that it stands in."""
    while place is not None:
        yield place
        place = place[0].outward(place[1])


def path_to(place: Place) -> list[Key]:
    """Return the path of a value in the answer."""
    return [frame.step(index)[0] for frame, index in outwards(place)][::-1]


def rank_of(place: Place) -> list[float]:
    """Return what sorts values as they are met when each object is completed before the next is begun."""
    return [float(frame.step(index)[1]) for frame, index in outwards(place)][::-1]


def field_path(place: Place) -> Path:
    """Return the path that a resolver is told: that of its field, wherever in it the value stands."""
    steps = [(frame, frame.step(index)[0]) for frame, index in outwards(place)][::-1]
    while isinstance(steps[-1][0], Items):
        steps.pop()
    path: Path | None = None
    for frame, key in steps:
        path = Path(path, key, frame.field.parent_type.name if isinstance(frame, Column) else None)
    if path is None:
        raise AssertionError
    return path
