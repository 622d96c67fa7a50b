"""One execution of a plan: what it was given, what it waits for, and what went wrong."""

from typing import Any

from graphql import FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import VariableValues, get_argument_values
from graphql.pyutils import gather_with_cancel, is_awaitable
from graphql.type import GraphQLResolveInfoHelpers

from engine.failures import Failure, nulled_place
from engine.fields import Arguments, Field
from engine.places import Column, Items
from engine.resolve_info import ResolveInfo
from engine.schedule import Schedule


class Request:
    """What does not change from one execution of an operation to the next."""

    __slots__ = ("fragments", "operation", "schema")

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
    ) -> None:
        self.schema = schema
        self.operation = operation
        self.fragments = fragments


class Run:
    """One execution."""

    __slots__ = ("_arguments", "_hide_suggestions", "_told", "failures", "request", "schedule", "variables")

    def __init__(
        self, request: Request, root_value: Any, context: Any, variables: VariableValues, *, hide_suggestions: bool
    ) -> None:
        self.request = request
        self.variables = variables
        self.schedule = Schedule()
        self.failures: list[Failure] = []
        self._hide_suggestions = hide_suggestions
        self._arguments: dict[Field, Arguments] = {}
        helpers = GraphQLResolveInfoHelpers(lambda values: gather_with_cancel(*values), self.schedule.track)
        self._told = (
            request.schema,
            request.fragments,
            root_value,
            request.operation,
            variables,
            context,
            is_awaitable,
            None,
            helpers,
        )

    def info(self, frame: Column | Items, index: int) -> ResolveInfo:
        """Return what the resolver of the value at a place is told."""
        field = frame.field
        known = (field.name, field.nodes, field.return_type, field.parent_type, (frame, index), *self._told)
        return tuple.__new__(ResolveInfo, known)

    def fail(self, frame: Column | Items, index: int, error: Exception, *, is_late: bool = False) -> None:
        """Note that there is an error instead of the value at a place."""
        self.failures.append(Failure((frame, index), error, is_late))

    def has_lost_everything(self) -> bool:
        """Tell whether an error has made the whole answer null."""
        return any(nulled_place(failure.place) is None for failure in self.failures)

    def arguments(self, field: Field) -> Arguments:
        """Return a field's argument values; an error where they cannot be made."""
        if field.arguments is not None:
            return field.arguments
        if (found := self._arguments.get(field)) is None:
            found = self._arguments[field] = self._make_arguments(field)
        return found

    def _make_arguments(self, field: Field) -> Arguments:
        try:
            return get_argument_values(field.definition, field.nodes[0], self.variables, None, self._hide_suggestions)
        except Exception as error:  # noqa: BLE001 - it is the error of the field
            return error
