"""What Strawberry's definition of a field says about its resolver."""

from typing import Final

from graphql import GraphQLField, get_named_type, is_union_type
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from engine.batching import is_batched

# Where Strawberry makes the resolvers of fields; another one has been put in its place.
_RESOLVER_MAKER: Final = f"{GraphQLCoreConverter.from_resolver.__qualname__}.<locals>."


def strawberry_field(field: GraphQLField) -> StrawberryField | None:
    """Return Strawberry's definition of a field, where it has one."""
    definition = (field.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return definition if isinstance(definition, StrawberryField) else None


def attribute_name(field: GraphQLField) -> str | None:
    """Return the name of the attribute that a field reads, if that is all that it does."""
    definition = _simple_definition(field)
    if definition is None or not definition.is_basic_field or definition.default_resolver is not getattr:
        return None
    return definition.python_name


def is_batched_field(field: GraphQLField) -> bool:
    """Return whether a field's resolver takes all parents, with nothing around it that takes one at a time."""
    if is_batched(field.resolve):
        return True
    definition = _simple_definition(field)
    if definition is None or definition.base_resolver is None:
        return False
    function = definition.base_resolver.wrapped_func
    return is_batched(getattr(function, "__func__", function))


def _simple_definition(field: GraphQLField) -> StrawberryField | None:
    """Return the definition of a field that has no extension, permission, exception handler or method of its own."""
    definition = strawberry_field(field)
    if definition is None or definition.extensions or "get_result" in vars(definition):
        return None
    if type(definition).get_result is not StrawberryField.get_result:
        return None
    # Exception handlers are for fields of unions only.
    if is_union_type(get_named_type(field.type)):
        return None
    is_resolver_strawberrys = getattr(field.resolve, "__qualname__", "").startswith(_RESOLVER_MAKER)
    return definition if is_resolver_strawberrys else None
