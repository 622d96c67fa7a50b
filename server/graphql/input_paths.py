"""Paths of bad values: where in the arguments a variable or a literal stands that graphql-core has refused.

A path begins with the name of the argument and is made of texts, an index as `"0"`, like those of the services' errors.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from graphql import (
    ArgumentNode,
    DocumentNode,
    GraphQLError,
    ListValueNode,
    Node,
    ObjectFieldNode,
    ObjectValueNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)

_Path: TypeAlias = tuple[str, ...]
# The messages of graphql-core, which has no other word of the place.
_VARIABLE: Final = re.compile(r"Variable '\$\w+' has invalid value(?: at (?P<place>\S+))?: ")
_FIELD: Final = re.compile(
    r"Expected value of type '[^']*' (?:to include required|not to include unknown) field '(\w+)'"
)


def set_input_paths(document: DocumentNode, errors: Sequence[GraphQLError]) -> Sequence[GraphQLError]:
    """Give each error about a value of the arguments the extension `path`, and return all of them."""
    bad = [(error, error.nodes[0]) for error in errors if error.nodes and isinstance(error.nodes[0], _VALUES)]
    paths = _Paths().of(document) if bad else {}
    for error, node in bad:
        path = _path(error.message, node, paths)
        if path:
            error.extensions = {**(error.extensions or {}), "path": list(path)}
    return errors


_VALUES: Final = (VariableDefinitionNode, ValueNode, ObjectFieldNode)


def _path(message: str, node: Node, paths: Mapping[str | int, _Path]) -> _Path:
    if isinstance(node, VariableDefinitionNode):
        if (match := _VARIABLE.match(message)) is None:
            return ()
        # Where a variable is used several times, its first place counts.
        name = node.variable.name.value
        field = _FIELD.match(message, match.end())
        within = re.findall(r"\w+", match["place"] or "")
        return (*paths.get(name, (name,)), *within, *(field.groups() if field else ()))
    field = _FIELD.search(message) if isinstance(node, ObjectValueNode) else None
    path = paths.get(id(node), ())
    return (*path, *field.groups()) if field and path else path


class _Paths(Visitor):
    """The paths of all values in arguments, by the identity of their nodes, and of variables by their names."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[str | int, _Path] = {}

    def of(self, document: DocumentNode) -> Mapping[str | int, _Path]:
        """Return the paths in a document."""
        visit(document, self)
        return self._found

    def enter_argument(self, node: ArgumentNode, *_: Any) -> bool:
        for value, path in _values(node.value, (node.name.value,)):
            self._found[id(value)] = path
            if isinstance(value, VariableNode):
                self._found.setdefault(value.name.value, path)
        return False


def _values(node: Node, path: _Path) -> Iterator[tuple[Node, _Path]]:
    yield node, path
    if isinstance(node, ListValueNode):
        for index, value in enumerate(node.values):
            yield from _values(value, (*path, str(index)))
    elif isinstance(node, ObjectValueNode):
        for field in node.fields:
            inner = (*path, field.name.value)
            yield field, inner
            yield from _values(field.value, inner)
