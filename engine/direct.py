"""Calls the function that a Strawberry resolver was made of, without what Strawberry does around each call."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from graphql import GraphQLField
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import StrawberryArgument, convert_argument
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

from engine.batching import unbatched
from engine.inputs import Make, UnknownInputError, input_maker
from engine.leaves import as_is
from engine.strawberry_fields import converter_behind, strawberry_field

# What Strawberry's own resolver calls its parameters.
_TAKEN: Final = frozenset({"_source", "info"})


class Direct(NamedTuple):
    """What does the same as a resolver of Strawberry's."""

    # As graphql-core calls it; the info may be null where it is not needed.
    resolve: Callable[..., Any]
    needs_info: bool
    # For a function that is given nothing but the object.
    get: Callable[[Any], Any] | None


class _Argument(NamedTuple):
    """An argument under both of its names, and what makes Python's value of it: we, or Strawberry."""

    name: str
    python_name: str
    make: Make | None
    convert: Callable[..., Any] | None = None


def direct_resolver(field: GraphQLField) -> Direct | None:
    """Return what does the same as a field's resolver; None where something stands between it and its function."""
    definition, converter = strawberry_field(field), converter_behind(field)
    if definition is None or converter is None or definition.base_resolver is None or not _TAKEN.isdisjoint(field.args):
        return None
    base = definition.base_resolver
    if not callable(base.wrapped_func):
        return None
    function = unbatched(base.wrapped_func)
    arguments = [_argument(argument, converter) for argument in definition.arguments]
    needs_info = base.info_parameter is not None or any(argument.convert is not None for argument in arguments)
    resolve = _caller(function, definition, arguments, converter.config.info_class if needs_info else None)
    if needs_info or arguments or field.args:
        return Direct(resolve, needs_info, None)
    is_method = base.self_parameter is not None and base.parent_parameter is None and base.root_parameter is None
    return Direct(resolve, needs_info, function if is_method else lambda source: resolve(source, None))


def _caller(
    function: Callable[..., Any],
    definition: StrawberryField,
    arguments: list[_Argument],
    make_info: Callable[..., Any] | None,
) -> Callable[..., Any]:
    """Return what calls the function of a field as Strawberry does."""
    base: Any = definition.base_resolver
    takes_self = base.self_parameter is not None
    source_names = [each.name for each in (base.parent_parameter, base.root_parameter) if each is not None]
    info_name = None if base.info_parameter is None else base.info_parameter.name

    def resolve(source: Any, info: Any, /, **given: Any) -> Any:
        told = None if make_info is None else make_info(_raw_info=info, _field=definition)
        named = {}
        for name, python_name, make, convert in arguments:
            if name in given:
                value = given[name]
                if convert is not None:
                    value = convert(value, info=told)
                elif make is not None and value is not None and value is not UNSET:
                    value = make(value)
                named[python_name] = value
        for name in source_names:
            named[name] = source
        if info_name is not None:
            named[info_name] = told
        return function(source, **named) if takes_self else function(**named)

    return resolve


def _argument(argument: StrawberryArgument, converter: GraphQLCoreConverter) -> _Argument:
    name = converter.config.name_converter.from_argument(argument)
    type_ = argument.type
    try:
        make = input_maker(type_, converter)
    except UnknownInputError:
        pass
    else:
        return _Argument(name, argument.python_name, None if make is as_is else make)
    convert = partial(
        convert_argument,
        type_=type_,
        scalar_registry=converter.scalar_registry,
        config=converter.config,
        path=(name,),
    )
    return _Argument(name, argument.python_name, None, convert)
