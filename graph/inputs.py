"""Builds the values of input types: what Strawberry finds out for each value is found out once for each type."""

from collections.abc import Mapping
from dataclasses import MISSING
from functools import cached_property
from typing import Any

import strawberry
from graphql import GraphQLInputObjectType, GraphQLSchema
from strawberry.scalars import is_scalar
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryList, StrawberryObjectDefinition, StrawberryOptional
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition


class InputBuilder:
    """Strawberry's `from_input` hook of one input type."""

    def __init__(self, definition: StrawberryObjectDefinition, converter: GraphQLCoreConverter) -> None:
        self._definition = definition
        self._converter = converter
        self._nulls: dict[str, Any] = {
            field.python_name: None
            for field in definition.fields
            if field.default_value is MISSING and field.default_factory is MISSING
        }

    def __call__(self, cls: type, value: Mapping[str, Any], context: InputContext) -> Any:
        """Build a value of the class."""
        values: dict[str, Any] = self._nulls.copy()
        for name, python_name, type_ in self._fields:
            if name in value:
                given = value[name]
                if type_ is not None and given is not None and given is not strawberry.UNSET:
                    # A default is the same list for every request.
                    given = list(given) if type_ is list else context.convert(given, type_, name)
                values[python_name] = given
        return cls(**values)

    @cached_property
    def _fields(self) -> list[tuple[str, str, Any]]:
        """Return the name, the name in Python and the conversion of each field."""
        name_of = self._converter.config.name_converter.from_field
        return [
            (name_of(field), field.python_name, self._conversion(field.resolve_type()))
            for field in self._definition.fields
        ]

    def _conversion(self, type_: Any) -> Any:
        """Return what a value is converted to by Strawberry; `list` for a copy, None for nothing."""
        nullable = type_.of_type if isinstance(type_, StrawberryOptional) else type_
        if isinstance(nullable, StrawberryList):
            return list if self._conversion(nullable.of_type) is None else type_
        is_enum = isinstance(nullable, StrawberryEnumDefinition) or has_enum_definition(nullable)
        return None if is_enum or is_scalar(nullable, self._converter.scalar_registry) else type_


def build_inputs_by_type(schema: GraphQLSchema, converter: GraphQLCoreConverter) -> None:
    """Let the inputs of a schema be built by what is known of their types."""
    for named in schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            definition: StrawberryObjectDefinition = named.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
            definition.from_input = InputBuilder(definition, converter)
