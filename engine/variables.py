"""Coerces the variables of an operation, whose types are looked up once."""

from collections.abc import Collection
from typing import Any, Final

from graphql import (
    GraphQLError,
    GraphQLSchema,
    VariableDefinitionNode,
    get_nullable_type,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import (
    VariableValues,
    VariableValueSource,
    get_variable_values,
    input_is_nested_too_deeply,
)
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_value

from engine.arguments import UNCHANGEABLE

_MOST_ERRORS: Final = 50


class Variables:
    """The variables that an operation declares."""

    __slots__ = ("_declared", "_definitions", "_schema")

    def __init__(self, schema: GraphQLSchema, definitions: Collection[VariableDefinitionNode]) -> None:
        self._schema = schema
        self._definitions = definitions
        self._declared = [get_variable_signature(schema, definition) for definition in definitions]

    def coerce(self, given: dict[str, Any], *, hide_suggestions: bool) -> VariableValues | list[GraphQLError]:
        """Return the values, or why they are refused."""
        values = VariableValues({}, {})
        for signature in self._declared:
            if not isinstance(signature, GraphQLVariableSignature) or not _take(signature, given, values):
                # It is graphql-core that knows all the rest: deep inputs, defaults of inputs, and words for errors.
                return get_variable_values(self._schema, self._definitions, given, _MOST_ERRORS, hide_suggestions)
        return values


def _take(signature: GraphQLVariableSignature, given: dict[str, Any], values: VariableValues) -> bool:
    """Put the value of a variable to the others; tell whether that is all there is to it."""
    name, type_ = signature.name, signature.type
    value = given.get(name, Undefined)
    if value is Undefined:
        values.sources[name] = VariableValueSource(signature)
        if signature.default is None:
            return not is_non_null_type(type_)
        return _take_default(signature, values.coerced)
    values.sources[name] = VariableValueSource(signature, value)
    if not is_leaf_type(get_nullable_type(type_)) and input_is_nested_too_deeply(value, type_):
        return False
    values.coerced[name] = coerced = coerce_input_value(value, type_)
    return coerced is not Undefined


def _take_default(signature: GraphQLVariableSignature, coerced: dict[str, Any]) -> bool:
    try:
        value = coerce_default_value(signature)
    except TypeError:
        return False
    coerced[signature.name] = value
    # It is kept with the signature, so a resolver must not be able to change it.
    return isinstance(value, UNCHANGEABLE)
