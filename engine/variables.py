"""Coerces the variables of an operation, whose types are looked up once."""

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from graphql import GraphQLError, GraphQLSchema, VariableDefinitionNode
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import (
    VariableValues,
    VariableValueSource,
    get_variable_values,
    input_is_nested_too_deeply,
)
from graphql.pyutils import Undefined
from graphql.utilities.coerce_input_value import coerce_default_value

from engine.arguments import UNCHANGEABLE
from engine.coercion import Coercion, can_be_too_deep, coercion_of

_MOST_ERRORS: Final = 50


class Variables:
    """The variables that an operation declares."""

    __slots__ = ("_declared", "_definitions", "_schema")

    def __init__(self, schema: GraphQLSchema, definitions: Collection[VariableDefinitionNode]) -> None:
        self._schema = schema
        self._definitions = definitions
        self._declared = [_declared(get_variable_signature(schema, definition)) for definition in definitions]

    def coerce(self, given: dict[str, Any], *, hide_suggestions: bool) -> VariableValues | list[GraphQLError]:
        """Return the values, or why they are refused."""
        values = VariableValues({}, {})
        for declared in self._declared:
            if declared is None or not _take(declared, given, values):
                # It is graphql-core that knows all the rest: deep inputs, defaults of inputs, and words for errors.
                return get_variable_values(self._schema, self._definitions, given, _MOST_ERRORS, hide_suggestions)
        return values


class _Declared(NamedTuple):
    signature: GraphQLVariableSignature
    coercion: Coercion
    can_be_too_deep: bool


def _declared(signature: GraphQLVariableSignature | GraphQLError) -> _Declared | None:
    if isinstance(signature, GraphQLError):
        return None
    return _Declared(signature, coercion_of(signature.type), can_be_too_deep(signature.type))


def _take(declared: _Declared, given: dict[str, Any], values: VariableValues) -> bool:
    """Put the value of a variable to the others; tell whether that is all there is to it."""
    signature = declared.signature
    name = signature.name
    value = given.get(name, Undefined)
    if value is Undefined:
        values.sources[name] = VariableValueSource(signature)
        if signature.default is None:
            return not declared.coercion.is_required
        return _take_default(signature, values.coerced)
    values.sources[name] = VariableValueSource(signature, value)
    if declared.can_be_too_deep and input_is_nested_too_deeply(value, signature.type):
        return False
    try:
        values.coerced[name] = coerced = declared.coercion.of(value)
    except GraphQLError:
        return False
    return coerced is not Undefined


def _take_default(signature: GraphQLVariableSignature, coerced: dict[str, Any]) -> bool:
    try:
        value = coerce_default_value(signature)
    except TypeError:
        return False
    coerced[signature.name] = value
    # It is kept with the signature, so a resolver must not be able to change it.
    return isinstance(value, UNCHANGEABLE)
