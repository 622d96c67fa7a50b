"""Types of bodies, lists and headers that REST routes share."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Header
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema
from starlette.responses import Response

from core.clock import read_moment
from graph.context import Context
from services.entities.lists import EntityOrder
from services.query.ordering import OrderDirection
from services.query.pagination import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Listing, Page, Window, count_rows, fetch_page

Item = TypeVar("Item")
Order = TypeVar("Order", bound=EntityOrder)
Model = TypeVar("Model", bound=BaseModel)

# The response model of each table.
SHOWN_AS: Final[dict[type, type[BaseModel]]] = {}
_ETAG: Final = re.compile(r'"(0|[1-9][0-9]{0,17})"')
_FLAGS: Final = {"true": True, "false": False}

# What the services take as text that says something; the description alone has it, for their own words are better.
NO_SPACE: Final = r"[^\s\u0000\u001c-\u001f\u0085]"
_SOMETHING: Final = rf"^[^\u0000]*{NO_SPACE}[^\u0000]*$"
ANYTHING: Final = r"^[^\u0000]*$"


def text(
    description: str, *, min_length: int = 1, max_length: int, default: dict[str, Any] | None = None, **more: Any
) -> Any:
    """Describe a text whose characters, and what is left of it without white space around it, the services check."""
    bounds: dict[str, Any] = {"minLength": min_length, "pattern": _SOMETHING if min_length else ANYTHING}
    return Field(description=description, max_length=max_length, json_schema_extra=bounds | more, **default or {})


IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='The ETag that the client has seen, such as `"7"`; where the thing has changed since, 412.',
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 200 characters. Sent again with the same body, it gives the first answer again.",
        json_schema_extra={"minLength": 1, "maxLength": 200, "pattern": r"^\S(.*\S)?$"},
    ),
]
GivenId = Annotated[
    str | None, Field(description="A UUID that the client made, or ours.", json_schema_extra={"format": "uuid"})
]
Moment = Annotated[datetime, BeforeValidator(read_moment)]
# Spelled as GraphQL spells it, with +00:00 where Pydantic would write Z.
ShownMoment = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


def without_fraction(value: Any) -> Any:
    """Return a number such as 1.0 as the integer that it is by JSON Schema, which the description is written in."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Body(BaseModel):
    """What a request says: JSON's own types, and nothing that the description does not name."""

    model_config = ConfigDict(extra="forbid", strict=True)


def example(**values: Any) -> ConfigDict:
    """Return the configuration of a body that shows an example, one that is accepted as it is."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class Row(BaseModel):
    """What a response shows of a row."""

    model_config = ConfigDict(from_attributes=True)


class Deleted(BaseModel):
    """What was deleted."""

    deleted_ids: list[str] = Field(description="Everything that is gone, what was named first.")


class Items(BaseModel, Generic[Item]):
    """A page of a list."""

    items: list[Item] = Field(description="The page's rows.")
    next_cursor: str | None = Field(description="Pass it as cursor for the next page; null on the last one.")
    total: int | None = Field(description="How many rows the whole list has, where include_total asks for it.")


# In a query string, where all is text: `true` and `false`, and nothing that looks like them.
Flag = Annotated[bool, BeforeValidator(lambda text: _FLAGS.get(text, text)), Field(strict=True)]


class PageQuery(BaseModel):
    """Which page of a list."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(default=None, description="The next_cursor of the page before.")
    limit: int = Field(default=DEFAULT_PAGE_SIZE, ge=1, le=MAX_PAGE_SIZE, description="How many rows at most.")
    include_total: Flag = Field(default=False, description="Whether to count the whole list.")

    def window(self, listing: Listing) -> Window:
        """Return the stretch of the list that is asked for."""
        after = None if self.cursor is None else listing.order.read_cursor(self.cursor, "cursor")
        return Window(size=self.limit, backwards=False, after=after, before=None)


class OrderedBy:
    """The names of what a list can be ordered by; with a minus before it, the other way round."""

    def __init__(self, order: type[EntityOrder]) -> None:
        self._names = [f"{sign}{field.value.lower()}" for field in order.fields for sign in ("", "-")]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(self._names)


def read_order(order: type[Order], names: Sequence[str]) -> list[Order]:
    """Return the order that names mean."""
    directions = (OrderDirection.DESC if name.startswith("-") else OrderDirection.ASC for name in names)
    return [order.by(name.removeprefix("-"), direction) for name, direction in zip(names, directions, strict=True)]


def shown(row: object) -> dict[str, Any] | None:
    """Return a row as its model shows it, in JSON's own types; None where there is no model for it."""
    model = SHOWN_AS.get(type(row))
    return None if model is None else model.model_validate(row).model_dump(mode="json")


async def read_page(context: Context, listing: Listing, query: PageQuery, model: type[Model]) -> Model:
    """Return a page of a list."""
    window = query.window(listing)
    async with context.database.read() as session:
        page = await fetch_page(session, listing, window)
        total = await count_rows(session, listing) if query.include_total else None
    return shown_page(page, total, model)


def shown_page(page: Page, total: int | None, model: type[Model]) -> Model:
    """Return a page as the client sees it."""
    next_cursor = page.order.cursor(page.rows[-1]) if page.has_next_page else None
    content = {"items": page.rows, "next_cursor": next_cursor, "total": total}
    return model.model_validate(content, from_attributes=True)


def expected_revision(if_match: str | None) -> int | None:
    """Return the revision that the client has seen; 0, which no row has, where what it sent is none of ours."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = _ETAG.fullmatch(if_match.strip())
    return int(match[1]) if match else 0


def stamp(response: Response, model: type[Model], row: Any) -> Model:
    """Return the row as the model shows it, after naming its revision in the response's ETag."""
    response.headers["etag"] = f'"{row.revision}"'
    return model.model_validate(row)
