"""One execution of a plan: what it was given, what it waits for, and what went wrong."""

from collections.abc import Awaitable, Sequence
from typing import Any, Final

from graphql import FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import VariableValues, get_argument_values
from graphql.pyutils import gather_with_cancel, is_awaitable
from graphql.type import GraphQLResolveInfoHelpers

from engine.failures import Failure, nulled_place
from engine.fields import Field
from engine.places import Column, Items
from engine.resolve_info import ResolveInfo
from engine.schedule import Schedule

NO_VARIABLES: Final = VariableValues({}, {})


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

    __slots__ = (
        "_arguments",
        "_context",
        "_hide_suggestions",
        "_root_value",
        "_told",
        "_variables",
        "failures",
        "request",
        "schedule",
    )

    def __init__(
        self,
        request: Request,
        root_value: Any,
        context: Any,
        variables: VariableValues | None,
        *,
        hide_suggestions: bool,
    ) -> None:
        self.request = request
        self.schedule = Schedule()
        self.failures: list[Failure] = []
        self._root_value = root_value
        self._context = context
        # Null for an operation that declares none.
        self._variables = variables
        self._hide_suggestions = hide_suggestions
        # Made when it is asked for.
        self._told: tuple[Any, ...] | None = None
        self._arguments: dict[Field, dict[str, Any] | Exception] = {}

    def info(self, frame: Column | Items, index: int) -> ResolveInfo:
        """Return what the resolver of the value at a place is told."""
        told = self._told or self._tell()
        return tuple.__new__(ResolveInfo, (*frame.field.told, (frame, index), *told))

    def fail(self, frame: Column | Items, index: int, error: Exception, *, is_late: bool = False) -> None:
        """Note that there is an error instead of the value at a place."""
        self.failures.append(Failure((frame, index), error, is_late))

    def has_lost_everything(self) -> bool:
        """Tell whether an error has made the whole answer null."""
        return any(nulled_place(failure.place) is None for failure in self.failures)

    def arguments(self, field: Field) -> dict[str, Any] | Exception:
        """Return a field's argument values; an error where they cannot be made."""
        if not field.definition.args:
            return {}
        if (found := self._arguments.get(field)) is None:
            try:
                found = get_argument_values(
                    field.definition, field.nodes[0], self._variables or NO_VARIABLES, None, self._hide_suggestions
                )
            except Exception as error:  # noqa: BLE001 - it is the error of the field
                found = error
            self._arguments[field] = found
        return found

    def _tell(self) -> tuple[Any, ...]:
        request = self.request
        self._told = (
            request.schema,
            request.fragments,
            self._root_value,
            request.operation,
            # Their identity tells this execution from others.
            VariableValues({}, {}) if self._variables is None else self._variables,
            self._context,
            is_awaitable,
            None,
            GraphQLResolveInfoHelpers(_gather, self.schedule.track),
        )
        return self._told


def _gather(awaitables: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*awaitables)
