"""Literals of a document become variables, so that documents which differ only in them share one plan.

`{ node(id: "a") { id } }` is prepared as `query ($_literal0: ID!) { node(id: $_literal0) { id } }`.
"""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FloatValueNode,
    GraphQLError,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputType,
    GraphQLInt,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    Source,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    get_named_type,
    parse_type,
    parse_value,
    visit,
)

_PREFIX: Final = "_literal"
# A literal of any document that can be parsed; what is no literal stays in the key. Ends are optional, so that nothing
# is read twice: a text without an end is passed over, and no literal.
_LITERAL: Final = re.compile(
    r'#[^\n\r]*|"""(?:[^"\\]+|\\"""|\\|"(?!""))*(?P<block>""")?|"(?:[^"\\\n\r]+|\\.)*(?P<string>")?'
    r"|(?<![\w.])(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?)(?![\w.])",
    re.DOTALL | re.ASCII,
)
_MARKS: Final = {"block": "\0b", "string": "\0s", "integer": "\0i", "float": "\0f"}
_INT32: Final = range(-(2**31), 2**31)
_MAX_DIGITS: Final = 20
# With the comments; a document of more is looked for by its whole text.
MAX_LITERALS: Final = 2_000


class Literal(NamedTuple):
    """A literal in a text."""

    start: int
    end: int
    kind: str
    text: str

    @property
    def value(self) -> Any:
        """Return its value; raise GraphQLSyntaxError where its text is none."""
        if self.kind == "integer":
            return int(self.text)
        if self.kind == "float":
            return float(self.text)
        if self.kind == "string" and self.text.isprintable() and "\\" not in self.text:
            return self.text[1:-1]
        node = parse_value(self.text)
        return node.value if isinstance(node, StringValueNode) else None


class SplitDocument(NamedTuple):
    """A text without its literals, by which texts that differ in nothing else are found, and these literals."""

    # In a tuple, which is no text that a client might send.
    key: tuple[str]
    literals: Sequence[Literal]


def split_literals(text: str) -> SplitDocument | None:
    """Return a text's key and literals; None where it has none, or very many."""
    literals: list[Literal] = []
    pieces: list[str] = []
    place = 0
    for number, match in enumerate(_LITERAL.finditer(text)):
        if number >= MAX_LITERALS:
            return None
        if (kind := match.lastgroup) is None:
            continue
        if kind == "number":
            kind = "integer" if match[0].lstrip("-").isdigit() else "float"
        literals.append(Literal(*match.span(), kind, match[0]))
        pieces += (text[place : match.start()], _MARKS[kind])
        place = match.end()
    if not literals or "\0" in text:
        return None
    return SplitDocument(("".join((*pieces, text[place:])),), literals)


@dataclass(frozen=True, slots=True)
class Template:
    """A document whose literals are variables, and the scalars of these."""

    document: DocumentNode
    literals: Sequence[Literal]
    scalars: Sequence[GraphQLScalarType]

    def bind(self, text: str, literals: Sequence[Literal]) -> "BoundLiterals | None":
        """Return the literals of a text; None where one is no value of its type, which validation has to say."""
        variables = {}
        for index, (literal, scalar) in enumerate(zip(literals, self.scalars, strict=True)):
            try:
                variables[f"{_PREFIX}{index}"] = _checked(literal, scalar)
            except Exception:  # noqa: BLE001 - a scalar may raise what it likes
                return None
        return BoundLiterals(self, text, literals, variables)


class BoundLiterals(NamedTuple):
    """The literals of a text as values of the variables of its template."""

    template: Template
    text: str
    literals: Sequence[Literal]
    variables: dict[str, Any]

    def relocate(self, error: GraphQLError) -> GraphQLError:
        """Return an error of the template with its places in the text."""
        if not error.positions:
            return error
        before = self.template.literals
        growth = [len(new.text) - len(old.text) for new, old in zip(self.literals, before, strict=True)]
        ends, shifts = [each.end for each in before], [0, *accumulate(growth)]
        return GraphQLError(
            error.message,
            error.nodes,
            Source(self.text),
            [place + shifts[bisect_right(ends, place)] for place in error.positions],
            error.path,
            error.original_error,
            error.extensions,
        )


