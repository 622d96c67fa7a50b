"""The part of the schema that other people's clients rely on is in schema.graphql, name by name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from graphql import (
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
    parse,
    print_ast,
)

ROOT: Final = Path(__file__).parents[1]


def promises(document: DocumentNode) -> dict[str, str]:
    """Return each thing that a client can rely on, by its place, with what is said of it."""
    return {
        place: said
        for definition in document.definitions
        if isinstance(definition, TypeDefinitionNode)
        for place, said in type_promises(definition)
    }


def type_promises(definition: TypeDefinitionNode) -> Iterator[tuple[str, str]]:
    name = definition.name.value
    yield name, definition.kind
    match definition:
        case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
            yield from ((f"{name} implements {interface.name.value}", "") for interface in definition.interfaces or ())
            for field in definition.fields or ():
                yield from field_promises(name, field)
        case InputObjectTypeDefinitionNode():
            for argument in definition.fields or ():
                yield f"{name}.{argument.name.value}", argument_promise(argument)
        case EnumTypeDefinitionNode():
            yield from ((f"{name}.{value.name.value}", "") for value in definition.values or ())


def field_promises(owner: str, field: FieldDefinitionNode) -> Iterator[tuple[str, str]]:
    place = f"{owner}.{field.name.value}"
    yield place, print_ast(field.type)
    for argument in field.arguments or ():
        yield f"{place}({argument.name.value})", argument_promise(argument)


def argument_promise(argument: InputValueDefinitionNode) -> str:
    default = f" = {print_ast(argument.default_value)}" if argument.default_value else ""
    return f"{print_ast(argument.type)}{default}"


def read(path: Path) -> dict[str, str]:
    return promises(parse(path.read_text(encoding="utf-8")))


def test_schema_keeps_every_promise() -> None:
    kept = read(ROOT / "schema.graphql")
    broken = {
        place: f"promised {said or 'it'}, is {kept.get(place, 'missing')}"
        for place, said in read(ROOT / "tests" / "contract.graphql").items()
        if kept.get(place) != said
    }
    assert broken == {}


def test_nothing_more_is_asked_of_those_who_call() -> None:
    promised, kept = read(ROOT / "tests" / "contract.graphql"), read(ROOT / "schema.graphql")
    inputs = {place for place, said in promised.items() if said == InputObjectTypeDefinitionNode.kind}
    demands = []
    for place in kept.keys() - promised.keys():
        field, is_argument, _ = place.partition("(")
        if kept[place].endswith("!") and (field in promised if is_argument else field.partition(".")[0] in inputs):
            demands.append(place)
    assert demands == []
