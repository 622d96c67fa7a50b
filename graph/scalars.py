"""Scalars that GraphQL does not bring."""

import re
from datetime import UTC, datetime
from typing import Any, Final

import strawberry
from graphql import GraphQLError

# Python takes 24:00 and offsets of 60 minutes in some of its versions.
_TIME: Final = r"(?:[01]\d|2[0-3]):[0-5]\d"
_RFC_3339: Final = re.compile(rf"\d{{4}}-\d\d-\d\d[Tt ]{_TIME}:\d\d(\.\d+)?([Zz]|[+-]{_TIME})", re.ASCII)


def _read_moment(value: Any) -> datetime:
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise GraphQLError(
        f"{str(value)[:60]!r} is no moment; write it as RFC 3339 with an offset, such as 2026-01-31T09:00:00Z."
    )


DATE_TIME: Final = strawberry.scalar(
    name="DateTime",
    description="A moment as RFC 3339 with an offset and up to microseconds, such as 2026-01-31T09:00:00.5+00:00.",
    specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
    serialize=datetime.isoformat,
    parse_value=_read_moment,
)
