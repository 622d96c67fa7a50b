"""What an operation selects below a field, so that only those columns are read."""

from typing import Any, Final

from sqlmodel import SQLModel
from strawberry import Info

from engine import Selected, selected
from graph.mapping import COLUMNS_BY_FIELD
from services.query.lookup import ColumnsByModel

_NOTHING: Final = frozenset[str]()
_WITHOUT_PAGE: Final = frozenset({"totalCount", "__typename"})


def selected_columns(info: Info[Any, Any], model: type[SQLModel], *below: str) -> frozenset[str]:
    """Return the columns that are selected below the field, or below one of its own fields."""
    return selected(info).below(*below).once(_columns, model)


def columns_by_model(info: Info[Any, Any], models: tuple[type[SQLModel], ...]) -> ColumnsByModel:
    """Return the columns of each model that the field's own selection reads, which is on any of them."""
    return selected(info).once(_columns_by_model, models)


def connection_columns(info: Info[Any, Any], model: type[SQLModel]) -> frozenset[str] | None:
    """Return the columns that a connection's nodes are selected with; None where no page is needed at all."""
    return selected(info).once(_page_columns, model)


def selects(info: Info[Any, Any], name: str) -> bool:
    """Return whether one of the field's own fields is selected."""
    return name in selected(info).names


def _page_columns(connection: Selected, model: type[SQLModel]) -> frozenset[str] | None:
    if connection.names <= _WITHOUT_PAGE:
        return None
    return _columns(connection.below("nodes"), model) | _columns(connection.below("edges", "node"), model)


def _columns_by_model(below: Selected, models: tuple[type[SQLModel], ...]) -> ColumnsByModel:
    names = below.names_by_type
    return tuple((model, _columns_of(model, names.get(model.__name__, _NOTHING))) for model in models)


def _columns(below: Selected, model: type[SQLModel]) -> frozenset[str]:
    return _columns_of(model, below.names)


def _columns_of(model: type[SQLModel], names: frozenset[str]) -> frozenset[str]:
    by_field = COLUMNS_BY_FIELD[model]
    return frozenset(["id"]).union(*(by_field.get(name, ()) for name in names))
