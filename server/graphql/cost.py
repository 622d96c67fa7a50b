"""Cost of an operation: the most objects it may return, with page sizes multiplied along the depth, and their price.

One unit is about what an object costs. A field that makes the database read more than it returns has a price once, for
its statement, and takes a unit more for each list below other lists. Mutations have a price for what they write.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
    value_from_ast_untyped,
)

from core.quotas import MAX_NEW_ROWS
from server.graphql.limits import merged_fields
from services.entities.lists import MAX_PARTS
from services.query.pagination import DEFAULT_PAGE_SIZE, MAX_CHANGES, MAX_PAGE_SIZE

# Of each part of a filter, of a search, of a total count, and of an order by several keys, which no index has.
FILTER_COST: Final = 50
SEARCH_COST: Final = 100
COUNT_COST: Final = 100
ORDER_COST: Final = 50
# Of a field of Mutation, for each row that it is given.
WRITE_COST: Final = 10
# What may be any row, or stands for one.
_ROWS: Final = frozenset({"Node", "Change", "DeletedRow"})

Variables = Mapping[str, Any]
Cost = Callable[[Variables], int]
Fragments = Mapping[str, FragmentDefinitionNode]
_Count = int | Callable[[Variables], int]


def compile_cost(schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> Cost:
    """Return a function from the variables to the cost of an operation, which must be valid."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return lambda _variables: 0
    compiler = _Compiler(schema, operation, fragments)
    total = compiler.sum(root, [operation.selection_set], MAX_PAGE_SIZE)
    for price in compiler.prices:
        total.add(price, _Sum(1))
    return total.of


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
    """The value of an argument, and the defaults of the variables in it."""

    node: ValueNode | None
    defaults: Variables

    def of(self, variables: Variables) -> Any:
        if isinstance(self.node, VariableNode):
            name = self.node.name.value
            return variables.get(name, self.defaults.get(name))
        return None if self.node is None else value_from_ast_untyped(self.node, {**self.defaults, **variables})


class _Compiler:
    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode, fragments: Fragments) -> None:
        self._schema = schema
        self._fragments = fragments
        self._defaults = {
            definition.variable.name.value: value_from_ast_untyped(definition.default_value)
            for definition in operation.variable_definitions or ()
            if definition.default_value
        }
        # What is paid once, however many lists a statement reads.
        self.prices: list[_Count] = []

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
                prices = self._prices_of_list(definition, nodes[0], inner_sets)
                # One statement is for all parents; each adds a little to its work.
                inner.known += 0 if owner is self._schema.query_type else len(prices)
                if owner is self._schema.mutation_type:
                    prices.append(self._price_of_mutation(definition, nodes[0]))
                self.prices += prices
                total.add(self._count(definition, nodes[0], page), inner)
        return total

    def _prices_of_list(
        self, definition: GraphQLField, node: FieldNode, selection_sets: list[SelectionSetNode]
    ) -> list[_Count]:
        """Return the prices of what a statement does besides reading a page."""
        prices: list[_Count] = []
        for name, measure in (("filter", _filter_cost), ("orderBy", _order_cost)):
            if name in definition.args:
                prices.append(_counted(measure, [self._argument(node, name)]))
        if any(each.name.value == "totalCount" for _, each in merged_fields(selection_sets, self._fragments)):
            prices.append(COUNT_COST)
        return [price for price in prices if price]

    def _price_of_mutation(self, definition: GraphQLField, node: FieldNode) -> _Count:
        if not (names := _lists_of_rows(definition)):
            return WRITE_COST
        count = partial(_rows_given, names=names)
        return _counted(lambda values: WRITE_COST * max(1, count(values)), [self._argument(node, "input")])

    def _page(self, definition: GraphQLField, node: FieldNode) -> _Count:
        """Return how many rows a list directly below the field holds."""
        if names := _lists_of_rows(definition):
            return _counted(partial(_rows_given, names=names), [self._argument(node, "input")])
        if "first" not in definition.args:
            # An undone run, or an event with what was missed, brings up to a full page of them.
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
        if field_type.name in _ROWS or field_type.name.endswith("Edge"):
            return True
        interfaces = field_type.interfaces if isinstance(field_type, GraphQLObjectType) else ()
        is_node = any(interface.name == "Node" for interface in interfaces)
        # What is listed in pages, such as the changes of a task, need be no node.
        return is_node or f"{field_type.name}Connection" in self._schema.type_map

    def _argument(self, node: FieldNode, name: str) -> _Argument:
        value = next((each.value for each in node.arguments or () if each.name.value == name), None)
        return _Argument(value, self._defaults)


def _own_cost(owner: GraphQLNamedType, field_type: GraphQLCompositeType) -> int:
    """Return 0 for what comes with an object that is counted already: an edge's node, a connection's page info."""
    return 0 if owner.name.endswith("Edge") or field_type.name == "PageInfo" else 1


def _lists_of_rows(definition: GraphQLField) -> list[str]:
    """Return the fields of the input of a mutation of many rows that say which ones."""
    input_type = get_named_type(definition.args["input"].type) if "input" in definition.args else None
    fields = input_type.fields if isinstance(input_type, GraphQLInputObjectType) else {}
    return [name for name, each in fields.items() if is_list_type(get_nullable_type(each.type)) and _names_row(each)]


def _names_row(each: GraphQLInputField) -> bool:
    named = get_named_type(each.type)
    return named is GraphQLID or isinstance(named, GraphQLInputObjectType)


def _counted(measure: Callable[[list[Any]], int], arguments: list[_Argument]) -> _Count:
    """Return the measure of the arguments, at once where no variable takes part."""
    if not any(_has_variable(argument.node) for argument in arguments):
        return measure([argument.of({}) for argument in arguments])
    return lambda variables: measure([argument.of(variables) for argument in arguments])


def _has_variable(node: ValueNode | None) -> bool:
    if isinstance(node, ListValueNode):
        return any(map(_has_variable, node.values))
    if isinstance(node, ObjectValueNode):
        return any(_has_variable(each.value) for each in node.fields)
    return isinstance(node, VariableNode)


def _page_size(values: list[Any], default: int, maximum: int) -> int:
    # A size out of bounds is refused by its resolver, with a better message than ours.
    sizes = [int(min(max(value, 0), maximum)) for value in values if isinstance(value, int | float)]
    return max(sizes, default=default)


def _length(values: list[Any]) -> int:
    (ids,) = values
    if isinstance(ids, list):
        return len(ids)
    return 0 if ids is None else 1


def _rows_given(values: list[Any], names: list[str]) -> int:
    (given,) = values
    # More are refused by the service, as is a filter of more parts.
    return min(MAX_NEW_ROWS, sum(_length([given.get(name)]) for name in names)) if isinstance(given, dict) else 0


def _filter_cost(values: list[Any]) -> int:
    parts = searches = 0
    waiting = values
    while waiting and parts < MAX_PARTS:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict) and part:
            parts += 1
            searches += bool(part.get("search"))
            waiting += [part.get("and"), part.get("or"), part.get("not")]
    return FILTER_COST * parts + SEARCH_COST * searches


def _order_cost(values: list[Any]) -> int:
    (keys,) = values
    return ORDER_COST if isinstance(keys, list) and len(keys) > 1 else 0


def _constant(count: int) -> Callable[[Variables], int]:
    return lambda _variables: count
