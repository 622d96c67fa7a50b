"""Relay's Node interface, and rows with the name of their type."""

from typing import Any

import strawberry


@strawberry.interface(description="A thing with an id that is its own everywhere and for ever.")
class Node:
    id: strawberry.ID = strawberry.field(description="Opaque, unique and stable; the same in every API.")

    @classmethod
    def resolve_type(cls, source: "TypedRow", *_: Any) -> str:
        """Return the name of the row's type."""
        return source.type_name


class TypedRow:
    """A row with the name of its GraphQL type, for fields that return any Node."""

    __slots__ = ("_row", "type_name")

    def __init__(self, type_name: str, row: Any) -> None:
        self.type_name = type_name
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)
