"""Where values stand in the result: cells of fields and of lists, and the way from each to the root."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

from graphql.pyutils import Path

from engine.collect_fields import Field, ReturnType, Selection


class ObjectGroup:
    """All objects of one type that one selection is executed on, and their results."""

    __slots__ = ("indexes", "objects", "parent", "rows", "selection")

    def __init__(
        self,
        selection: Selection,
        objects: Sequence[Any],
        parent: "FieldResults | ItemResults | None",
        indexes: Sequence[int],
    ) -> None:
        self.selection = selection
        self.objects = objects
        # The results that the objects are values of, and which of them; none for the root.
        self.parent = parent
        self.indexes = indexes
        self.rows: list[dict[str, Any]] = [{} for _ in objects]


class FieldResults:
    """The values of one field, one for each object of a group."""

    __slots__ = ("field", "group", "return_type")

    def __init__(self, group: ObjectGroup, field: Field) -> None:
        self.group = group
        self.field = field
        self.return_type = field.return_type

    def parent_cell(self, index: int) -> "Cell | None":
        """Return the cell of the object that a value is a field of; none for one of the root."""
        parent = self.group.parent
        return None if parent is None else (parent, self.group.indexes[index])

    def key_of(self, _index: int) -> str:
        """Return the last key of the path to a value."""
        return self.field.key

    def rank_of(self, _index: int) -> int:
        """Return the position of a value among its siblings."""
        return self.field.index

    def put(self, index: int, value: Any) -> None:
        """Set one value."""
        self.group.rows[index][self.field.key] = value

    def fill(self, values: Sequence[Any]) -> None:
        """Set all values."""
        key = self.field.key
        for row, value in zip(self.group.rows, values, strict=True):
            row[key] = value


class ItemResults:
    """The items of all lists of a field, or of lists within such lists, one after another."""

    __slots__ = ("_starts", "field", "indexes", "lists", "parent", "return_type")

    def __init__(
        self,
        parent: "FieldResults | ItemResults",
        indexes: Sequence[int],
        lists: Sequence[Sequence[Any]],
        return_type: ReturnType,
    ) -> None:
        # The results that the lists are values of, and which of them.
        self.parent = parent
        self.indexes = indexes
        self.field: Field = parent.field
        self.return_type = return_type
        self._starts = [0, *accumulate(map(len, lists))]
        self.lists: list[list[Any]] = []

    def split(self, values: list[Any]) -> list[list[Any]]:
        """Split completed items into the lists that they belong to."""
        starts = self._starts
        self.lists = [values[start:end] for start, end in pairwise(starts)]
        return self.lists

    def _locate(self, index: int) -> tuple[int, int]:
        """Return which list an item is in, and where."""
        # Of lists that start at the same item all but the last are empty.
        which = bisect_right(self._starts, index) - 1
        return which, index - self._starts[which]

    def parent_cell(self, index: int) -> "Cell | None":
        """Return the cell of the list that an item is in."""
        return self.parent, self.indexes[self._locate(index)[0]]

    def key_of(self, index: int) -> int:
        """Return the last key of the path to an item."""
        return self._locate(index)[1]

    def rank_of(self, index: int) -> int:
        """Return the position of an item among its siblings."""
        return self._locate(index)[1]

    def put(self, index: int, value: Any) -> None:
        """Set one item."""
        which, at = self._locate(index)
        self.lists[which][at] = value

    def fill(self, values: Sequence[Any]) -> None:
        """Set all items."""
        for index, value in enumerate(values):
            self.put(index, value)


# A value: the results that it is one of, and its index among them.
Cell: TypeAlias = tuple[FieldResults | ItemResults, int]


def cells_to_root(cell: Cell | None) -> Iterator[Cell]:
    """Yield a cell and all that it stands in."""
    while cell is not None:
        yield cell
        results, index = cell
        cell = results.parent_cell(index)


def path_to(cell: Cell) -> Path:
    """Return the response path to a value."""
    path: Path | None = None
    for results, index in [*cells_to_root(cell)][::-1]:
        type_name = results.field.parent_type.name if isinstance(results, FieldResults) else None
        path = Path(path, results.key_of(index), type_name)
    if path is None:
        raise AssertionError
    return path


def field_cell(cell: Cell) -> Cell:
    """Return the cell of the field that a value belongs to, however deep in lists."""
    return next((results, index) for results, index in cells_to_root(cell) if isinstance(results, FieldResults))
