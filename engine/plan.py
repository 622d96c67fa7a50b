"""Plans an operation once, and executes it as often as it is asked for."""

from collections.abc import Awaitable
from typing import Any, Final

from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    assert_valid_schema,
)
from graphql import execute as execute_depth_first
from graphql.execution.values import VariableValues, get_variable_values

from engine.binding import Binding
from engine.failures import tell
from engine.fields import Selection
from engine.objects import execute_selection
from engine.places import Column, Group
from engine.run import NO_VARIABLES, Request, Run
from engine.survey import Survey, UnplannableError

# An operation with many conditions has more combinations of them than are worth keeping.
_KEPT_BINDINGS: Final = 32
# As graphql-core has it.
_MAX_ERRORS: Final = 50


class Plan:
    """How an operation is executed."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation_name: str | None = None) -> None:
        assert_valid_schema(schema)
        self.schema = schema
        self.document = document
        self.operation_name = operation_name
        self._roots: dict[tuple[bool, ...], Selection] = {}
        # What is selected at the root where no condition decides it, once that is known.
        self._only_root: Selection | None = None
        self._conditions: tuple[str, ...] = ()
        self._request: Request | None = None
        self._root_type: GraphQLObjectType | None = None
        self._is_mutation = False
        try:
            self._survey()
        except (UnplannableError, RecursionError):
            self._request = None

    @property
    def is_planned(self) -> bool:
        """Tell whether the operation is executed by this engine; otherwise it is by graphql-core."""
        return self._request is not None

    async def execute(
        self,
        root_value: Any = None,
        context_value: Any = None,
        variable_values: dict[str, Any] | None = None,
        *,
        hide_suggestions: bool = False,
    ) -> ExecutionResult:
        """Execute the operation."""
        request = self._request
        if request is not None:
            variables = None
            if request.operation.variable_definitions:
                found = get_variable_values(
                    self.schema,
                    request.operation.variable_definitions,
                    variable_values or {},
                    _MAX_ERRORS,
                    hide_suggestions,
                )
                if isinstance(found, list):
                    return ExecutionResult(None, found)
                variables = found
            selection = self._only_root or self._root(request, variables or NO_VARIABLES)
            if selection is not None:
                run = Run(request, root_value, context_value, variables, hide_suggestions=hide_suggestions)
                root = Group(selection, [root_value], None, None)
                if self._is_mutation:
                    await _execute_in_order(run, root)
                else:
                    execute_selection(run, root)
                    if run.schedule.is_waiting:
                        await run.schedule.finish()
                data = root.results[0]
                return ExecutionResult(*tell(run.failures, data)) if run.failures else ExecutionResult(data)
        told = root_value, context_value, variable_values, self.operation_name
        result = execute_depth_first(self.schema, self.document, *told, hide_suggestions=hide_suggestions)
        return await result if isinstance(result, Awaitable) else result

    def _survey(self) -> None:
        fragments: dict[str, FragmentDefinitionNode] = {}
        operations: list[OperationDefinitionNode] = []
        for definition in self.document.definitions:
            if isinstance(definition, FragmentDefinitionNode):
                fragments[definition.name.value] = definition
            elif isinstance(definition, OperationDefinitionNode) and self._is_meant(definition):
                operations.append(definition)
        if not operations or (len(operations) > 1 and self.operation_name is None):
            raise UnplannableError
        operation = operations[-1]
        self._is_mutation = operation.operation is OperationType.MUTATION
        self._root_type = self.schema.get_root_type(operation.operation)
        if self._root_type is None or self.schema.get_directive("defer") or self.schema.get_directive("stream"):
            raise UnplannableError
        self._conditions = tuple(sorted(Survey(operation, fragments).conditions))
        self._request = Request(self.schema, operation, fragments)

    def _is_meant(self, operation: OperationDefinitionNode) -> bool:
        name = self.operation_name
        return name is None or (operation.name is not None and operation.name.value == name)

    def _root(self, request: Request, variables: VariableValues) -> Selection | None:
        """Return what is selected; None where a condition has no value to decide by."""
        values: tuple[bool, ...] = ()
        if self._conditions:
            values = tuple(value for name in self._conditions if isinstance(value := variables.coerced.get(name), bool))
        if len(values) < len(self._conditions) or self._root_type is None:
            return None
        if (found := self._roots.get(values)) is not None:
            return found
        if len(self._roots) >= _KEPT_BINDINGS:
            self._roots.clear()
        conditions = VariableValues(
            {name: variables.sources[name] for name in self._conditions},
            {name: variables.coerced[name] for name in self._conditions},
        )
        found = self._roots[values] = Binding(request, conditions).root(self._root_type)
        if not self._conditions:
            self._only_root = found
        return found


async def _execute_in_order(run: Run, root: Group) -> None:
    """Execute the fields of a mutation, each when all below the one before is there."""
    data: dict[str, Any] = {}
    root.results = [data]
    for field in root.selection.fields:
        data[field.key] = field.reader.read(run, Column(root, field))[0]
        await run.schedule.finish()
        if run.failures and run.has_lost_everything():
            return
