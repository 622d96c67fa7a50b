"""Makes schemas, and operations on them: types, fragments, arguments and variables, some of them wrong."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, get_named_type, is_abstract_type, is_composite_type
from graphql.type import GraphQLNamedType

from tests.engine.decisions import Decisions

_WRAPPINGS: Final = ("{}", "{}!", "[{}]", "[{}!]", "[{}!]!", "[{}]!", "[[{}]]", "[[{}!]!]!")
_INPUTS: Final = ("Int", "String", "Boolean", "Float", "ID", "Colour", "Point", "Either")
# The values of each type, the last of them of none.
_SCALARS: Final[dict[str, tuple[Any, ...]]] = {
    "Int": (3, 0, -1, "three"),
    "Float": (1.5, 2, -1, "half"),
    "String": ("s", "", "word", 4),
    "Boolean": (True, False, True, "yes"),
    "ID": ("i", 5, "", 1.5),
}
_POINT: Final = {"x": "Int!", "y": "[Int]", "label": "String", "next": "Point", "colour": "Colour"}
_EITHER: Final = (("a", "Int!"), ("b", "String!"), ("c", "Point!"))
_DIRECTIVES: Final = (
    *[""] * 12,
    *(" @include(if: $yes)", " @skip(if: $no)", " @skip(if: true)", " @include(if: $no)"),
    " @skip(if: $no) @include(if: $yes)",
)


class Name(str):
    """What is written without quotes: a value of an enum, or a variable."""

    __slots__ = ()


def value(decisions: Decisions, type_: str, declare: Callable[[str], Name] | None = None) -> Any:
    """Return a value of a type; with what declares a variable of a type and names it, there may be variables in it."""
    if declare is not None and decisions.one_in(5):
        return declare(type_)
    is_required = type_.endswith("!") and not decisions.goes_wrong()
    if not is_required and decisions.one_in(6):
        return None
    type_ = type_.rstrip("!")
    # A value that is no list stands for a list of it.
    while type_.startswith("[") and decisions.one_in(6):
        type_ = type_[1:-1].rstrip("!")
    if type_.startswith("["):
        return [value(decisions, type_[1:-1], declare) for _ in range(decisions.next(3))]
    return _named_value(decisions, type_, declare)


def _named_value(decisions: Decisions, type_: str, declare: Callable[[str], Name] | None) -> Any:
    if type_ == "Point":
        chosen = {name: of for name, of in _POINT.items() if decisions.one_in(3)}
        point = {name: value(decisions, of, declare) for name, of in chosen.items()}
        return {**point, "unknown": 1} if decisions.goes_wrong() else point
    if type_ == "Either":
        count, start = 2 if decisions.goes_wrong() else 1, decisions.next(3)
        return {name: value(decisions, of, declare) for name, of in (_EITHER * 2)[start : start + count]}
    if type_ == "Colour":
        return Name("BLUE" if decisions.goes_wrong() else decisions.choose(("RED", "GREEN")))
    options = _SCALARS[type_]
    return options[-1] if decisions.goes_wrong() else decisions.choose(options[:-1])


def printed(given: Any) -> str:
    if isinstance(given, Name):
        return str(given)
    if isinstance(given, list):
        return f"[{', '.join(map(printed, given))}]"
    if isinstance(given, dict):
        return f"{{{', '.join(f'{name}: {printed(item)}' for name, item in given.items())}}}"
    return json.dumps(given)


def schema_text(decisions: Decisions) -> str:
    """Return the definition of a schema whose fields are of every type, wrapped in any way."""

    def fields(*types: str) -> dict[str, str]:
        return {f"f{at}": decisions.choose(_WRAPPINGS).format(of) for at, of in enumerate(types)}

    def shown(types: dict[str, str]) -> str:
        arguments = [f"g{at}(a: {_argument(decisions, of)}, b: {of}): String" for at, of in enumerate(_INPUTS)]
        return "  ".join([*(f"{name}: {of}" for name, of in types.items()), *arguments])

    of_first = fields("String", "I0", "U", "Int")
    of_second = of_first | {f"i{name}": of for name, of in fields("I1", "Float").items()}
    own = {f"o{name}": of for name, of in fields("ID", "Colour", "Odd", "O0", "O1", "O2", "Boolean").items()}
    # What may stand for a field of an interface.
    narrowed = {name: f"{of.removesuffix('!')}!" if decisions.one_in(3) else of for name, of in of_second.items()}
    return f"""
        enum Colour {{ RED GREEN }}
        scalar Odd
        input Point {{ x: Int! = 1  y: [Int]  label: String = "none"  next: Point  colour: Colour = GREEN }}
        input Either @oneOf {{ a: Int  b: String  c: Point }}
        union U = O0 | O1
        interface I0 {{ {"  ".join(f"{name}: {of}" for name, of in of_first.items())} }}
        interface I1 implements I0 {{ {"  ".join(f"{name}: {of}" for name, of in of_second.items())} }}
        type O0 implements I0 {{ {shown(of_first | own)} }}
        type O1 implements I0 & I1 {{ {shown(narrowed | own)} }}
        type O2 {{ {shown(own)} }}
        type Query {{ {shown(of_first | own)} }}
        type Mutation {{ {shown(of_first | own)} }}
    """


def _argument(decisions: Decisions, of: str) -> str:
    type_ = decisions.choose(_WRAPPINGS).format(of)
    return f"{type_} = {printed(value(decisions, type_))}" if decisions.one_in(3) else type_


@dataclass
class Operation:
    """The text of an operation, the variables that go with it, and the type of its root."""

    schema: GraphQLSchema
    decisions: Decisions
    variables: dict[str, Any] = field(default_factory=lambda: {"yes": True, "no": False})
    fragments: dict[str, str] = field(default_factory=dict)
    declared: list[str] = field(default_factory=lambda: ["$yes: Boolean!", "$no: Boolean = false"])

    def __post_init__(self) -> None:
        kind = "mutation" if self.decisions.one_in(5) else "query"
        root = self.schema.type_map[kind.title()]
        assert isinstance(root, GraphQLObjectType)
        self.root, body = root, self._selections(root, 4, 3)
        self.text = " ".join([f"{kind} ({' '.join(self.declared)})", body, *self.fragments.values()])

    def _selections(self, type_: GraphQLNamedType, depth: int, least: int = 1) -> str:
        parts = [self._selection(type_, depth) for _ in range(least + self.decisions.next(4))]
        return f"{{ {' '.join(parts)} }}"

    def _selection(self, type_: GraphQLNamedType, depth: int) -> str:
        directive = self.decisions.choose(_DIRECTIVES)
        names = list(getattr(type_, "fields", {}))
        kind = self.decisions.next(10)
        if depth > 0 and (kind == 9 or (not names and kind > 2)):
            inner = self._below(type_)
            condition = f"on {inner}" if inner is not type_ or self.decisions.one_in(2) else ""
            return f"... {condition}{directive} {self._selections(inner, depth - 1)}"
        if depth > 0 and kind == 8:
            return f"...{self._fragment(self._below(type_), depth)}{directive}"
        if not names or kind == 7:
            return f"__typename{directive}"
        name = self.decisions.choose(names)
        return self._field(name, type_.fields[name], depth, directive)  # type: ignore[attr-defined]

    def _below(self, type_: GraphQLNamedType) -> GraphQLNamedType:
        return self.decisions.choose(
            [type_, *(self.schema.get_possible_types(type_) if is_abstract_type(type_) else [])]
        )

    def _fragment(self, type_: GraphQLNamedType, depth: int) -> str:
        known = [name for name, text in self.fragments.items() if text and name.startswith(f"{type_}_")]
        if known and self.decisions.one_in(3):
            return self.decisions.choose(known)
        name = f"{type_}_{len(self.fragments)}"
        self.fragments[name] = ""
        self.fragments[name] = f"fragment {name} on {type_} {self._selections(type_, depth - 1)}"
        return name

    def _field(self, name: str, definition: GraphQLField, depth: int, directive: str) -> str:
        given = {
            key: value(self.decisions, str(argument.type), self._declare)
            for key, argument in definition.args.items()
            if not self.decisions.one_in(4)
        }
        arguments = f"({printed(given)[1:-1]})" if given else ""
        # A key says what it holds, so that fields merge.
        key = f"{name}_{crc32(arguments.encode())}: " if given else "" if self.decisions.next(4) else f"other_{name}: "
        named = get_named_type(definition.type)
        inner = ""
        if is_composite_type(named):
            inner = self._selections(named, depth - 1) if depth > 0 else "{ __typename }"
        return f"{key}{name}{arguments}{directive} {inner}"

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
