"""Makes Python's values of input types as Strawberry does, by what is looked up once of each type."""

from collections.abc import Callable
from dataclasses import MISSING
from functools import lru_cache
from typing import Any, Final, TypeAlias

from strawberry.relay.types import GlobalID
from strawberry.scalars import is_scalar
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryList, StrawberryOptional, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.unset import UNSET

from engine.leaves import as_is

# What makes the value, where it is neither null nor unset.
Make: TypeAlias = Callable[[Any], Any]
_KEPT: Final = 1024


class UnknownInputError(Exception):
    """Strawberry has to make the value itself: in some part of it more is done than is known here."""


@lru_cache(maxsize=_KEPT)
def input_maker(type_: Any, converter: GraphQLCoreConverter) -> Make:
    """Return what makes the values of a type; raise UnknownInputError where only Strawberry can."""
    return _Makers(converter).of(type_)


class _Makers:
    """The makers of one type and of those that are in it."""

    def __init__(self, converter: GraphQLCoreConverter) -> None:
        self._converter = converter
        self._objects: dict[Any, _Object] = {}

    def of(self, type_: Any) -> Make:
        """Return what makes the values of a type."""
        # Not of the classes below these, which mean more.
        if type(type_) is StrawberryOptional:
            return self.of(type_.of_type)
        if type(type_) is StrawberryList:
            make = self.of(type_.of_type)
            # Copied, for a default is the same list in each execution.
            return list if make is as_is else lambda values: [_made(make, value) for value in values]
        if type_ is GlobalID:
            raise UnknownInputError
        is_enum = isinstance(type_, StrawberryEnumDefinition) or has_enum_definition(type_)
        if is_enum or is_scalar(type_, self._converter.scalar_registry):
            return as_is
        if isinstance(type_, LazyType):
            return self.of(type_.resolve_type())
        return self._of_object(type_)

    def _of_object(self, type_: Any) -> Make:
        if not has_object_definition(type_):
            raise UnknownInputError
        definition = type_.__strawberry_definition__
        if definition.from_input is not None or not definition.is_input:
            raise UnknownInputError
        if (known := self._objects.get(type_)) is not None:
            return known
        # Known before its fields are, of which one may be of the same type.
        made = self._objects[type_] = _Object(type_)
        name_of = self._converter.config.name_converter.from_field
        for field in definition.fields:
            make = self.of(field.resolve_type(type_definition=definition))
            if (name := name_of(field)) in made.names:
                raise UnknownInputError
            made.names[name] = field.python_name
            if make is not as_is:
                made.makes.append((field.python_name, make))
            if field.default_value is MISSING and field.default_factory is MISSING:
                made.blank[field.python_name] = None
        return made


class _Object:
    """Makes the values of one input type."""

    def __init__(self, type_: Callable[..., Any]) -> None:
        self.type = type_
        # Python's names of the fields, by those of the schema.
        self.names: dict[str, str] = {}
        # What makes the values of those that do not stay as they are.
        self.makes: list[tuple[str, Make]] = []
        # What is null where nothing is given.
        self.blank: dict[str, None] = {}

    def __call__(self, given: dict[str, Any]) -> Any:
        names = self.names
        values: dict[str, Any] = self.blank.copy()
        for name, value in given.items():
            # The schema may have been extended by fields that the class does not have.
            if (own_name := names.get(name)) is not None:
                values[own_name] = value
        for name, make in self.makes:
            if name in values:
                values[name] = _made(make, values[name])
        return self.type(**values)


def _made(make: Make, value: Any) -> Any:
    return value if value is None or value is UNSET else make(value)
