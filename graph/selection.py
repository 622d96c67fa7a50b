"""What an operation selects below a field, so that only those columns are read."""

from functools import lru_cache
from typing import Any, Final

from sqlmodel import SQLModel
from strawberry import Info

from engine import Selected, selected
from graph.mapping import COLUMNS_BY_FIELD

_WITHOUT_PAGE: Final = frozenset({"totalCount", "__typename"})


def selected_columns(info: Info[Any, Any], model: type[SQLModel]) -> frozenset[str]:
    """Return the columns that the field's own selection reads."""
    return _columns(model, selected(info))


def columns_below(info: Info[Any, Any], name: str, model: type[SQLModel]) -> frozenset[str]:
    """Return the columns that are selected below one of the field's own fields."""
    return _columns(model, selected(info).below(name))


def connection_columns(info: Info[Any, Any], model: type[SQLModel]) -> frozenset[str] | None:
    """Return the columns that a connection's nodes are selected with; None where no page is needed at all."""
    connection = selected(info)
    if connection.names <= _WITHOUT_PAGE:
        return None
    return _columns(model, connection.below("nodes")) | _columns(model, connection.below("edges", "node"))


def _columns(model: type[SQLModel], below: Selected) -> frozenset[str]:
    return _columns_of(model, below.names)


@lru_cache(maxsize=1_024)
def _columns_of(model: type[SQLModel], names: frozenset[str]) -> frozenset[str]:
    by_field = COLUMNS_BY_FIELD[model]
    return frozenset(["id"]).union(*(by_field.get(name, ()) for name in names))
