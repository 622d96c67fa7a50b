"""Limits of a document: of its text before it is parsed, of its parsed form before it is validated."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Final, NamedTuple

from graphql import (
    DocumentNode,
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    get_operation_ast,
)

from core.settings import Settings
from server.http.errors import refuse, refuse_document

# Larger than any honest document: values belong into variables.
MAX_DOCUMENT_CHARACTERS: Final = 256 * 1024
# Deeper than any document within the depth limit needs, and shallow enough to parse and walk by recursion.
MAX_BRACKET_DEPTH: Final = 100
# Deep enough for the query that tools send: seven wrappers around a type, below __schema.
MAX_INTROSPECTION_DEPTH: Final = 20
# Comparing the selections of one field with each other takes the square of their number.
MAX_REPEATS: Final = 50
MAX_OPERATIONS: Final = 50

# Fragments that spread fragments can make numbers of hundreds of digits.
_COUNTLESS: Final = 10**9
_PASSWORD_FIELDS: Final = frozenset(
    {"signUp", "signIn", "changePassword", "resetPassword", "changeEmail", "deleteAccount"}
)
_INTROSPECTION_FIELDS: Final = frozenset({"__schema", "__type"})
_Fragments = Mapping[str, FragmentDefinitionNode]

# Every lexical token of GraphQL, comments included. Possessive and with optional ends, so that it never backtracks.
# In a block string a backslash escapes three quotes and nothing else; otherwise a document could hide tokens there.
_TOKEN: Final = re.compile(
    r'#[^\n\r]*+|"""(?:[^"\\]|\\(?:""")?+|"(?!""))*+(?:""")?|"(?:[^"\\\n\r]|\\.)*+"?'
    r"|[_A-Za-z][_0-9A-Za-z]*+|-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?|\.\.\.|[!$&()\[\]{}:=@|]",
    re.DOTALL,
)
_OPENING: Final = frozenset("{[(")
_CLOSING: Final = frozenset("}])")


def check_length(text: str) -> None:
    """Raise the refusal of a text that is too long."""
    if len(text) > MAX_DOCUMENT_CHARACTERS:
        message = (
            f"The document has {len(text)} characters; the limit is {MAX_DOCUMENT_CHARACTERS}. "
            "Send values as variables."
        )
        raise refuse(400, message, code="QUERY_TOO_LONG", limit=MAX_DOCUMENT_CHARACTERS)


def count_tokens(text: str, max_tokens: int) -> int:
    """Return the number of tokens; raise the refusal of a text that breaks a bound."""
    check_length(text)
    tokens = depth = 0
    for tokens, match in enumerate(_TOKEN.finditer(text), start=1):
        if tokens > max_tokens:
            message = f"The document has more than {max_tokens} tokens."
            raise refuse(400, message, code="TOO_MANY_TOKENS", limit=max_tokens)
        first = text[match.start()]
        if first in _OPENING:
            depth += 1
            if depth > MAX_BRACKET_DEPTH:
                message = f"The document nests brackets more than {MAX_BRACKET_DEPTH} deep."
                raise refuse(400, message, code="QUERY_TOO_DEEP", limit=MAX_BRACKET_DEPTH)
        elif first in _CLOSING:
            depth -= 1
    return tokens


class Size(NamedTuple):
    """The size of a part of a document with its fragments expanded."""

    depth: int = 0
    introspection_depth: int = 0
    aliases: int = 0
    directives: int = 0
    selections: int = 0


