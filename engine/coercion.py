"""Coerces values to input types as graphql-core does, by what is looked up once of each type."""

from collections.abc import Callable
from functools import lru_cache, partial
from math import inf
from typing import Any, Final, NamedTuple, TypeAlias

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLString,
)
from graphql.language.parser import MAX_NESTING_DEPTH
from graphql.pyutils import Undefined
from graphql.type import is_required_input_field
from graphql.utilities.coerce_input_value import coerce_default_value, coerce_input_value
from strawberry.schema.schema_converter import CustomGraphQLEnumType

_Coerce: TypeAlias = Callable[[Any], Any]

# The class whose values are coerced to themselves.
_EXACT: Final[dict[_Coerce, type]] = {
    GraphQLString.coerce_input_value: str,
    GraphQLID.coerce_input_value: str,
    GraphQLBoolean.coerce_input_value: bool,
}
# Those whose names mean the same each time.
_PLAIN_ENUMS: Final = (GraphQLEnumType, CustomGraphQLEnumType)
_KEPT: Final = 4096
# Of the fields of a type there are seldom more than a few combinations.
_KEPT_SHAPES: Final = 64
# Stands where graphql-core has to say what comes of a value that is missing.
_ASK: Final = object()


class Coercion(NamedTuple):
    """How the values of a type are coerced; `coerce` is for what is not null."""

    is_required: bool
    exact: type | None
    coerce: _Coerce

    def of(self, value: Any) -> Any:
        """Return what graphql-core makes of a value; Undefined where it refuses it."""
        if value is None or value is Undefined:
            return Undefined if self.is_required else None
        return value if type(value) is self.exact else self.coerce(value)


class _Field(NamedTuple):
    name: str
    out_name: str
    is_required: bool
    exact: type | None
    coerce: _Coerce


class _Shape(NamedTuple):
    """Objects that have the same fields."""

    # All that comes of them, in its order, with the defaults of what is not given.
    blank: dict[str, Any]
    given: list[_Field]


def coercion_of(type_: GraphQLInputType) -> Coercion:
    """Return how the values of a type are coerced."""
    is_required = isinstance(type_, GraphQLNonNull)
    nullable: Any = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(nullable, GraphQLList):
        return Coercion(is_required, None, _list(nullable))
    if isinstance(nullable, GraphQLInputObjectType):
        coerce = partial(coerce_input_value, type_=nullable) if nullable.is_one_of else _object(nullable)
        return Coercion(is_required, None, coerce)
    if isinstance(nullable, GraphQLEnumType):
        return Coercion(is_required, None, _enum(nullable))
    return Coercion(is_required, _EXACT.get(nullable.coerce_input_value), _leaf(nullable.coerce_input_value))


def _leaf(coerce: _Coerce) -> _Coerce:
    def of(value: Any) -> Any:
        try:
            return coerce(value)
        except Exception:  # noqa: BLE001 - whatever it is, the value is refused
            return Undefined

    return of


@lru_cache(maxsize=_KEPT)
def _enum(type_: GraphQLEnumType) -> _Coerce:
    coerce = _leaf(type_.coerce_input_value)
    if type(type_) not in _PLAIN_ENUMS or "coerce_input_value" in vars(type_):
        return coerce
    known = {name: coerce(name) for name in type_.values}

    def of(value: Any) -> Any:
        return known[value] if type(value) is str and value in known else coerce(value)

    return of


def _list(type_: GraphQLList[Any]) -> _Coerce:
    item = coercion_of(type_.of_type)

    def of(values: Any) -> Any:
        if type(values) is not list:
            return coerce_input_value(values, type_)
        coerced = []
        for value in values:
            if type(value) is not item.exact and (value := item.of(value)) is Undefined:
                return Undefined
            coerced.append(value)
        return coerced

    return of


@lru_cache(maxsize=_KEPT)
def _object(type_: GraphQLInputObjectType) -> _Coerce:
    shapes: dict[tuple[Any, ...], _Shape] = {}

    def of(given: Any) -> Any:
        if type(given) is not dict:
            return coerce_input_value(given, type_)
        shape = shapes.get(tuple(given)) or _learn(type_, shapes, given)
        if shape is None:
            return coerce_input_value(given, type_)
        coerced = shape.blank.copy()
        for name, out_name, is_required, exact, coerce in shape.given:
            value = given[name]
            if type(value) is not exact:
                if value is Undefined:
                    return coerce_input_value(given, type_)
                if value is None:
                    if is_required:
                        return Undefined
                elif (value := coerce(value)) is Undefined:
                    return Undefined
            coerced[out_name] = value
        return type_.out_type(coerced)

    return of


def _learn(
    type_: GraphQLInputObjectType, shapes: dict[tuple[Any, ...], _Shape], given: dict[Any, Any]
) -> _Shape | None:
    """Find out what is done for objects with these fields; None where that is for graphql-core to say."""
    if not given.keys() <= type_.fields.keys():
        return None
    shape = _Shape({}, [])
    for name, field in type_.fields.items():
        out_name = field.out_name or name
        default = Undefined if name in given else _default(field)
        if default is _ASK or out_name in shape.blank:
            return None
        if name in given:
            shape.given.append(_Field(name, out_name, *coercion_of(field.type)))
        if name in given or default is not Undefined:
            shape.blank[out_name] = default
    if len(shapes) >= _KEPT_SHAPES:
        shapes.clear()
    shapes[tuple(given)] = shape
    return shape


def _default(field: GraphQLInputField) -> Any:
    """Return what there is without a value; Undefined where that is nothing."""
    try:
        return _ASK if is_required_input_field(field) else coerce_default_value(field)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, that is told when it is needed
        return _ASK


def can_be_too_deep(type_: GraphQLInputType) -> bool:
    """Tell whether a value of a type may be nested more deeply than graphql-core lets values be."""
    lists = 0
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        lists += isinstance(type_, GraphQLList)
        type_ = type_.of_type
    return lists + _kept_height(type_) > MAX_NESTING_DEPTH


@lru_cache(maxsize=_KEPT)
def _kept_height(type_: GraphQLInputType) -> float:
    return _height(type_, {})


def _height(type_: GraphQLInputType, heights: dict[str, float]) -> float:
    if isinstance(type_, GraphQLNonNull):
        return _height(type_.of_type, heights)
    if isinstance(type_, GraphQLList):
        return 1 + _height(type_.of_type, heights)
    if not isinstance(type_, GraphQLInputObjectType):
        return 0
    if type_.name not in heights:
        # Whatever comes back to it from below has no end.
        heights[type_.name] = inf
        heights[type_.name] = 1 + max((_height(field.type, heights) for field in type_.fields.values()), default=0)
    return heights[type_.name]
