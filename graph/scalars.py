"""Scalars that GraphQL does not bring."""

from datetime import datetime
from typing import Any, Final, NewType

import strawberry
from graphql import GraphQLError, ValueNode, value_from_ast_untyped

from core.clock import read_moment
from engine import as_is


def _read_moment(value: Any) -> datetime:
    try:
        return read_moment(value)
    except ValueError as error:
        raise GraphQLError(str(error)) from None


def _read_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> datetime:
    """Return the moment of a literal; an error names its place in the document."""
    try:
        return read_moment(value_from_ast_untyped(node, variables))
    except ValueError as error:
        raise GraphQLError(str(error), node) from None


DATE_TIME: Final = strawberry.scalar(
    name="DateTime",
    description="A moment as RFC 3339 with an offset and up to microseconds, such as 2026-01-31T09:00:00.5+00:00.",
    specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
    # orjson, which serialises every response, formats datetimes this way.
    serialize=as_is,
    parse_value=_read_moment,
    parse_literal=_read_literal,
)

# Its placeholder in annotations; the schema maps it to the scalar.
Json = NewType("Json", object)
JSON: Final = strawberry.scalar(
    name="JSON",
    description="Any JSON value.",
    specified_by_url="https://ecma-international.org/publications-and-standards/standards/ecma-404/",
    serialize=as_is,
    parse_value=lambda value: value,
)
