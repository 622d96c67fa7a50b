"""Looks through an operation once: which variables decide what it selects, and whether it can be planned at all."""

from collections.abc import Mapping
from typing import Final

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
)
from graphql.type.directives import GraphQLDisableErrorPropagationDirective

_INTROSPECTION: Final = frozenset({"__schema", "__type"})
_INCREMENTAL: Final = frozenset({"defer", "stream"})
_CONDITIONS: Final = frozenset({"skip", "include"})
# Deeper ones are left to an executor that says how deep is too deep.
_DEEPEST: Final = 50


class UnplannableError(Exception):
    """The operation has something that is left to graphql-core."""


class Survey:
    """What an operation and the fragments that it uses have in them."""

    def __init__(self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self.conditions: set[str] = set()
        self._fragments = fragments
        self._depths: dict[str, int] = {}
        self._open: set[str] = set()
        for directive in operation.directives or ():
            if directive.name.value == GraphQLDisableErrorPropagationDirective.name:
                raise UnplannableError
        if self._depth(operation.selection_set) > _DEEPEST:
            raise UnplannableError

    def _depth(self, selection_set: SelectionSetNode) -> int:
        return max((self._depth_of(selection) for selection in selection_set.selections), default=0)

    def _depth_of(self, selection: SelectionNode) -> int:
        for directive in selection.directives or ():
            self._see_directive(directive)
        if isinstance(selection, FieldNode):
            if selection.name.value in _INTROSPECTION:
                raise UnplannableError
            return 1 + (self._depth(selection.selection_set) if selection.selection_set else 0)
        if isinstance(selection, InlineFragmentNode):
            return self._depth(selection.selection_set)
        if isinstance(selection, FragmentSpreadNode):
            return self._depth_of_fragment(selection.name.value)
        raise UnplannableError

    def _depth_of_fragment(self, name: str) -> int:
        if name not in self._depths:
            fragment = self._fragments.get(name)
            if fragment is None or name in self._open or fragment.variable_definitions:
                raise UnplannableError
            self._open.add(name)
            self._depths[name] = self._depth(fragment.selection_set)
            self._open.discard(name)
        return self._depths[name]

    def _see_directive(self, directive: DirectiveNode) -> None:
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