def check_limits(document: DocumentNode, settings: Settings) -> None:
    """Raise the refusal of a document that breaks a bound."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    sizes: dict[str, Size] = {}
    for name in _in_order_of_dependence(fragments):
        sizes[name] = _measure(fragments[name], sizes)
        _check(sizes[name], settings)
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) > MAX_OPERATIONS:
        message = f"The document has {len(operations)} operations; the limit is {MAX_OPERATIONS}."
        raise refuse(400, message, code="TOO_MANY_OPERATIONS", limit=MAX_OPERATIONS)
    # What is validated is each operation with the fragments that it spreads, however many operations share them.
    selections = 0
    for operation in operations:
        size = _measure(operation, sizes)
        selections += size.selections
        _check(size._replace(selections=selections), settings)
    for operation in operations:
        _check_repeats([operation.selection_set], fragments)
        _check_passwords(operation, fragments)


def _check_passwords(operation: OperationDefinitionNode, fragments: _Fragments) -> None:
    """Refuse an operation that would hash several passwords, each of which takes a tenth of a second."""
    if operation.operation is OperationType.MUTATION:
        names = [node.name.value for _, node in merged_fields([operation.selection_set], fragments)]
        if sum(name in _PASSWORD_FIELDS for name in names) > 1:
            message = f"An operation may have one of {', '.join(sorted(_PASSWORD_FIELDS))}."
            raise refuse(400, message, code="TOO_MANY_FIELDS", limit=1)


def _in_order_of_dependence(fragments: _Fragments) -> list[str]:
    graph = {name: fragments.keys() & set(_spreads(node.selection_set)) for name, node in fragments.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        name = error.args[1][0]
        message = f"The fragment '{name}' must not spread itself, neither directly nor through other fragments."
        raise refuse_document([GraphQLError(message, fragments[name])], "GRAPHQL_VALIDATION_FAILED") from None


def _spreads(selection_set: SelectionSetNode) -> Iterator[str]:
    for selection in selection_set.selections:
        if isinstance(selection, FragmentSpreadNode):
            yield selection.name.value
        elif isinstance(selection, FieldNode | InlineFragmentNode) and selection.selection_set:
            yield from _spreads(selection.selection_set)


def _measure(node: SelectionNode | ExecutableDefinitionNode, fragments: Mapping[str, Size]) -> Size:
    depth = introspection_depth = aliases = selections = 0
    directives = len(node.directives or ())
    if isinstance(node, FragmentSpreadNode):
        spread = fragments.get(node.name.value, Size())
        return spread._replace(directives=spread.directives + directives)
    if isinstance(node, ExecutableDefinitionNode):
        directives += sum(len(variable.directives or ()) for variable in node.variable_definitions or ())
    selection_set: SelectionSetNode | None = getattr(node, "selection_set", None)
    for selection in selection_set.selections if selection_set else ():
        inner = _measure(selection, fragments)
        depth = max(depth, inner.depth)
        introspection_depth = max(introspection_depth, inner.introspection_depth)
        aliases += inner.aliases
        directives += inner.directives
        selections += inner.selections + 1
    if isinstance(node, FieldNode):
        aliases += node.alias is not None
        if node.name.value in _INTROSPECTION_FIELDS:
            depth, introspection_depth = 1, max(depth, introspection_depth) + 1
        else:
            depth += 1
    return Size(depth, introspection_depth, aliases, directives, selections)


def _check(size: Size, settings: Settings) -> None:
    bounds = (
        ("QUERY_TOO_DEEP", "nests fields {} deep", size.depth, settings.graphql_max_depth),
        ("QUERY_TOO_DEEP", "nests introspection {} deep", size.introspection_depth, MAX_INTROSPECTION_DEPTH),
        ("TOO_MANY_ALIASES", "has {} aliases", size.aliases, settings.graphql_max_aliases),
        ("TOO_MANY_DIRECTIVES", "has {} directives", size.directives, settings.graphql_max_directives),
        ("TOO_MANY_FIELDS", "selects {} fields and fragments", size.selections, settings.graphql_max_tokens),
    )
    for code, text, value, limit in bounds:
        if value > limit:
            found = str(value) if value < _COUNTLESS else "countless"
            message = f"The operation {text.format(found)}, counted with its fragments; the limit is {limit}."
            raise refuse(400, message, code=code, limit=limit)


def _check_repeats(selection_sets: list[SelectionSetNode], fragments: _Fragments) -> None:
    """Refuse a field that is selected again and again in one place; the number of selections is bounded by now."""
    groups: dict[str, list[FieldNode]] = {}
    for _, field in merged_fields(selection_sets, fragments):
        groups.setdefault((field.alias or field.name).value, []).append(field)
    for key, group in groups.items():
        if len(group) > MAX_REPEATS:
            message = f"'{key}' is selected {len(group)} times in one place; the limit is {MAX_REPEATS}."
            raise refuse(400, message, code="TOO_MANY_FIELDS", limit=MAX_REPEATS)
        _check_repeats([field.selection_set for field in group if field.selection_set], fragments)


def selects_any(document: DocumentNode, operation_name: str | None, names: Container[str]) -> bool:
    """Tell whether one of an operation's own fields is among the names."""
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
    operation = get_operation_ast(document, operation_name)
    sets = [] if operation is None else [operation.selection_set]
    return any(field.name.value in names for _, field in merged_fields(sets, fragments))


def merged_fields(
    selection_sets: Iterable[SelectionSetNode], fragments: _Fragments, parent: str = ""
) -> Iterator[tuple[str, FieldNode]]:
    """Yield the fields that stand in one place, fragments expanded, each with the type that it is selected of."""
    waiting, seen = [(parent, selection_set) for selection_set in selection_sets], set[str]()
    while waiting:
        owner, selection_set = waiting.pop()
        for node in selection_set.selections:
            if isinstance(node, FieldNode):
                yield owner, node
            elif isinstance(node, InlineFragmentNode):
                waiting.append((node.type_condition.name.value if node.type_condition else owner, node.selection_set))
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                if fragment := fragments.get(node.name.value):
                    waiting.append((fragment.type_condition.name.value, fragment.selection_set))
