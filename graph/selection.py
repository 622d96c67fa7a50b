"""What an operation selects below a field, so that only those columns are read."""

from collections.abc import Iterable, Iterator
from typing import Any

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, GraphQLResolveInfo, SelectionSetNode
from sqlmodel import SQLModel
from strawberry import Info

from graph.mapping import COLUMNS_BY_FIELD

Fragments = dict[str, FragmentDefinitionNode]


def selected_columns(info: Info[Any, Any], model: type[SQLModel]) -> frozenset[str]:
    """Return the columns that the field's own selection reads."""
    raw = _raw(info)
    return _columns(raw.field_nodes, raw.fragments, model)


def columns_below(info: Info[Any, Any], name: str, model: type[SQLModel]) -> frozenset[str]:
    """Return the columns that are selected below one of the field's own fields."""
    raw = _raw(info)
    nodes = [field for field in _fields(raw.field_nodes, raw.fragments) if field.name.value == name]
    return _columns(nodes, raw.fragments, model)


def connection_columns(info: Info[Any, Any], model: type[SQLModel]) -> frozenset[str] | None:
    """Return the columns that a connection's nodes are selected with; None where no page is needed at all."""
    raw = _raw(info)
    fields = list(_fields(raw.field_nodes, raw.fragments))
    if all(field.name.value in ("totalCount", "__typename") for field in fields):
        return None
    nodes = [field for field in fields if field.name.value == "nodes"]
    edges = [field for field in fields if field.name.value == "edges"]
    nodes += [field for field in _fields(edges, raw.fragments) if field.name.value == "node"]
    return _columns(nodes, raw.fragments, model)


def place(info: Info[Any, Any]) -> tuple[int, ...]:
    """Return what tells this field of the operation from every other, whatever object it is resolved on."""
    return tuple(id(node) for node in _raw(info).field_nodes)


def _raw(info: Info[Any, Any]) -> GraphQLResolveInfo[Any]:
    return info._raw_info  # noqa: SLF001 - Strawberry offers no other way to the nodes that costs nothing


def _columns(nodes: Iterable[FieldNode], fragments: Fragments, model: type[SQLModel]) -> frozenset[str]:
    by_field = COLUMNS_BY_FIELD[model]
    selected = (by_field.get(field.name.value, frozenset()) for field in _fields(nodes, fragments))
    return frozenset(["id"]).union(*selected)


def _fields(nodes: Iterable[FieldNode], fragments: Fragments) -> Iterator[FieldNode]:
    for node in nodes:
        if node.selection_set is not None:
            yield from _flattened(node.selection_set, fragments)


def _flattened(selection_set: SelectionSetNode, fragments: Fragments) -> Iterator[FieldNode]:
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, FragmentSpreadNode):
            yield from _flattened(fragments[selection.name.value].selection_set, fragments)
        else:
            yield from _flattened(selection.selection_set, fragments)  # type: ignore[attr-defined]
