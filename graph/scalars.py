"""Scalars that GraphQL does not bring."""

from datetime import datetime
from typing import Any, Final

import strawberry
from graphql import GraphQLError

from core.moment import read_moment


def _read_moment(value: Any) -> datetime:
    try:
        return read_moment(value)
    except ValueError as error:
        raise GraphQLError(str(error)) from None


DATE_TIME: Final = strawberry.scalar(
    name="DateTime",
    description="A moment as RFC 3339 with an offset and up to microseconds, such as 2026-01-31T09:00:00.5+00:00.",
    specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
    serialize=datetime.isoformat,
    parse_value=_read_moment,
)
