"""Finds what a Strawberry field does behind the resolver that Strawberry has wrapped around it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from graphql import GraphQLField
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from engine.batching import is_batched

_BASIC_RESOLVER: Final = "GraphQLCoreConverter.from_resolver.<locals>._get_basic_result"


def strawberry_field(field: GraphQLField) -> StrawberryField | None:
    """Return Strawberry's definition of a field, where it has one."""
    definition = (field.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return definition if isinstance(definition, StrawberryField) else None


def attribute_getter(field: GraphQLField) -> Callable[[Any], Any] | None:
    """Return what reads a field that only reads an attribute; None for any other."""
    definition = strawberry_field(field)
    if (
        definition is None
        or getattr(field.resolve, "__qualname__", None) != _BASIC_RESOLVER
        or type(definition).get_result is not StrawberryField.get_result
        or field.args
    ):
        return None
    name = definition.python_name
    default_resolver = definition.default_resolver
    if default_resolver is getattr:
        return attrgetter(name)
    return lambda source: default_resolver(source, name)


def is_batch_field(field: GraphQLField) -> bool:
    """Tell whether a field's resolver takes all parents at once, with nothing between that takes one at a time."""
    if is_batched(field.resolve):
        return True
    definition = strawberry_field(field)
    if definition is None or definition.base_resolver is None or definition.extensions:
        return False
    return type(definition).get_result is StrawberryField.get_result and is_batched(
        definition.base_resolver._unbound_wrapped_func  # noqa: SLF001 - where Strawberry has unwrapped a static method
    )
