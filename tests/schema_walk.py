"""Walks the schema: every place of every operation that takes a value, and operations that put one there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_input_field,
)

from core.ids import new_id
from server.graphql.schema import core_schema, schema

SCHEMA: Final = core_schema(schema)
# What operations name where an id must be; it is nobody's, unless a test makes it.
SOME_ID: Final = new_id()


@dataclass(frozen=True, slots=True)
class Operation:
    """A field of Query or Mutation."""

    kind: str
    name: str
    field: GraphQLField

    def __str__(self) -> str:
        return self.name

    @property
    def document(self) -> str:
        """Return the document that passes every argument from a variable of its name."""
        declared = ", ".join(f"${key}: {each.type}" for key, each in self.field.args.items())
        passed = ", ".join(f"{key}: ${key}" for key in self.field.args)
        call = f"{self.name}({passed})" if passed else self.name
        return f"{self.kind} {f'({declared})' if declared else ''} {{ {call} {_selection(self.field)} }}"

    @property
    def least_variables(self) -> dict[str, Any]:
        """Return variables with as little as the field asks for."""
        required = {key: each.type for key, each in self.field.args.items() if isinstance(each.type, GraphQLNonNull)}
        return {key: least_value(wanted) for key, wanted in required.items()}

    @property
    def places(self) -> Iterator["Place"]:
        """Name every place in the arguments that takes a value."""
        for name, argument in self.field.args.items():
            yield from _places(self, argument.type, (name,), ())


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation takes a value, and of which type; an input that holds itself is entered once."""

    operation: Operation
    path: tuple[str, ...]
    type: GraphQLInputType

    def __str__(self) -> str:
        return f"{self.operation.name}({'.'.join(self.path)})"

    @property
    def type_name(self) -> str:
        return get_named_type(self.type).name

    @property
    def is_list(self) -> bool:
        return isinstance(_nullable(self.type), GraphQLList)

    def variables(self, value: Any) -> dict[str, Any]:
        """Return the least variables of the operation, with the value in this place."""
        variables = self.operation.least_variables
        inner: Any = variables
        types = {key: argument.type for key, argument in self.operation.field.args.items()}
        for name in self.path[:-1]:
            wanted = types[name]
            inner = _enter(inner, name, wanted)
            named = get_named_type(wanted)
            assert isinstance(named, GraphQLInputObjectType)
            types = {key: each.type for key, each in named.fields.items()}
        inner[self.path[-1]] = value
        return variables


def operations() -> Iterator[Operation]:
    """Name every field of Query and Mutation; subscriptions are not answered over plain HTTP."""
    for kind, root in (("query", SCHEMA.query_type), ("mutation", SCHEMA.mutation_type)):
        assert root is not None
        for name, field in root.fields.items():
            yield Operation(kind, name, field)


def least_value(wanted: GraphQLInputType) -> Any:
    wanted = _nullable(wanted)
    if isinstance(wanted, GraphQLList):
        return [least_value(wanted.of_type)]
    if isinstance(wanted, GraphQLInputObjectType):
        return {key: least_value(each.type) for key, each in wanted.fields.items() if is_required_input_field(each)}
    if isinstance(wanted, GraphQLEnumType):
        return next(iter(wanted.values))
    return {"ID": SOME_ID, "Boolean": True, "Int": 1}.get(get_named_type(wanted).name, "some text")


def _nullable(wanted: Any) -> Any:
    return wanted.of_type if isinstance(wanted, GraphQLNonNull) else wanted


def _places(
    operation: Operation, wanted: GraphQLInputType, path: tuple[str, ...], entered: tuple[str, ...]
) -> Iterator[Place]:
    named = get_named_type(wanted)
    if named.name in entered:
        return
    yield Place(operation, path, wanted)
    if isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            yield from _places(operation, field.type, (*path, name), (*entered, named.name))


def _enter(outer: dict[str, Any], name: str, wanted: GraphQLInputType) -> Any:
    """Return what stands in the place, made with the least that it needs."""
    if name not in outer:
        outer[name] = least_value(wanted)
    return outer[name][0] if isinstance(outer[name], list) else outer[name]


def _selection(field: GraphQLField) -> str:
    named = get_named_type(field.type)
    if is_leaf_type(named):
        return ""
    has_errors = isinstance(named, GraphQLObjectType) and "errors" in named.fields
    return "{ __typename errors { code message path } }" if has_errors else "{ __typename }"
