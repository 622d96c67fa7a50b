"""Filters and orders of an entity's lists, by the descriptions of its columns.

A filter is taken apart into its shape, by which statements are cached, and the values of its parameters.
"""

import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeAlias

from pydantic.alias_generators import to_camel
from sqlalchemy import ColumnElement, and_, bindparam, false, func, not_, or_, true
from sqlmodel import SQLModel

from core.errors import BadUserInputError
from core.ids import parse_id
from core.text import require_storable
from models.columns import Column, Kind, columns_of
from services.accounts.caller import Caller
from services.query.filters import (
    NO_CONDITIONS,
    Conditions,
    Contains,
    FilterTemplate,
    HasAll,
    IsAnyOf,
    StartsWith,
    enum_list_param,
    text_list_param,
)
from services.query.ordering import OrderDirection, order_by, sort_key
from services.query.pagination import Listing
from services.query.sql import table_of

# The column (empty for a condition of the filter's own), the operator, and the parameter's name or a constant.
Condition: TypeAlias = tuple[str, str, Any]
Shape: TypeAlias = tuple[Condition, ...]
AddParameter: TypeAlias = Callable[[Any], str]

MAX_PARTS: Final = 100
# SQLite's parser has room for a hundred open brackets and operators, of which each level takes up to seven.
_MAX_DEPTH: Final = 10
_COMPARISONS: Final[dict[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "eq": operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass
class DateTimeFilter:
    """Conditions on a moment; all that are given must hold."""

    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None
    is_null: bool | None = None


@dataclass
class IntFilter:
    """Conditions on a whole number; all that are given must hold."""

    eq: int | None = None
    gt: int | None = None
    gte: int | None = None
    lt: int | None = None
    lte: int | None = None
    is_null: bool | None = None


@dataclass
class StringFilter:
    """Conditions on a text, with regard to case; all that are given must hold."""

    eq: str | None = None
    contains: str | None = None
    starts_with: str | None = None


class EntityFilter:
    """Which rows of a model; all that is given must hold.

    A subclass gets a condition for each filterable column, besides its own, and and_, or_ and not_.
    """

    model: ClassVar[type[SQLModel]]

    if TYPE_CHECKING:
        # Conditions are added as the class is made.
        def __init__(self, **conditions: Any) -> None: ...

    def __init_subclass__(cls, *, model: type[SQLModel]) -> None:
        cls.model = model
        columns = [column for column in columns_of(model).values() if column.is_filterable]
        parts = f"list[{cls.__name__}] | None"
        cls.__annotations__ = {
            **{column.name: _filter_type(column) | None for column in columns},
            **inspect.get_annotations(cls),
            "and_": parts,
            "or_": parts,
            "not_": f"{cls.__name__} | None",
        }
        for name in cls.__annotations__:
            setattr(cls, name, None)
        dataclass(cls)

    def own_conditions(self, _add_parameter: AddParameter) -> Iterator[Condition]:
        """Return the conditions that are not about one column, under the empty name."""
        yield from ()

    @classmethod
    def build_own(cls, name: str, _operand: Any) -> ColumnElement[bool]:
        """Return such a condition as SQL."""
        raise NotImplementedError(name)


def _filter_type(column: Column) -> Any:
    if column.kind is Kind.ENUM:
        return list[column.type]  # type: ignore[name-defined]  # known at run time
    if column.kind in _FILTER_TYPES:
        return _FILTER_TYPES[column.kind]
    raise TypeError(f"{column.model.__name__}.{column.name} is Filterable, but there is no filter for {column.kind}")


_FILTER_TYPES: Final[Mapping[Kind, Any]] = {
    Kind.BOOLEAN: bool,
    Kind.TEXTS: list[str],
    Kind.TEXT: StringFilter,
    Kind.MOMENT: DateTimeFilter,
    Kind.INTEGER: IntFilter,
    Kind.REFERENCE: str,
}


def conditions_of(wanted: EntityFilter | None) -> Conditions:
    """Return the conditions of a filter; raise BadUserInputError where it is too large."""
    if wanted is None:
        return NO_CONDITIONS
    _check_size(wanted)
    values: dict[str, Any] = {}

    def add_parameter(value: Any) -> str:
        name = f"filter_{len(values)}"
        values[name] = value
        return name

    shape = tuple(_read(wanted, add_parameter))
    return Conditions(FilterTemplate((type(wanted), shape), _build), values)


def _check_size(wanted: Any) -> None:
    level, depth, size = [wanted], 0, 0
    while level:
        depth, size = depth + 1, size + len(level)
        if depth > _MAX_DEPTH:
            raise BadUserInputError(f"filter is nested more than {_MAX_DEPTH} deep; ask for less.", path=("filter",))
        if size > MAX_PARTS:
            raise BadUserInputError(f"filter has more than {MAX_PARTS} parts; ask for less.", path=("filter",))
        level = [part for each in level for part in _parts(each)]


def _parts(wanted: Any) -> list[Any]:
    return [*(wanted.and_ or ()), *(wanted.or_ or ()), *([wanted.not_] if wanted.not_ else ())]


def _read(wanted: Any, add_parameter: AddParameter) -> Iterator[Condition]:
    """Return the conditions of a filter without their values, which are added as parameters."""
    for column in columns_of(wanted.model).values():
        if column.is_filterable and (value := getattr(wanted, column.name)) is not None:
            yield from _read_column(column, value, add_parameter)
    yield from wanted.own_conditions(add_parameter)
    for part in wanted.and_ or ():
        yield from _read(part, add_parameter)
    if wanted.or_ is not None:
        yield "", "or", tuple(tuple(_read(part, add_parameter)) for part in wanted.or_)
    if wanted.not_ is not None:
        yield "", "not", tuple(_read(wanted.not_, add_parameter))


def _read_column(column: Column, value: Any, add_parameter: AddParameter) -> Iterator[Condition]:
    name = column.name
    match column.kind:
        case Kind.BOOLEAN:
            yield name, "is", value
        case Kind.ENUM:
            yield name, "any_of", add_parameter(value)
        case Kind.TEXTS if value:
            yield name, "has_all", add_parameter([require_storable(text, ("filter", name)) for text in value])
        case Kind.REFERENCE:
            row_id = parse_id(value)
            yield (name, "eq", add_parameter(row_id)) if row_id else ("", "or", ())
        case Kind.TEXT | Kind.MOMENT | Kind.INTEGER:
            yield from _read_comparisons(name, value, add_parameter)


def _read_comparisons(name: str, value: Any, add_parameter: AddParameter) -> Iterator[Condition]:
    for comparison, operand in vars(value).items():
        if comparison == "is_null" and operand is not None:
            yield name, comparison, operand
        elif operand is not None:
            if isinstance(operand, str):
                require_storable(operand, ("filter", to_camel(comparison)))
            yield name, comparison, add_parameter(operand)


def _build(key: tuple[type[EntityFilter], Shape]) -> tuple[ColumnElement[bool], ...]:
    filter_type, shape = key
    table = table_of(filter_type.model)

    def build(condition: Condition) -> ColumnElement[bool]:
        name, kind, operand = condition
        if not name:
            return build_combination(kind, operand)
        column = table.c[name]
        if kind in _COMPARISONS:
            value = bindparam(operand, type_=column.type)
            compared = _COMPARISONS[kind](column, value)
            # An index that orders texts has them in lower case.
            is_text = columns_of(filter_type.model)[name].kind is Kind.TEXT
            return and_(compared, func.lower(column) == func.lower(value)) if is_text else compared
        return _OPERATORS[kind](column, operand)

    def build_combination(kind: str, operand: Any) -> ColumnElement[bool]:
        if kind == "or":
            return or_(false(), *map(build_all, operand))
        if kind == "not":
            # A comparison with a missing value is unknown: it does not hold, so its contrary does.
            return not_(build_all(operand).is_(true()))
        return filter_type.build_own(kind, operand)

    def build_all(part: Shape) -> ColumnElement[bool]:
        return and_(true(), *map(build, part))

    return tuple(map(build, shape))


_OPERATORS: Final[dict[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "is": operator.eq,
    "is_null": lambda column, is_null: column.is_(None) if is_null else column.is_not(None),
    "any_of": lambda column, name: IsAnyOf(column, enum_list_param(name, column.type.members)),
    "has_all": lambda column, name: HasAll(column, text_list_param(name)),
    "contains": lambda column, name: Contains(column, bindparam(name, type_=column.type)),
    "starts_with": lambda column, name: StartsWith(column, bindparam(name, type_=column.type)),
}


@dataclass
class EntityOrder:
    """One thing to order a model's list by; in a subclass, `field` is an enum of the sortable columns."""

    model: ClassVar[type[SQLModel]]
    fields: ClassVar[type[StrEnum]]

    field: StrEnum
    direction: OrderDirection = OrderDirection.ASC

    def __init_subclass__(cls, *, model: type[SQLModel]) -> None:
        names = [column.name for column in columns_of(model).values() if column.sortable]
        for name in names:
            sort_key(model, name)
        cls.model = model
        cls.fields = StrEnum(f"{cls.__name__}Field", {name.upper(): name.upper() for name in names})  # type: ignore[misc]  # known at run time
        cls.fields.__doc__ = f"What {table_of(model).name} can be ordered by."
        cls.__annotations__ = {"field": cls.fields, "direction": OrderDirection}
        dataclass(cls)

    @classmethod
    def by(cls, column: str, direction: OrderDirection = OrderDirection.ASC) -> Self:
        """Return the order by a column; raise ValueError where lists cannot be ordered by it."""
        return cls(cls.fields(column.upper()), direction)


def entity_listing(
    caller: Caller,
    order: Sequence[EntityOrder] | None,
    default: EntityOrder,
    columns: frozenset[str] = frozenset(),
    wanted: EntityFilter | None = None,
) -> Listing:
    """Return the list of the caller's rows of a model."""
    table = table_of(default.model)
    keys = ((sort_key(part.model, part.field.lower()), part.direction) for part in order or [default])
    return Listing(table, order_by(table, keys), caller, conditions_of(wanted), columns)
