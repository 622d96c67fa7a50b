"""Makes input types, and values for them: right ones, and ones that have something wrong in them."""

from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLSchema,
    build_schema,
)
from graphql.pyutils import Undefined

from tests.engine.decisions import Decisions

_DEEPEST: Final = 5
_SCALARS: Final[dict[str, tuple[Any, ...]]] = {
    "Int": (3, 0, 2.0),
    "Float": (1.5, 2),
    "String": ("s", ""),
    "Boolean": (True, False),
    "ID": ("i", 5),
    "DateTime": ("2026-01-31T09:00:00.5+00:00", "2026-01-31T09:00:00Z"),
}
_WRONG: Final[tuple[Any, ...]] = (
    None,
    Undefined,
    2**40,
    1.5,
    "x",
    True,
    (),
    ("x",),
    {"unknown": 1},
    {"f0": Undefined},
    [[]],
    {1: 1},
)
_LEAVES: Final = ("String", "Int", "Float", "Boolean", "ID", "Colour", "Odd")
_NAMES: Final = ("In0", "In1", "In2", "Either")
_WRAPPINGS: Final = ("{}", "{}!", "[{}]", "[{}!]!", "[[{}]!]")
# The last of each is of another type.
_DEFAULTS: Final = {
    "String": ('"d"', "4"),
    "Int": ("4", '"d"'),
    "Colour": ("GREEN", "BLUE"),
    "In0": ("null", "4"),
}


def make_input_schema(decisions: Decisions) -> GraphQLSchema:
    """Return a schema of inputs that refer to each other in every way."""
    inputs = [f"input {name} {{ {_fields(decisions)} }}" for name in _NAMES[:3]]
    schema = build_schema(
        f"""enum Colour {{ RED GREEN }} scalar Odd {" ".join(inputs)}
        input Either @oneOf {{ a: Int  b: String  c: In0  d: [Colour!] }}
        type Query {{ told(all: [In0]): Int }}""",
        assume_valid=True,
    )
    odd: Any = schema.type_map["Odd"]
    odd.coerce_input_value = _odd
    for name in _NAMES[:3]:
        type_ = schema.type_map[name]
        assert isinstance(type_, GraphQLInputObjectType)
        if decisions.one_in(3):
            type_.out_type = _only_two  # type: ignore[method-assign]  # as the type's own constructor does
        type_.fields["f0"].out_name = decisions.choose((None, "first"))
    return schema


def _fields(decisions: Decisions) -> str:
    return " ".join(f"f{number}: {_field(decisions)}" for number in range(1 + decisions.next(4)))


def _field(decisions: Decisions) -> str:
    named = decisions.choose(_NAMES if decisions.one_in(3) else _LEAVES)
    # What needs another of its kind could never be given.
    type_ = named if named in _NAMES else decisions.choose(_WRAPPINGS).format(named)
    if named in _NAMES and decisions.one_in(2):
        type_ = f"[{named}!]!"
    has_default = named in _DEFAULTS and "[[" not in type_ and decisions.one_in(3)
    return f"{type_} = {_DEFAULTS[named][decisions.one_in(4)]}" if has_default else type_


def _odd(value: Any) -> Any:
    return {3: None, 0: Undefined}[value] if isinstance(value, int) and not isinstance(value, bool) else value


def _only_two(value: dict[str, Any]) -> Any:
    if len(value) > 2:
        raise OverflowError(f"{len(value)} are too many.")
    return [*value.items()]


def input_value(decisions: Decisions, type_: GraphQLInputType, depth: int = 0) -> Any:
    """Return a value of a type."""
    if decisions.goes_wrong():
        return decisions.choose(_WRONG)
    if isinstance(type_, GraphQLNonNull):
        return _present(decisions, type_.of_type, depth)
    return None if decisions.one_in(6) else _present(decisions, type_, depth)


def _present(decisions: Decisions, type_: GraphQLNamedType | GraphQLList[Any], depth: int) -> Any:
    if isinstance(type_, GraphQLList):
        if decisions.one_in(5):
            return input_value(decisions, type_.of_type, depth + 1)
        items = [input_value(decisions, type_.of_type, depth + 1) for _ in range(decisions.next(4))]
        return tuple(items) if decisions.one_in(6) else items
    if isinstance(type_, GraphQLEnumType):
        return decisions.choose([*type_.values])
    if isinstance(type_, GraphQLInputObjectType):
        return _object(decisions, type_, depth)
    return decisions.choose(_SCALARS.get(type_.name, ("s", 3, [1, None], {"any": None})))


def _object(decisions: Decisions, type_: GraphQLInputObjectType, depth: int) -> dict[str, Any]:
    if type_.is_one_of and not decisions.goes_wrong():
        name = decisions.choose([*type_.fields])
        return {name: input_value(decisions, type_.fields[name].type, depth + 1)}
    return {
        name: input_value(decisions, field.type, depth + 1)
        for name, field in type_.fields.items()
        if (isinstance(field.type, GraphQLNonNull) and depth < 2 * _DEEPEST)
        or (depth < _DEEPEST and decisions.one_in(2))
    }
