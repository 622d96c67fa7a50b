"""The schema of the resolvers."""

from datetime import datetime
from typing import Any, Final

import strawberry
from graphql import (
    GraphQLDirective,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter

from graph.descriptions import describe
from graph.inputs import build_inputs_by_type
from graph.mapping import Node
from graph.payload import guard_mutations
from graph.scalars import DATE_TIME, JSON, Json
from resolvers.mutation import Mutation
from resolvers.query import Query
from resolvers.subscription import Subscription


class _Names(NameConverter):
    """Camel case, without the trailing underscore of names that are Python keywords."""

    def __init__(self) -> None:
        super().__init__()
        # Strawberry converts the name of each field of each input that is sent.
        self._known: dict[str, str] = {}

    def apply_naming_config(self, name: str) -> str:
        if (known := self._known.get(name)) is None:
            known = self._known[name] = super().apply_naming_config(name.rstrip("_"))
        return known


def core_schema(schema: strawberry.Schema) -> GraphQLSchema:
    """Return the schema that graphql-core executes."""
    core: GraphQLSchema = schema._schema  # noqa: SLF001 - Strawberry gives it no public name
    return core


def _tidy(schema: GraphQLSchema) -> None:
    """Drop null defaults of optional arguments, and type checks of rows whose type is known; unions are of nodes."""
    schema.directives = tuple(_without_new_locations(directive) for directive in schema.directives)
    for named in schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            _drop_null_defaults(named.fields.values())
        elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            for field in named.fields.values():
                _drop_null_defaults(field.args.values())
        if isinstance(named, GraphQLObjectType):
            named.is_type_of = None
        elif isinstance(named, GraphQLUnionType):
            named.resolve_type = Node.resolve_type


def _without_new_locations(directive: GraphQLDirective) -> GraphQLDirective:
    """Drop the location that graphql-js before 16.14 rejects in an introspection."""
    known = [place for place in directive.locations if place.name != "DIRECTIVE_DEFINITION"]
    configuration: dict[str, Any] = {**directive.to_kwargs(), "locations": known}
    return GraphQLDirective(**configuration)


def _drop_null_defaults(arguments: Any) -> None:
    for argument in arguments:
        if argument.default_value is None:
            argument.default_value = Undefined


schema: Final = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(name_converter=_Names(), scalar_map={datetime: DATE_TIME, Json: JSON}),
)
_tidy(core_schema(schema))
describe(core_schema(schema))
guard_mutations(core_schema(schema))
build_inputs_by_type(core_schema(schema), schema.schema_converter)
