"""Makes schemas: of object types, interfaces, unions and inputs that refer to each other in every way."""

from typing import Any, Final
from zlib import crc32

from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, GraphQLUnionType, build_schema

import engine
from tests.engine.decisions import Decisions
from tests.engine.literals import printed, value
from tests.engine.sources import Source

COMMON: Final = """
    enum Colour { RED GREEN }
    scalar Odd
    input Point { x: Int! = 1  y: [Int]  label: String = "none"  next: Point  colour: Colour = GREEN }
    input Either @oneOf { a: Int  b: String  c: Point }
"""
_LEAVES: Final = ("String", "Int", "Float", "Boolean", "ID", "Colour", "Odd")
_INPUTS: Final = ("Int", "String", "Boolean", "Float", "ID", "Colour", "Point", "Either")
_WRAPPINGS: Final = ("{}", "{}!", "[{}]", "[{}!]", "[{}!]!", "[{}]!", "[[{}]]", "[[{}!]!]!", "{}", "{}!")
_INPUT_WRAPPINGS: Final = ("{}", "{}", "{}!", "[{}!]", "[[{}]]!")


def schema_text(decisions: Decisions) -> str:
    """Return the definition of a schema."""
    objects = [f"O{number}" for number in range(1 + decisions.next(3))]
    interfaces = [f"I{number}" for number in range(decisions.next(3))]
    composites = [*objects, *interfaces, "U"]
    inherited = {name: _fields(decisions, name.lower(), composites) for name in interfaces}
    parts = [COMMON, f"union U = {' | '.join(objects[: 1 + decisions.next(len(objects))])}"]
    for name in interfaces:
        below = "I0" if name != "I0" and decisions.one_in(2) else None
        fields = inherited[name] = {**inherited[name], **(inherited[below] if below else {})}
        parts.append(_type(f"interface {name}", [below] if below else [], fields))
    for name in objects:
        implemented = [each for each in interfaces if decisions.one_in(2)]
        if "I1" in implemented and "I0" not in implemented:
            implemented.insert(0, "I0")
        fields = _fields(decisions, "f", composites)
        for each in implemented:
            fields |= {key: _narrowed(decisions, text) for key, text in inherited[each].items()}
        parts.append(_type(f"type {name}", implemented, fields))
    roots = [_type(f"type {name}", [], _fields(decisions, "f", composites)) for name in ("Query", "Mutation")]
    return "\n".join([*parts, *roots])


def _type(heading: str, implemented: list[str], fields: dict[str, str]) -> str:
    clause = f" implements {' & '.join(implemented)}" if implemented else ""
    return f"{heading}{clause} {{ {'  '.join(f'{name}{text}' for name, text in fields.items())} }}"


def _fields(decisions: Decisions, prefix: str, composites: list[str]) -> dict[str, str]:
    return {f"{prefix}{number}": _field(decisions, composites) for number in range(2 + decisions.next(4))}


def _field(decisions: Decisions, composites: list[str]) -> str:
    """Return the arguments and the type of a field."""
    if decisions.one_in(4):
        arguments = " ".join(f"a{number}: {_argument(decisions)}" for number in range(1 + decisions.next(2)))
        return f"({arguments}): String"
    named = decisions.choose(composites if decisions.one_in(2) else _LEAVES)
    return f": {decisions.choose(_WRAPPINGS).format(named)}"


def _argument(decisions: Decisions) -> str:
    type_ = decisions.choose(_INPUT_WRAPPINGS).format(decisions.choose(_INPUTS))
    return f"{type_} = {printed(value(decisions, type_))}" if decisions.one_in(3) else type_


def _narrowed(decisions: Decisions, text: str) -> str:
    """Return a field that may stand for one of an interface."""
    return f"{text}!" if not text.endswith("!") and decisions.one_in(3) else text


def make_schema(text: str, decisions: Decisions | None = None) -> GraphQLSchema:
    """Return a schema; of decisions some of its resolvers are asynchronous or batched, otherwise none is."""
    schema = build_schema(text)
    for type_ in schema.type_map.values():
        if type_.name.startswith("__"):
            continue
        # Whether there is a resolver at all follows from the text.
        if isinstance(type_, GraphQLObjectType):
            for name, field in type_.fields.items():
                if field.args or crc32(f"{type_}.{name} {text}".encode()) % 5:
                    field.resolve = decisions.choose(_RESOLVERS) if decisions else _resolve
        elif isinstance(type_, GraphQLInterfaceType | GraphQLUnionType) and crc32(text.encode()) % 3:
            type_.resolve_type = decisions.choose(_TYPE_RESOLVERS) if decisions else _resolve_type
    schema.type_map["Odd"].coerce_output_value = _serialize_odd  # type: ignore[attr-defined]
    # One of the types has an `is_type_of`.
    first = schema.type_map["O0"]
    assert isinstance(first, GraphQLObjectType)
    first.is_type_of = lambda value, _info: isinstance(value, Source) and value.type.name == "O0"
    return schema


def _resolve(source: Source, info: Any, **arguments: Any) -> Any:
    value = source.value(info.field_name)
    return _resolve_later(source, info, **arguments) if value.waits else _shown(value.now(), arguments)


async def _resolve_later(source: Source, info: Any, **arguments: Any) -> Any:
    return _shown(source.value(info.field_name).now(), arguments)


def _resolve_all(parents: list[Source], info: Any, **arguments: Any) -> list[Any]:
    return [_outcome(parent, info.field_name, arguments) for parent in parents]


async def _resolve_all_later(parents: list[Source], info: Any, **arguments: Any) -> list[Any]:
    return _resolve_all(parents, info, **arguments)


def _outcome(source: Source, name: str, arguments: dict[str, Any]) -> Any:
    try:
        value = source.value(name).now()
    except Exception as error:  # noqa: BLE001 - one parent's failure is not the others'
        return error
    return _shown(value, arguments)


def _shown(value: Any, arguments: dict[str, Any]) -> Any:
    """Return the arguments, where there are any, in place of a word."""
    return repr(arguments) if arguments and isinstance(value, str) else value


def _resolve_type(value: Any, info: Any, _type: Any) -> Any:
    """Return the name of an object's type, wrongly at times."""
    return value.type.name if isinstance(value, Source) else f"Unknown{info.path.key}"


async def _resolve_type_later(value: Any, info: Any, type_: Any) -> Any:
    return _resolve_type(value, info, type_)


def _serialize_odd(value: int) -> int | None:
    """Take odd numbers only."""
    if value == 0:
        raise ValueError("even")
    return value if value > 0 else None


_RESOLVERS: Final = (_resolve, _resolve_later, engine.batched(_resolve_all), engine.batched(_resolve_all_later))
_TYPE_RESOLVERS: Final = (_resolve_type, _resolve_type_later)
