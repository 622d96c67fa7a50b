"""What a plan is made of: selections on one type each, and their fields."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from graphql import FieldNode, GraphQLField, GraphQLObjectType
from graphql.execution.collect_fields import FieldDetails, GroupedFieldSet

from engine.places import Column

if TYPE_CHECKING:
    from engine.nodes import Node
    from engine.run import Run

Details: TypeAlias = list[FieldDetails]


class Reader(Protocol):
    """Gets the values of a field for all objects of a group."""

    def read(self, run: "Run", column: Column) -> list[Any]:
        """Return the completed values; null where they are waited for."""


class Collecting(Protocol):
    """Knows what is selected below a field."""

    def collect(self, details: Details, type_: GraphQLObjectType) -> GroupedFieldSet:
        """Return what is selected on a type."""


class Field:
    """One response key of a selection."""

    __slots__ = (
        "binding",
        "definition",
        "details",
        "index",
        "key",
        "name",
        "node",
        "nodes",
        "parent_type",
        "reader",
        "select",
        "selected",
        "told",
    )

    binding: "Collecting"
    node: "Node"
    reader: Reader

    def __init__(
        self, index: int, key: str, details: Details, parent_type: GraphQLObjectType, definition: GraphQLField
    ) -> None:
        self.index = index
        self.key = key
        self.details = details
        self.nodes: list[FieldNode] = [each.node for each in details]
        self.name = self.nodes[0].name.value
        self.parent_type = parent_type
        self.definition = definition
        # What a resolver is told of it.
        self.told = (self.name, self.nodes, definition.type, parent_type)
        # Made when a resolver asks for it.
        self.selected: Any = None
        self.select: Callable[[GraphQLObjectType], Selection] = _select_nothing


class Selection:
    """The fields that are executed on the objects of one type."""

    __slots__ = ("fields", "type")

    def __init__(self, type_: GraphQLObjectType, fields: Sequence[Field]) -> None:
        self.type = type_
        self.fields = fields


def _select_nothing(_type: GraphQLObjectType) -> Selection:
    raise AssertionError
