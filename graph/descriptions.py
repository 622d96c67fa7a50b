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

_TYPES: Final = {
    "Query": "Reads; nothing changes by them.",
    "Mutation": "Changes, one after another in the order that they are written in.",
    "Subscription": "Follows what happens, over a socket or as server-sent events.",
}

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
}

_MEMBERS: Final = {
    "DateTimeFilter": {
        "gt": "After this moment.",
        "gte": "At this moment or after it.",
        "lt": "Before this moment.",
        "lte": "At this moment or before it.",
        "isNull": "Whether there is no moment at all.",
    },
    "StringFilter": {
        "eq": "The whole text.",
        "contains": "A part of the text.",
        "startsWith": "How the text begins.",
    },
    "TaskFilter": {
        "completed": "Whether they are done.",
        "priority": "Any of these.",
        "tags": "All of these.",
        "title": "Conditions on the title.",
        "search": "Every word of it begins a word of the title or the description, without regard to case.",
        "dueAt": "Conditions on when they are due.",
        "createdAt": "Conditions on when they were made.",
        "updatedAt": "Conditions on when they last changed.",
        "isSubtask": "Whether they are a part of another task.",
        "and": "All of these hold as well.",
        "or": "At least one of these holds as well.",
        "not": "This does not hold.",
    },
    "TaskPriority": {"LOW": "It can wait.", "MEDIUM": "The usual.", "HIGH": "It comes first."},
    "TaskOrderField": {
        "CREATED_AT": "When it was made.",
        "UPDATED_AT": "When it last changed.",
        "DUE_AT": "When it is due; tasks without a date come last in either direction.",
        "PRIORITY": "How much it matters: LOW, MEDIUM, HIGH.",
        "TITLE": "Its title, without regard to the case of ASCII letters.",
    },
    "ConversationOrderField": {"CREATED_AT": "When it was made.", "UPDATED_AT": "When it was last active."},
    "MessageOrderField": {"CREATED_AT": "When it was said."},
    "OrderDirection": {"ASC": "The least, the earliest first.", "DESC": "The greatest, the latest first."},
    "MessageRole": {"USER": "The person.", "ASSISTANT": "The assistant."},
    "MessageStatus": {
        "STREAMING": "It is being written.",
        "COMPLETE": "It is whole.",
        "CANCELLED": "Its writing was stopped.",
        "FAILED": "Its writing went wrong.",
    },
    "RunStatus": {
        "QUEUED": "It waits for its turn.",
        "RUNNING": "The assistant is at work.",
        "AWAITING_APPROVAL": "It waits until the person has decided on its tool calls.",
        "COMPLETED": "The reply is complete.",
        "CANCELLED": "It was stopped.",
        "FAILED": "It went wrong.",
    },
    "ToolCallStatus": {
        "AWAITING_APPROVAL": "It waits for the person's approval.",
        "RUNNING": "It is being carried out.",
        "COMPLETED": "It was carried out.",
        "REJECTED": "The person refused it.",
        "FAILED": "It went wrong, and changed nothing.",
    },
    "TaskChangeKind": {
        "CREATED": "It was made, or came back.",
        "UPDATED": "Some of its fields were changed.",
        "DELETED": "It was deleted.",
    },
    "TaskChangeAuthor": {"USER": "The person.", "ASSISTANT": "The assistant, by a run."},
    "AccessScope": {
        "TASKS_READ": "Reading tasks and conversations.",
        "TASKS_WRITE": "Changing tasks.",
    },
    "ErrorCode": {
        "BAD_USER_INPUT": "What was sent cannot be accepted.",
        "UNAUTHENTICATED": "The sign-in is wrong or over.",
        "FORBIDDEN": "The caller may not do this.",
        "NOT_FOUND": "There is no such thing for the caller.",
        "CONFLICT": "It contradicts how things stand.",
        "RATE_LIMITED": "There were too many attempts.",
    },
}


def describe(schema: GraphQLSchema) -> None:
    """Describe what has no description of its own."""
    for name, part, member in members(schema):
        if not part.description:
            part.description = _MEMBERS.get(name, {}).get(member, _ARGUMENTS.get(member))
    for name, description in _TYPES.items():
        schema.type_map[name].description = description


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
