"""The Node interface, and rows that know which type they are."""

from collections.abc import Sequence
from typing import Any

import strawberry


@strawberry.interface(description="A thing with an id that is its own everywhere and for ever.")
class Node:
    """What every entity implements."""

    id: strawberry.ID = strawberry.field(description="Opaque, unique and stable; the same on every door.")

    @classmethod
    def resolve_type(cls, source: "TypedRow", *_: Any) -> str:
        """Return the name of the row's type."""
        return source.type_name


def ids_of(rows: Sequence[Any]) -> list[str]:
    """Return the ids of rows."""
    return [row.id for row in rows]


class TypedRow:
    """A row where any type of node may stand."""

    __slots__ = ("_row", "type_name")

    def __init__(self, type_name: str, row: Any) -> None:
        self.type_name = type_name
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)
