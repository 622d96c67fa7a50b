"""What an operation selects below a field, so that only those columns are read."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlmodel import SQLModel
from strawberry import Info

from engine import Selected, selected
from graph.mapping import COLUMNS_BY_FIELD
from services.sql import table_of
from services.written import MOST_PARTS, Part, Writing, is_writable

_NOTHING: Final = frozenset[str]()
_WITHOUT_PAGE: Final = frozenset({"totalCount", "__typename"})
_CURSORS: Final = frozenset({"startCursor", "endCursor"})
# Held no longer than the plans that the selections belong to, or documents would stay that have been let go.
_WRITINGS: Final[WeakKeyDictionary[Selected, Writing | None]] = WeakKeyDictionary()


def selected_columns(info: Info[Any, Any], model: type[SQLModel]) -> frozenset[str]:
    """Return the columns that the field's own selection reads."""
    return _columns(model, selected(info))


def columns_by_model(
    info: Info[Any, Any], models: Sequence[type[SQLModel]]
) -> tuple[tuple[type[SQLModel], frozenset[str]], ...]:
    """Return the columns of each model that the field's own selection reads, which is on any of them."""
    names = selected(info).names_by_type
    return tuple((model, _columns_of(model, names.get(model.__name__, _NOTHING))) for model in models)


def columns_below(info: Info[Any, Any], name: str, model: type[SQLModel]) -> frozenset[str]:
    """Return the columns that are selected below one of the field's own fields."""
    return _columns(model, selected(info).below(name))


def connection_columns(info: Info[Any, Any], model: type[SQLModel]) -> frozenset[str] | None:
    """Return the columns that a connection's nodes are selected with; None where no page is needed at all."""
    connection = selected(info)
    if connection.names <= _WITHOUT_PAGE:
        return None
    return _columns(model, connection.below("nodes")) | _columns(model, connection.below("edges", "node"))


def written_nodes(info: Info[Any, Any], model: type[SQLModel]) -> Writing | None:
    """Return what PostgreSQL is to write of a connection's nodes; None where any of it has to be read by us."""
    context = info.context
    if not context.takes_written or context.database.is_sqlite:
        return None
    connection = selected(info)
    if connection not in _WRITINGS:
        _WRITINGS[connection] = _writing(model, connection)
    return _WRITINGS[connection]


def _writing(model: type[SQLModel], connection: Selected) -> Writing | None:
    plain = connection.below("nodes").plain
    if plain is None or len(plain) > MOST_PARTS or "edges" in connection.names:
        return None
    columns = table_of(model).c
    parts = tuple(Part(field.key, field.attribute, field.type_name) for field in plain)
    has_ends = not _CURSORS.isdisjoint(connection.below("pageInfo").names)
    return Writing(parts, has_ends) if all(is_writable(part, columns) for part in parts) else None


def _columns(model: type[SQLModel], below: Selected) -> frozenset[str]:
    return _columns_of(model, below.names)


@lru_cache(maxsize=1_024)
def _columns_of(model: type[SQLModel], names: frozenset[str]) -> frozenset[str]:
    by_field = COLUMNS_BY_FIELD[model]
    return frozenset(["id"]).union(*(by_field.get(name, ()) for name in names))