def make_template(schema: GraphQLSchema, document: DocumentNode, literals: Sequence[Literal]) -> Template | None:
    """Return the template of a valid document; None where a literal cannot be a variable."""
    type_info = TypeInfo(schema)
    finder = _Finder({literal.start: index for index, literal in enumerate(literals)}, type_info)
    changed = visit(document, TypeInfoVisitor(type_info, finder))
    operations = [node for node in changed.definitions if isinstance(node, OperationDefinitionNode)]
    if len(operations) != 1 or finder.types.keys() != set(range(len(literals))) or finder.is_ambiguous():
        return None
    types = [finder.types[index] for index in range(len(literals))]
    operation = operations[0]
    declared = tuple(operation.variable_definitions or ())
    if any(definition.variable.name.value.startswith(_PREFIX) for definition in declared):
        return None
    with_variables = replace(operation, variable_definitions=(*declared, *map(_definition, range(len(types)), types)))
    definitions = tuple(with_variables if node is operation else node for node in changed.definitions)
    scalars: list[Any] = [get_named_type(each) for each in types]
    return Template(DocumentNode(definitions=definitions, loc=document.loc), literals, scalars)


def _checked(literal: Literal, type_: GraphQLScalarType) -> Any:
    """Return a literal's value; raise an error where the type does not take it."""
    if type_ is GraphQLID and literal.kind == "integer":
        return literal.text
    if type_ is GraphQLFloat and not math.isfinite(value := float(literal.text)):
        raise ValueError(literal.text)
    if type_ is GraphQLFloat:
        return value
    if literal.kind == "integer" and len(literal.text) > _MAX_DIGITS:
        raise ValueError(literal.text)
    value = literal.value
    if type_ is GraphQLInt and value not in _INT32:
        raise ValueError(literal.text)
    if type_ not in {GraphQLString, GraphQLID, GraphQLInt}:
        type_.parse_value(value)
    return value


def _definition(index: int, type_: GraphQLInputType) -> VariableDefinitionNode:
    variable = VariableNode(name=NameNode(value=f"{_PREFIX}{index}"))
    return VariableDefinitionNode(variable=variable, type=_type_node(str(type_)), directives=())


# As few as there are types of arguments and fields of inputs.
_type_node: Final = cache(parse_type)


class _Finder(Visitor):
    """Puts variables in the place of the literals of arguments, and finds the types there."""

    def __init__(self, indexes: Mapping[int, int], type_info: TypeInfo) -> None:
        super().__init__()
        self.types: dict[int, GraphQLInputType] = {}
        self._indexes = indexes
        self._type_info = type_info
        self._fields: Counter[str] = Counter()
        self._with_literals: set[str] = set()
        self._current: list[str] = []

    def is_ambiguous(self) -> bool:
        """Tell whether fields of one name have literals: whether they may be merged depends on the values."""
        return any(self._fields[name] > 1 for name in self._with_literals)

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        name = (node.alias or node.name).value
        self._fields[name] += 1
        self._current.append(name)

    def leave_field(self, *_: Any) -> None:
        self._current.pop()

    def enter_variable_definition(self, *_: Any) -> Any:
        # A default is part of the key only if it stays what it is.
        return False

    def _replace(self, node: IntValueNode | FloatValueNode | StringValueNode, *_: Any) -> Any:
        index = self._indexes.get(node.loc.start) if node.loc else None
        type_ = self._type_info.get_input_type()
        if index is None or type_ is None or not isinstance(get_named_type(type_), GraphQLScalarType):
            return None
        self.types[index] = type_
        self._with_literals.update(self._current[-1:])
        return VariableNode(name=NameNode(value=f"{_PREFIX}{index}"))

    enter_int_value = enter_float_value = enter_string_value = _replace
