"""Makes the argument values of a field: what is known ahead is made once, what a variable gives is only looked up."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from graphql import GraphQLField, VariableNode, is_non_null_type
from graphql.execution.values import VariableValues, coerce_argument, get_argument_values
from graphql.language import ArgumentNode, FieldNode, ListValueNode, ObjectValueNode, ValueNode
from graphql.pyutils import Undefined

# The argument values, or why there are none.
Arguments: TypeAlias = dict[str, Any] | Exception
# What a resolver cannot change, so that all calls may be given the same.
UNCHANGEABLE: Final = (str, int, float, bool, Enum, type(None))


class _Part(NamedTuple):
    """One argument: of a variable, or of a value, which is copied where a resolver could change it."""

    name: str
    variable: str | None = None
    is_required: bool = False
    value: Any = None
    copy: Callable[[Any], Any] | None = None


class ArgumentPlan:
    """How the argument values of a field are made."""

    __slots__ = ("_definition", "_node", "_parts", "constant")

    def __init__(self, definition: GraphQLField, node: FieldNode) -> None:
        self._definition = definition
        self._node = node
        self._parts = _parts(definition, node)
        # The values that are the same in every execution, and that no resolver can change.
        self.constant: dict[str, Any] | None = None
        if self._parts is not None and all(part.variable is None and part.copy is None for part in self._parts):
            self.constant = {part.name: part.value for part in self._parts}

    def make(self, variables: VariableValues, *, hide_suggestions: bool) -> Arguments:
        """Return the values for the variables of an execution; an error where they cannot be made."""
        found = None if self._parts is None else _looked_up(self._parts, variables.coerced)
        if found is not None:
            return found
        try:
            return get_argument_values(self._definition, self._node, variables, None, hide_suggestions)
        except Exception as error:  # noqa: BLE001 - it is the error of the field
            return error


def _looked_up(parts: list[_Part], coerced: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the values; None where a variable gives none, which graphql-core knows what to do about."""
    values = {}
    for name, variable, is_required, constant, copy in parts:
        value = constant if variable is None else coerced.get(variable, Undefined)
        if value is Undefined or (is_required and value is None):
            return None
        values[name] = value if copy is None else copy(value)
    return values


def _parts(definition: GraphQLField, node: FieldNode) -> list[_Part] | None:
    """Return the arguments in the order of the schema; None where one has to be made anew each time."""
    given = {argument.name.value: argument for argument in node.arguments or ()}
    parts = []
    for name, argument in definition.args.items():
        value = given[name].value if name in given else None
        if isinstance(value, VariableNode):
            is_required = is_non_null_type(argument.type)
            parts.append(_Part(argument.out_name or name, value.name.value, is_required=is_required))
        elif value is not None and _has_variable(value):
            return None
        else:
            try:
                constant = _constant(definition, node, name, given.get(name))
            except Exception:  # noqa: BLE001 - each execution has it as an error of the field
                return None
            for out_name, known in constant.items():
                copy = None if isinstance(known, UNCHANGEABLE) else _copied
                if copy is not None and not _is_copied_whole(known):
                    return None
                parts.append(_Part(out_name, value=known, copy=copy))
    return parts


def _constant(definition: GraphQLField, node: FieldNode, name: str, given: ArgumentNode | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    coerce_argument(found, node, name, definition.args[name], given, None, None)
    return found


def _has_variable(value: ValueNode) -> bool:
    if isinstance(value, ListValueNode):
        return any(map(_has_variable, value.values))
    if isinstance(value, ObjectValueNode):
        return any(_has_variable(field.value) for field in value.fields)
    return isinstance(value, VariableNode)


def _is_copied_whole(value: Any) -> bool:
    if type(value) is list:
        return all(map(_is_copied_whole, value))
    if type(value) is dict:
        return all(map(_is_copied_whole, value.values()))
    return isinstance(value, UNCHANGEABLE)


def _copied(value: Any) -> Any:
    if type(value) is list:
        return [_copied(item) for item in value]
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return value
