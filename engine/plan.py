"""Plans of operations: what can be known before the variables are, found once and kept for every execution."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    assert_valid_schema,
)
from graphql import execute as execute_depth_first
from graphql.execution.values import VariableValues, get_variable_values
from graphql.type.directives import GraphQLDisableErrorPropagationDirective

from engine.collect_fields import FieldCollector, Operation, Selection
from engine.errors import propagate_errors
from engine.execute import Execution

_INTROSPECTION: Final = frozenset({"__schema", "__type"})
_INCREMENTAL: Final = frozenset({"defer", "stream"})
_CONDITIONS: Final = frozenset({"skip", "include"})
# A deeper selection is left to graphql-core, whose recursion has an end.
_MAX_DEPTH: Final = 50
# An operation with many conditions has more combinations of them than are worth keeping.
_MAX_KEPT_SELECTIONS: Final = 32
# As in graphql-core.
_MAX_VARIABLE_ERRORS: Final = 50


class UnplannableError(Exception):
    """The operation has something in it that is left to graphql-core."""


class Plan:
    """How an operation of a document is executed; `on_kept` is told how many fields more are kept for it."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation_name: str | None = None,
        on_kept: Callable[[int], None] = lambda _fields: None,
    ) -> None:
        assert_valid_schema(schema)
        self._schema = schema
        self._document = document
        self._operation_name = operation_name
        # What is selected at the root, by the values of the variables that decide it.
        self._selections: dict[tuple[bool, ...], Selection] = {}
        self._conditions: tuple[str, ...] = ()
        self._fields = 0
        self._on_kept = on_kept
        self._operation: Operation | None = None
        try:
            operation = _find_operation(schema, document, operation_name)
            self._conditions, self._fields = _find_conditions(operation)
        except (UnplannableError, RecursionError):
            return
        self._operation = operation

    @property
    def is_planned(self) -> bool:
        """Whether the operation is executed by this engine; otherwise it is by graphql-core."""
        return self._operation is not None

    async def execute(
        self,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: dict[str, Any] | None = None,
        *,
        hide_suggestions: bool = False,
    ) -> ExecutionResult:
        """Execute the operation; of a subscription, one event."""
        operation = self._operation
        if operation is not None:
            definitions, given = operation.definition.variable_definitions or (), variable_values or {}
            variables = get_variable_values(self._schema, definitions, given, _MAX_VARIABLE_ERRORS, hide_suggestions)
            if isinstance(variables, list):
                return ExecutionResult(None, variables)
            selection = self._select(operation, variables)
            if selection is not None:
                execution = Execution(
                    operation, root_value, context_value, variables, hide_suggestions=hide_suggestions
                )
                is_mutation = operation.definition.operation is OperationType.MUTATION
                data = await (execution.execute_serially if is_mutation else execution.execute)(selection)
                return ExecutionResult(*propagate_errors(execution.errors, data))
        result = execute_depth_first(
            self._schema,
            self._document,
            root_value,
            context_value,
            variable_values,
            self._operation_name,
            hide_suggestions=hide_suggestions,
        )
        return await result if isinstance(result, Awaitable) else result

    def _select(self, operation: Operation, variables: VariableValues) -> Selection | None:
        """Return what is selected at the root; None where a condition has no value to decide by."""
        coerced = variables.coerced
        values = tuple(value for name in self._conditions if isinstance(value := coerced.get(name), bool))
        root_type = self._schema.get_root_type(operation.definition.operation)
        if root_type is None or len(values) < len(self._conditions):
            return None
        selection = self._selections.get(values)
        if selection is None:
            if len(self._selections) < _MAX_KEPT_SELECTIONS:
                self._on_kept(self._fields)
            else:
                del self._selections[next(iter(self._selections))]
            sources = {name: variables.sources[name] for name in self._conditions}
            conditions = VariableValues(sources, {name: coerced[name] for name in self._conditions})
            selection = self._selections[values] = FieldCollector(operation, conditions).collect_root(root_type)
        return selection


def _find_operation(schema: GraphQLSchema, document: DocumentNode, name: str | None) -> Operation:
    """Return the operation of a name; raise UnplannableError where graphql-core has to say what is wrong."""
    fragments: dict[str, FragmentDefinitionNode] = {}
    definitions: list[OperationDefinitionNode] = []
    for node in document.definitions:
        if isinstance(node, FragmentDefinitionNode):
            fragments[node.name.value] = node
        elif isinstance(node, OperationDefinitionNode):
            own_name = node.name.value if node.name else None
            if name is None or name == own_name:
                definitions.append(node)
    if not definitions or (len(definitions) > 1 and name is None):
        raise UnplannableError
    definition = definitions[-1]
    if schema.get_root_type(definition.operation) is None or any(map(schema.get_directive, _INCREMENTAL)):
        raise UnplannableError
    return Operation(schema, definition, fragments)


def _find_conditions(operation: Operation) -> tuple[tuple[str, ...], int]:
    """Return the variables that decide what an operation selects, and how many fields that is at most.

    Raise UnplannableError where it cannot be planned.
    """
    for directive in operation.definition.directives or ():
        if directive.name.value == GraphQLDisableErrorPropagationDirective.name:
            raise UnplannableError
    check = _PlannabilityCheck(operation.fragments)
    extent = check.extent(operation.definition.selection_set)
    if extent.depth > _MAX_DEPTH:
        raise UnplannableError
    return tuple(sorted(check.conditions)), extent.fields


class _Extent(NamedTuple):
    """How deep fields are nested, and how many there are, fragments expanded."""

    depth: int = 0
    fields: int = 0


class _PlannabilityCheck:
    """Visits the selections of an operation once, and each fragment once."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.conditions: set[str] = set()
        self._fragments = fragments
        self._extents: dict[str, _Extent] = {}
        self._open: set[str] = set()

    def extent(self, selection_set: SelectionSetNode | None) -> _Extent:
        """Return the extent of what is selected; raise UnplannableError where graphql-core has to execute it."""
        extents = [self._extent_of(each) for each in selection_set.selections] if selection_set else []
        return _Extent(max((each.depth for each in extents), default=0), sum(each.fields for each in extents))

    def _extent_of(self, selection: SelectionNode) -> _Extent:
        for directive in selection.directives or ():
            self._visit_directive(directive)
        if isinstance(selection, FieldNode) and selection.name.value not in _INTROSPECTION:
            depth, fields = self.extent(selection.selection_set)
            return _Extent(depth + 1, fields + 1)
        if isinstance(selection, InlineFragmentNode):
            return self.extent(selection.selection_set)
        if isinstance(selection, FragmentSpreadNode):
            return self._fragment_extent(selection.name.value)
        raise UnplannableError

    def _fragment_extent(self, name: str) -> _Extent:
        if name not in self._extents:
            fragment = self._fragments.get(name)
            if fragment is None or name in self._open or fragment.variable_definitions:
                raise UnplannableError
            self._open.add(name)
            self._extents[name] = self.extent(fragment.selection_set)
            self._open.discard(name)
        return self._extents[name]

    def _visit_directive(self, directive: DirectiveNode) -> None:
        name = directive.name.value
        if name in _INCREMENTAL:
            raise UnplannableError
        if name not in _CONDITIONS:
            return
        arguments = directive.arguments or ()
        if len(arguments) != 1 or arguments[0].name.value != "if":
            raise UnplannableError
        value = arguments[0].value
        if isinstance(value, VariableNode):
            self.conditions.add(value.name.value)
        elif not isinstance(value, BooleanValueNode):
            raise UnplannableError
