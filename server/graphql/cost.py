"""Cost of an operation: the most objects it may return, with page sizes multiplied along the depth."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
)

from server.graphql.limits import merged_fields
from services.query.pagination import DEFAULT_PAGE_SIZE, MAX_CHANGES, MAX_PAGE_SIZE

Variables = Mapping[str, Any]
Cost = Callable[[Variables], int]
Fragments = Mapping[str, FragmentDefinitionNode]
_Count = int | Callable[[Variables], int]


def compile_cost(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> Cost:
    """Return a function from the variables to the cost of an operation, which must be valid."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return lambda _variables: 0
    return _Compiler(schema, operation, fragments).sum(root, [operation.selection_set], MAX_PAGE_SIZE).of


@dataclass(slots=True)
class _Sum:
    """A constant sum, and the parts whose number depends on the variables."""

    known: int = 0
    parts: "list[tuple[Callable[[Variables], int], _Sum]]" = field(default_factory=list)

    def add(self, count: _Count, inner: "_Sum") -> None:
        if not callable(count) and not inner.parts:
            self.known += count * inner.known
        else:
            self.parts.append((count if callable(count) else _constant(count), inner))

    def of(self, variables: Variables) -> int:
        """Return the sum for the variables of a request."""
        total = self.known
        for count, inner in self.parts:
            total += count(variables) * inner.of(variables)
        return total


class _Argument(NamedTuple):
    """The value of an argument, or the variable that holds it and its default."""

    value: Any
    variable: str | None = None

    def of(self, variables: Variables) -> Any:
        return self.value if self.variable is None else variables.get(self.variable, self.value)


class _Compiler:
    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> None:
        self._schema = schema
        self._fragments = fragments
        self._defaults = {
            definition.variable.name.value: definition.default_value
            for definition in operation.variable_definitions or ()
        }

    def sum(self, parent: GraphQLNamedType, selection_sets: Iterable[SelectionSetNode], page: _Count) -> _Sum:
        """Add up the fields selected of a type; `page` is how many rows a list among them holds."""
        total = _Sum()
        # Execution merges the fields of one type and response name.
        groups: dict[tuple[str, str], list[FieldNode]] = {}
        for type_name, node in merged_fields(selection_sets, self._fragments, parent.name):
            groups.setdefault((type_name, (node.alias or node.name).value), []).append(node)
        for (type_name, _), nodes in groups.items():
            owner = self._schema.type_map[type_name]
            fields = owner.fields if isinstance(owner, GraphQLObjectType | GraphQLInterfaceType) else {}
            if (definition := fields.get(nodes[0].name.value)) is None:
                continue
            field_type = get_named_type(definition.type)
            inner_sets = [node.selection_set for node in nodes if node.selection_set]
            if is_composite_type(field_type):
                inner = self.sum(field_type, inner_sets, self._page(definition, nodes[0]))
                inner.known += _own_cost(owner, field_type)
                total.add(self._count(definition, nodes[0], page), inner)
        return total

    def _page(self, definition: GraphQLField, node: FieldNode) -> _Count:
        """Return how many rows a list directly below the field holds."""
        if "first" not in definition.args:
            # A mutation of many rows, or an event with what was missed, brings up to a full page of them.
            return MAX_PAGE_SIZE
        # Changes, which have no `after`, come in full pages where no size is asked for, and in larger ones.
        is_list = "after" in definition.args
        default, maximum = (DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE) if is_list else (MAX_PAGE_SIZE, MAX_CHANGES)
        measure = partial(_page_size, default=default, maximum=maximum)
        return _counted(measure, [self._argument(node, "first"), self._argument(node, "last")])

    def _count(self, definition: GraphQLField, node: FieldNode, page: _Count) -> _Count:
        """Return how many objects the field itself holds."""
        if not is_list_type(get_nullable_type(definition.type)):
            return 1
        if "ids" in definition.args:
            return _counted(_length, [self._argument(node, "ids")])
        return page if self._is_row(get_named_type(definition.type)) else 1

    def _is_row(self, field_type: GraphQLNamedType) -> bool:
        if field_type.name == "Node" or field_type.name.endswith("Edge"):
            return True
        interfaces = field_type.interfaces if isinstance(field_type, GraphQLObjectType) else ()
        is_node = any(interface.name == "Node" for interface in interfaces)
        # What is listed in pages, such as the changes of a task, need be no node.
        return is_node or f"{field_type.name}Connection" in self._schema.type_map

    def _argument(self, node: FieldNode, name: str) -> _Argument:
        value = next((each.value for each in node.arguments or () if each.name.value == name), None)
        if isinstance(value, VariableNode):
            default = self._defaults.get(value.name.value)
            return _Argument(value_from_ast_untyped(default) if default else None, value.name.value)
        return _Argument(value_from_ast_untyped(value) if value else None)


def _own_cost(owner: GraphQLNamedType, field_type: GraphQLCompositeType) -> int:
    """Return 0 for what comes with an object that is counted already: an edge's node, a connection's page info."""
    return 0 if owner.name.endswith("Edge") or field_type.name == "PageInfo" else 1


def _counted(measure: Callable[[list[Any]], int], arguments: list[_Argument]) -> _Count:
    """Return the measure of the arguments, at once where no variable takes part."""
    if all(argument.variable is None for argument in arguments):
        return measure([argument.value for argument in arguments])
    return lambda variables: measure([argument.of(variables) for argument in arguments])


def _page_size(values: list[Any], default: int, maximum: int) -> int:
    # A size out of bounds is refused by its resolver, with a better message than ours.
    sizes = [int(min(max(value, 0), maximum)) for value in values if isinstance(value, int | float)]
    return max(sizes, default=default)


def _length(values: list[Any]) -> int:
    (ids,) = values
    if isinstance(ids, list):
        return len(ids)
    return 0 if ids is None else 1


def _constant(count: int) -> Callable[[Variables], int]:
    return lambda _variables: count
