"""REST models and routes of an entity, made from the descriptions of its columns."""

from collections.abc import Callable, Container, Iterable
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model
from sqlmodel import SQLModel
from starlette.responses import Response

from graph.context import Context
from models.columns import Column, Kind, creatable_columns, public_columns, updatable_columns
from server.rest.fields import (
    SHOWN_AS,
    Body,
    Deleted,
    GivenId,
    IdempotencyKey,
    IfMatch,
    Moment,
    Row,
    ShownMoment,
    expected_revision,
    stamp,
    text,
    without_fraction,
)
from server.rest.problem import Responses, problems, stamped
from server.rest.route import SignedIn
from services.entities.service import EntityService, NewRow
from services.query.lookup import not_found, rows_by_id

Model = TypeVar("Model", bound=BaseModel)


def row_of(model: type[SQLModel], *, without: Container[str] = ()) -> Callable[[type[Model]], type[Model]]:
    """Add the id and the public columns of a table to a response model; those that it declares get the description."""

    def decorate(cls: type[Model]) -> type[Model]:
        fields: dict[str, Any] = {"id": (str, Field(description="Its id, a UUID."))}
        for column in public_columns(model):
            if column.name in cls.model_fields:
                cls.model_fields[column.name].description = column.description
            elif column.name not in without:
                fields[column.name] = (_output_type(column), Field(description=column.description))
        SHOWN_AS[model] = shown = _extend(cls, fields)
        return shown

    return decorate


def create_body_of(model: type[SQLModel]) -> Callable[[type[Model]], type[Model]]:
    """Add to a request body the columns that clients set when they create a row."""
    return lambda cls: _add_columns(cls, creatable_columns(model))


def _update_body(model: type[SQLModel], name: str, example: ConfigDict) -> type[Body]:
    """Return the request body of the columns that clients may update: what is left out stays, null clears."""
    columns = updatable_columns(model)
    clearing = ", null clears" if any(column.is_nullable for column in columns) else ""
    doc = f"What is to change of a {name}: what is left out stays{clearing}."
    base = create_model(f"{model.__name__}Patch", __base__=Body, __doc__=doc)
    base.model_config.update(example)
    return _add_columns(base, columns, _no_default)


def replace_body_of(model: type[SQLModel]) -> Callable[[type[Model]], type[Model]]:
    """Add to a request body the columns that clients may update: what is left out is as in a new row."""
    return lambda cls: _add_columns(cls, updatable_columns(model))


def _no_default(column: Column) -> dict[str, Any]:
    # What is not sent is not read, so any default does; only null is shown as one.
    return {"default": None} if column.is_nullable else {"default_factory": lambda: None}


def _add_columns(
    cls: type[Model],
    columns: Iterable[Column],
    default_of: Callable[[Column], dict[str, Any]] = attrgetter("default_argument"),
) -> type[Model]:
    added = [column for column in columns if column.name not in cls.model_fields]
    return _extend(cls, {column.name: _body_field(column, default=default_of(column)) for column in added})


def _extend(cls: type[Model], fields: dict[str, Any]) -> type[Model]:
    return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)


class CreateBody(Body):
    """The base of bodies that create a row."""

    id: GivenId = None

    def to_new(self, idempotency_key: str | None) -> NewRow:
        """Return what the service takes."""
        return NewRow(self.model_dump(exclude_unset=True, exclude={"id"}), self.id, idempotency_key)


