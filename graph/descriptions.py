"""What the schema says of things that are declared away from it, or many times over."""

from collections.abc import Iterator
from typing import Any, Final

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    is_introspection_type,
    is_specified_scalar_type,
)

# By name, wherever an argument or a field of an input is called so.
_ARGUMENTS: Final = {
    "first": "How many rows from the start, up to 100; 20 where neither first nor last is given.",
    "after": "Only what comes after this cursor.",
    "last": "How many rows from the end, up to 100.",
    "before": "Only what comes before this cursor.",
    "filter": "Which rows; all of them where nothing is given.",
    "orderBy": "What to order by, the most important first.",
    "since": "A cursor that changes gave; without one, from the start.",
    "input": "What the mutation takes.",
    "id": "Whose id it is.",
    "ids": "Up to 100 ids.",
    "conversationId": "The conversation that it is about.",
    "messageId": "The message that it is about.",
    "fromOffset": "Where to begin, in Unicode code points: 0, or a nextOffset.",
    "field": "What to order by.",
    "direction": "Which end comes first.",
    "node": "The row.",
    "and": "All of these hold as well.",
    "or": "At least one of these holds as well.",
    "not": "This does not hold.",
}

_MEMBERS: Final = {
    "DateTimeFilter": {
        "gt": "After this moment.",
        "gte": "At this moment or after it.",
        "lt": "Before this moment.",
        "lte": "At this moment or before it.",
        "isNull": "Whether there is no moment at all.",
    },
    "IntFilter": {
        "eq": "This number.",
        "gt": "More than this.",
        "gte": "This or more.",
        "lt": "Less than this.",
        "lte": "This or less.",
        "isNull": "Whether there is no number at all.",
    },
    "StringFilter": {
        "eq": "The whole text.",
        "contains": "A part of the text.",
        "startsWith": "How the text begins.",
    },
    "TaskFilter": {
        "search": "Every word of it begins a word of the title or the description, without regard to case.",
        "isSubtask": "Whether they are a part of another task.",
    },
}


def describe(schema: GraphQLSchema) -> None:
    """Describe what has no description of its own."""
    for name, part, member in members(schema):
        if not part.description:
            part.description = _MEMBERS.get(name, {}).get(member, _ARGUMENTS.get(member))


def members(schema: GraphQLSchema) -> Iterator[tuple[str, Any, str]]:
    """Yield every field, argument and enum value with the name of its type and its own."""
    for name, named in schema.type_map.items():
        if is_introspection_type(named) or is_specified_scalar_type(named):
            continue
        if isinstance(named, GraphQLEnumType):
            yield from ((name, value, member) for member, value in named.values.items())
        elif isinstance(named, GraphQLInputObjectType | GraphQLObjectType | GraphQLInterfaceType):
            yield from ((name, field, member) for member, field in named.fields.items())
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            for field in named.fields.values():
                yield from ((name, argument, member) for member, argument in field.args.items())
