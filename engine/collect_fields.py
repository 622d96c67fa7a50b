"""The fields of an operation: collected and merged for each object type, and what is known of them ahead."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    is_leaf_type,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from graphql.type import TypeNameMetaFieldDef

from engine.strawberry_fields import attribute_name, is_batched_field
from engine.values import leaf_serializer

FieldDetailsList: TypeAlias = list[FieldDetails]


class Operation(NamedTuple):
    """An operation, and what it refers to."""

    schema: GraphQLSchema
    definition: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]


class ReturnType:
    """The type of a field, or of the items of a list, taken apart once."""

    __slots__ = ("final_types", "is_non_null", "item", "leaf", "type")

    def __init__(self, type_: GraphQLOutputType) -> None:
        self.is_non_null = isinstance(type_, GraphQLNonNull)
        nullable: Any = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
        self.type = nullable
        self.item = ReturnType(nullable.of_type) if isinstance(nullable, GraphQLList) else None
        self.leaf = leaf_serializer(nullable) if is_leaf_type(nullable) else None
        # The classes whose values are complete as they are.
        self.final_types: frozenset[type] = frozenset()
        if self.leaf is not None and (identity_type := self.leaf.identity_type) is not None:
            self.final_types = frozenset({identity_type} if self.is_non_null else {identity_type, NoneType})


class Field:
    """One response key of a selection on an object type, with all nodes that are merged in it."""

    __slots__ = (
        "collector",
        "definition",
        "details",
        "get_attribute",
        "index",
        "is_batched",
        "key",
        "name",
        "nodes",
        "parent_type",
        "return_type",
        "selected",
        "selections",
    )

    def __init__(
        self,
        collector: "FieldCollector",
        index: int,
        details: FieldDetailsList,
        parent_type: GraphQLObjectType,
        definition: GraphQLField,
    ) -> None:
        self.collector = collector
        self.index = index
        self.details = details
        self.nodes: list[FieldNode] = [each.node for each in details]
        self.name = self.nodes[0].name.value
        self.key = self.nodes[0].alias.value if self.nodes[0].alias else self.name
        self.parent_type = parent_type
        self.definition = definition
        self.return_type = ReturnType(definition.type)
        attribute = attribute_name(definition)
        self.get_attribute: Callable[[Any], Any] | None = None if attribute is None else attrgetter(attribute)
        self.is_batched = is_batched_field(definition)
        self.selections: dict[str, Selection] = {}
        # What a resolver is given as `selected(info)`, made when it is first called for.
        self.selected: Any = None

    @property
    def is_typename(self) -> bool:
        """Whether it is the meta-field `__typename`."""
        return self.definition is TypeNameMetaFieldDef

    def selection_on(self, type_: GraphQLObjectType) -> "Selection":
        """Return what is selected below it on a type; collected with the first object of the type."""
        selection = self.selections.get(type_.name)
        if selection is None:
            grouped = self.collector.collect_subfields(self.details, type_)
            selection = self.selections[type_.name] = self.collector.make_selection(type_, grouped)
        return selection


class Selection:
    """The fields that are executed on the objects of one type."""

    __slots__ = ("fields", "type")

    def __init__(self, type_: GraphQLObjectType, fields: Sequence[Field]) -> None:
        self.type = type_
        self.fields = fields


class FieldCollector:
    """Collects the fields of an operation, for given values of the variables of `@skip` and `@include`."""

    __slots__ = ("_fragments", "_operation", "_schema", "_variables")

    def __init__(self, operation: Operation, variables: VariableValues) -> None:
        self._schema = operation.schema
        self._operation = operation.definition
        self._fragments = {name: FragmentDetails(node) for name, node in operation.fragments.items()}
        self._variables = variables

    def collect_root(self, type_: GraphQLObjectType) -> Selection:
        """Return what is selected at the root."""
        collected = collect_fields(self._schema, self._fragments, self._variables, type_, self._operation)
        return self.make_selection(type_, collected.grouped_field_set)

    def collect_subfields(self, details: FieldDetailsList, type_: GraphQLObjectType) -> GroupedFieldSet:
        """Return what is selected below a field on a type, by response key."""
        return collect_subfields(
            self._schema, self._fragments, self._variables, self._operation, type_, details
        ).grouped_field_set

    def make_selection(self, type_: GraphQLObjectType, grouped: GroupedFieldSet) -> Selection:
        """Return the fields of a type that are known to the schema."""
        fields: list[Field] = []
        for details in grouped.values():
            definition = self._schema.get_field(type_, details[0].node.name.value)
            if definition is not None:
                fields.append(Field(self, len(fields), details, type_, definition))
        return Selection(type_, fields)