def add_entity_routes(
    router: APIRouter,
    service: EntityService[Any],
    row: type[Row],
    create_body: type[CreateBody],
    update_example: ConfigDict,
) -> None:
    """Add the routes that create, read, update and delete one row to a router, with the bodies that they take."""
    model: type[SQLModel] = service.model
    name, columns = model.__name__.lower(), frozenset(row.model_fields)
    update_body = _update_body(model, name, update_example)

    async def create(context: SignedIn, body: Any, response: Response, key: IdempotencyKey = None) -> Any:
        created = await context.create(partial(service.create_alone, new=body.to_new(key)))
        response.headers["location"] = f"{router.prefix}/{created.id}"
        return stamp(response, row, created)

    async def read(context: SignedIn, row_id: str, response: Response) -> Any:
        (found,) = await rows_by_id(context.database.reader, context.require_caller(), model, [row_id], columns)
        if found is None:
            raise not_found(model, ("input", "id"))
        return stamp(response, row, found)

    async def update(context: SignedIn, row_id: str, body: Any, response: Response, if_match: IfMatch = None) -> Any:
        changes = body.model_dump(exclude_unset=True)
        return stamp(response, row, await update_row(context, service, row_id, changes, if_match))

    async def delete(context: SignedIn, row_id: str, if_match: IfMatch = None) -> Deleted:
        work = partial(service.delete, row_id=row_id, expected_revision=expected_revision(if_match))
        return Deleted(deleted_ids=await context.write(work))

    create.__annotations__["body"], update.__annotations__["body"] = create_body, update_body
    for endpoint in (read, update, delete):
        endpoint.__annotations__["row_id"] = Annotated[str, Path(alias=f"{name}_id")]
    _add_routes(router, row, name, (create, read, update, delete))


def _add_routes(router: APIRouter, row: type[Row], name: str, endpoints: tuple[Any, Any, Any, Any]) -> None:
    create, read, update, delete = endpoints
    one = f"/{{{name}_id}}"

    def add(method: str, path: str, endpoint: Any, description: str, responses: Responses, **options: Any) -> None:
        shared: dict[str, Any] = {"response_model": row, "name": f"{endpoint.__name__}_{name}", "methods": [method]}
        router.add_api_route(path, endpoint, description=description, responses=responses, **(shared | options))

    made = problems(401, 404, 409, body=True) | stamped(201, location=True)
    add("POST", "", create, f"Make a {name}.", made, status_code=201)
    add("GET", one, read, f"Read one {name}.", problems(401, 404) | stamped(200))
    changed = f"Change a {name}: what is left out stays, null clears."
    add("PATCH", one, update, changed, problems(401, 404, 412, body=True) | stamped(200))
    deleted = f"Delete a {name} and all that belongs to it."
    add("DELETE", one, delete, deleted, problems(401, 404, 412), response_model=Deleted)


async def update_row(
    context: Context, service: EntityService[Any], row_id: str, changes: dict[str, Any], if_match: str | None
) -> Any:
    """Update a row that is still as its ETag says, where one is given."""
    expected = expected_revision(if_match)
    return await context.write(partial(service.update, row_id=row_id, changes=changes, expected_revision=expected))


def _body_field(column: Column, *, default: dict[str, Any]) -> tuple[Any, Any]:
    """Return the type and the field of a column in a request body."""
    description = column.input_description
    bounds: dict[str, Any] = {}
    if column.kind is Kind.MOMENT:
        description = f"{column.description.removesuffix('.')}: RFC 3339 with an offset."
    if column.kind is Kind.TEXT:
        minimum = column.minimum or 0
        return _nullable(column, str), text(
            description, min_length=minimum, max_length=column.maximum or 0, default=default
        )
    if column.kind is Kind.TEXTS:
        bounds = {"json_schema_extra": {"maxItems": column.maximum}}
    if column.kind is Kind.ENUM:
        # JSON has no enums: their members are sent as texts.
        bounds = {"strict": False}
    return _nullable(column, _input_type(column)), Field(description=description, **bounds, **default)


def _input_type(column: Column) -> Any:
    if column.kind is Kind.MOMENT:
        return Moment
    if column.kind is Kind.TEXTS:
        return list[Annotated[str, text("A text of the list.", max_length=column.max_element_length or 0)]]
    if column.kind is Kind.INTEGER:
        # Within the type, or the description of a nullable one would not have the bounds.
        return Annotated[int, Field(ge=column.minimum, le=column.maximum), BeforeValidator(without_fraction)]
    return column.type


def _output_type(column: Column) -> Any:
    """Return the type of a column in a response."""
    if column.kind is Kind.JSON:
        return column.model.model_fields[column.name].annotation
    return _nullable(column, {Kind.TEXTS: list[str], Kind.MOMENT: ShownMoment}.get(column.kind, column.type))


def _nullable(column: Column, shown: Any) -> Any:
    return shown | None if column.is_nullable else shown
