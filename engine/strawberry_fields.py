"""Finds what a Strawberry field does behind the resolver that Strawberry has wrapped around it."""

from typing import Any, Final

from graphql import GraphQLField
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from engine.batching import is_batched

_WRAPPER: Final = "GraphQLCoreConverter.from_resolver.<locals>."
_BASIC_RESOLVER: Final = f"{_WRAPPER}_get_basic_result"


def strawberry_field(field: GraphQLField) -> StrawberryField | None:
    """Return Strawberry's definition of a field, where it has one."""
    definition = (field.extensions or {}).get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return definition if isinstance(definition, StrawberryField) else None


def attribute_name(field: GraphQLField) -> str | None:
    """Return the name of the attribute that a field reads, if that is all that it does."""
    definition = _basic_field(field)
    return definition.python_name if definition is not None and definition.default_resolver is getattr else None


def is_batch_field(field: GraphQLField) -> bool:
    """Tell whether a field's resolver takes all parents at once, with nothing between that takes one at a time."""
    if is_batched(field.resolve):
        return True
    definition = strawberry_field(field)
    if definition is None or definition.base_resolver is None or definition.extensions:
        return False
    if _closure(field.resolve).get("field_exception_handlers"):
        return False
    return _is_plain(definition) and is_batched(
        definition.base_resolver._unbound_wrapped_func  # noqa: SLF001 - where Strawberry has unwrapped a static method
    )


def _basic_field(field: GraphQLField) -> StrawberryField | None:
    definition = strawberry_field(field)
    is_basic = getattr(field.resolve, "__qualname__", None) == _BASIC_RESOLVER and not field.args
    return definition if is_basic and definition is not None and _is_plain(definition) else None


def _is_plain(definition: StrawberryField) -> bool:
    return type(definition).get_result is StrawberryField.get_result and "get_result" not in vars(definition)


def _closure(function: Any) -> dict[str, Any]:
    code = getattr(function, "__code__", None)
    cells = getattr(function, "__closure__", None) or ()
    return {} if code is None else dict(zip(code.co_freevars, [cell.cell_contents for cell in cells], strict=True))
