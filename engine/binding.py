"""Compiles the selections of an operation for given values of the variables that decide what is selected."""

from functools import partial
from typing import Any

from graphql import (
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import (
    CollectedFields,
    FragmentDetails,
    GroupedFieldSet,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues
from graphql.type import TypeNameMetaFieldDef

from engine.fields import Details, Field, Reader, Selection
from engine.leaves import Leaf
from engine.lists import ListOf
from engine.nodes import Node
from engine.objects import Abstract, Object
from engine.readers import Attribute, BatchResolver, Property, Resolver, TypeName
from engine.run import Request
from engine.strawberry_fields import attribute_name, is_batch_field


class Binding:
    """The selections of an operation for given values of its conditions."""

    __slots__ = ("_conditions", "_fragments", "_request", "_subselections")

    def __init__(self, request: Request, conditions: VariableValues) -> None:
        self._request = request
        self._conditions = conditions
        self._fragments = {name: FragmentDetails(node) for name, node in request.fragments.items()}
        self._subselections: dict[tuple[int, str], Selection] = {}

    def root(self, type_: GraphQLObjectType) -> Selection:
        """Return what is selected at the root."""
        request = self._request
        collected = collect_fields(request.schema, self._fragments, self._conditions, type_, request.operation)
        return self._compile(type_, collected)

    def collect(self, details: Details, type_: GraphQLObjectType) -> GroupedFieldSet:
        """Return what is selected below a field on a type."""
        request = self._request
        return collect_subfields(
            request.schema, self._fragments, self._conditions, request.operation, type_, details
        ).grouped_field_set

    def _select(self, field: Field, type_: GraphQLObjectType) -> Selection:
        # Compiled when the first object of the type is met.
        key = (id(field), type_.name)
        if (found := self._subselections.get(key)) is None:
            found = self._subselections[key] = self._compile(type_, self.collect(field.details, type_))
        return found

    def _compile(self, type_: GraphQLObjectType, collected: CollectedFields | GroupedFieldSet) -> Selection:
        grouped = collected.grouped_field_set if isinstance(collected, CollectedFields) else collected
        fields: list[Field] = []
        for key, details in grouped.items():
            definition = self._request.schema.get_field(type_, details[0].node.name.value)
            if definition is not None:
                field = Field(len(fields), key, details, type_, definition)
                field.node = _node(definition.type)
                field.reader = _reader(field)
                field.select = partial(self._select, field)
                field.binding = self
                fields.append(field)
        return Selection(type_, fields)


def _node(type_: GraphQLOutputType) -> Node:
    is_required = isinstance(type_, GraphQLNonNull)
    nullable: Any = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(nullable, GraphQLList):
        return ListOf(_node(nullable.of_type), is_required=is_required)
    if is_leaf_type(nullable):
        leaf: GraphQLLeafType = nullable
        return Leaf(leaf, is_required=is_required)
    if is_abstract_type(nullable):
        return Abstract(nullable, is_required=is_required)
    return Object(nullable, is_required=is_required)


def _reader(field: Field) -> Reader:
    definition = field.definition
    if definition is TypeNameMetaFieldDef:
        return TypeName(field.parent_type.name)
    if (name := attribute_name(definition)) is not None:
        return Attribute(name)
    if definition.resolve is not None and is_batch_field(definition):
        return BatchResolver(definition.resolve)
    if definition.resolve is None and not definition.args:
        return Property(field.name)
    return Resolver(definition.resolve)
