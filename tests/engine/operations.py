"""Makes operations on any schema: fragments, aliases, merged fields, directives, arguments and variables."""

from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, is_abstract_type, is_composite_type
from graphql.type import GraphQLNamedType

from tests.engine.decisions import Decisions
from tests.engine.literals import Name, printed, value

_DIRECTIVES: Final = (
    *[""] * 12,
    " @include(if: $yes)",
    " @skip(if: $no)",
    " @skip(if: true)",
    " @include(if: $no)",
    " @skip(if: $no) @include(if: $yes)",
)
_DEPTH: Final = 4


@dataclass(frozen=True)
class Operation:
    """The text of an operation, and the variables that go with it."""

    text: str
    variables: dict[str, Any]


def make_operation(schema: GraphQLSchema, decisions: Decisions) -> Operation:
    """Return an operation."""
    writer = _Writer(schema, decisions)
    kind, root = ("mutation", schema.mutation_type) if decisions.one_in(5) else ("query", schema.query_type)
    assert root is not None
    body = writer.selections(root, _DEPTH, 3)
    heading = " ".join(["$yes: Boolean!", "$no: Boolean = false", *writer.declared])
    return Operation(" ".join([f"{kind} ({heading})", body, *writer.fragments.values()]), writer.variables)


@dataclass
class _Writer:
    schema: GraphQLSchema
    decisions: Decisions
    fragments: dict[str, str] = field(default_factory=dict)
    declared: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=lambda: {"yes": True, "no": False})

    def selections(self, type_: GraphQLNamedType, depth: int, least: int = 1) -> str:
        """Return a selection set on a type."""
        parts = [self._selection(type_, depth) for _ in range(least + self.decisions.next(4))]
        return f"{{ {' '.join(parts)} }}"

    def _selection(self, type_: GraphQLNamedType, depth: int) -> str:
        directive = self.decisions.choose(_DIRECTIVES)
        names = list(getattr(type_, "fields", {}))
        kind = self.decisions.next(10)
        if depth > 0 and (kind == 9 or (not names and kind > 2)):
            inner = self._below(type_)
            condition = f"on {inner}" if inner is not type_ or self.decisions.one_in(2) else ""
            return f"... {condition}{directive} {self.selections(inner, depth - 1)}"
        if depth > 0 and kind == 8:
            return f"...{self._fragment(self._below(type_), depth)}{directive}"
        if not names or kind == 7:
            return f"__typename{directive}"
        name = self.decisions.choose(names)
        return self._field(name, type_.fields[name], depth, directive)  # type: ignore[attr-defined]

    def _below(self, type_: GraphQLNamedType) -> GraphQLNamedType:
        possible: list[GraphQLObjectType] = (
            list(self.schema.get_possible_types(type_)) if is_abstract_type(type_) else []
        )
        return self.decisions.choose([type_, *possible])

    def _fragment(self, type_: GraphQLNamedType, depth: int) -> str:
        known = [name for name, text in self.fragments.items() if text and name.startswith(f"{type_}_")]
        if known and self.decisions.one_in(3):
            return self.decisions.choose(known)
        name = f"{type_}_{len(self.fragments)}"
        self.fragments[name] = ""
        self.fragments[name] = f"fragment {name} on {type_} {self.selections(type_, depth - 1)}"
        return name

    def _field(self, name: str, definition: GraphQLField, depth: int, directive: str) -> str:
        arguments = self._arguments(definition)
        # A key says what it holds, so that fields merge.
        key = f"{name}_{crc32(arguments.encode())}: " if arguments else ""
        if not arguments and self.decisions.one_in(4):
            key = f"other_{name}: "
        named = get_named_type(definition.type)
        if not is_composite_type(named):
            return f"{key}{name}{arguments}{directive}"
        inner = self.selections(named, depth - 1) if depth > 0 else "{ __typename }"
        return f"{key}{name}{arguments}{directive} {inner}"

    def _arguments(self, definition: GraphQLField) -> str:
        given = {
            name: value(self.decisions, str(argument.type), self._declare)
            for name, argument in definition.args.items()
            if not self.decisions.one_in(4)
        }
        return f"({', '.join(f'{name}: {printed(each)}' for name, each in given.items())})" if given else ""

    def _declare(self, type_: str) -> Name:
        name = f"v{len(self.declared)}"
        default = f" = {printed(value(self.decisions, type_))}" if self.decisions.one_in(4) else ""
        if default and self.decisions.one_in(2):
            # With a default it may stand where no null may.
            type_ = type_.removesuffix("!")
        self.declared.append(f"${name}: {type_}{default}")
        may_be_absent = default or not type_.endswith("!") or self.decisions.goes_wrong()
        if not (may_be_absent and self.decisions.one_in(4)):
            self.variables[name] = value(self.decisions, type_)
        return Name(f"${name}")
